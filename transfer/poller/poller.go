//go:build unix

package poller

import (
	"errors"
	"time"
)

// Interest says which kinds of readiness a descriptor is watched for. None (0)
// is legal: the descriptor stays known, and only errors and hang-ups may be
// reported.
type Interest uint8

const (
	// Read asks for "a read would not block" (data, end of stream, or a
	// connection to accept).
	Read Interest = 1 << iota
	// Write asks for "a write would not block" (also: a connect has ended).
	Write
)

// Event tells what one descriptor is ready for. An error or a hang-up is
// reported as ready for everything that was asked for and, when nothing was
// asked for, as Readable, so that the caller's next read finds the error.
type Event struct {
	FD       int
	Readable bool
	Writable bool
}

// Errors of misuse. The kernel's own errors come wrapped.
var (
	ErrKnown   = errors.New("poller: descriptor is already added")
	ErrUnknown = errors.New("poller: descriptor was never added")
	ErrClosed  = errors.New("poller: closed")
)

// Poller is the contract. One goroutine owns it; only Wake may be called by
// others.
type Poller interface {
	// Add starts watching fd, which must be open and non-blocking.
	// ErrKnown when it is being watched already.
	Add(fd int, want Interest) error

	// Modify replaces the interest of fd. ErrUnknown when it is not watched.
	Modify(fd int, want Interest) error

	// Remove stops watching fd; no later Wait reports it. It must be called
	// before fd is closed. ErrUnknown when it is not watched.
	Remove(fd int) error

	// Wait blocks until a descriptor is ready, Wake was called or the time-out
	// has passed, fills events from the start and returns how many it filled.
	// A negative time-out waits for ever, zero only looks; others are rounded
	// up to a millisecond. Zero events and no error is a normal result (time-out, Wake,
	// signal). Descriptors that did not fit into events come with a later Wait.
	// With events empty it does not wait.
	Wait(events []Event, timeout time.Duration) (int, error)

	// Wake makes the running Wait, or else the next one, return at once. Many
	// calls before that Wait returns count as one. It never blocks, and after
	// Close it does nothing. A Wake that happens after a Wait has returned is
	// seen by the Wait after it, so "post, then Wake" loses no post.
	Wake()

	// Close gives back the poller's own descriptors, not the watched ones.
	Close() error
}

// milliseconds turns a time-out into what epoll_wait and poll take, rounding
// up so that a loop does not spin through the last fraction before a timer.
func milliseconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	ms := (d + time.Millisecond - 1) / time.Millisecond
	const most = 1 << 30
	if ms > most {
		return most
	}
	return int(ms)
}
