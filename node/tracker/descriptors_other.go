//go:build !unix

package tracker

// descriptors is how many files and sockets the process may have open, as far as it
// matters here.
func descriptors() int { return mostConns * descriptorShare }
