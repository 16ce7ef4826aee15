//go:build unix

package tracker

import "syscall"

// descriptors is how many files and sockets the process may have open, as far as it
// matters here.
func descriptors() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return mostConns * descriptorShare
	}
	return int(min(limit.Cur, mostConns*descriptorShare))
}
