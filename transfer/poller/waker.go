//go:build unix

package poller

import (
	"sync"
	"sync/atomic"
)

// waker is the one descriptor that other goroutines write to. The flag keeps it
// at one write per Wait however many posts there are; the lock is there for
// Close only, so that a late Wake never writes into a descriptor number that
// somebody else owns by now.
type waker struct {
	pending atomic.Bool
	mu      sync.RWMutex
	closed  bool
	signal  func() // makes the descriptor readable
	drain   func() // makes it unreadable again
	release func() // closes it
}

func (w *waker) wake() {
	if w.pending.Swap(true) {
		return
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	if !w.closed {
		w.signal()
	}
}

// woken is called by Wait when the descriptor was readable. Drain comes first:
// a wake between the two lines then finds pending still set and is skipped, but
// its post was made before that, and the loop reads its posts after Wait.
func (w *waker) woken() {
	w.drain()
	w.pending.Store(false)
}

// shut closes the descriptor; false when that was done before.
func (w *waker) shut() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.closed = true
	w.release()
	return true
}
