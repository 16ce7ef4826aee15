//go:build unix && !linux

package poller

// New returns the best poller of this system: poll(2).
func New() (Poller, error) { return NewPoll() }
