package node

import (
	"sync"
	"time"

	"chordtorrent/chord"
)

// An event is something the Member has to be told.
type (
	// received is a message of another member, or of this one to itself; done,
	// if not nil, is called when it no longer takes memory, and must not block.
	received struct {
		env  chord.Envelope
		done func()
	}
	// unreachable is a request that could not be delivered or, if it was sent, may
	// have arrived and will not be answered.
	unreachable struct {
		to   chord.Ref
		seq  uint64
		sent bool
	}
	// stored is the outcome of a store operation.
	stored struct {
		token uint64
		err   error
	}
	// asked is a client's operation; reply is called once, and must not block.
	asked struct {
		op       any
		deadline time.Time       // zero: none
		gone     <-chan struct{} // closed when nobody waits for it any more; may be nil
		reply    func(any)
	}
	// leave asks the Member to hand over and go.
	leave struct{}
)

// isStale reports whether nobody waits for the operation any more.
func (a asked) isStale() bool {
	select {
	case <-a.gone:
		return true
	default:
		return !a.deadline.IsZero() && !time.Now().Before(a.deadline)
	}
}

// queue passes events to the loop. It has no bound of its own, so that nobody
// who posts waits for the ring: package rpc bounds what comes from outside. A
// changed view is a flag, as only the newest matters.
type queue struct {
	mu     sync.Mutex
	events []any
	view   bool
	closed bool
	wake   chan struct{} // holds one when there is something to take
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// post adds an event; false when nobody will take it any more.
func (q *queue) post(event any) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.events = append(q.events, event)
	q.signal()
	return true
}

// viewChanged notes that gossip's view should be looked at again.
func (q *queue) viewChanged() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.view = true
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take gives and forgets what was posted; spare is memory to use again.
func (q *queue) take(spare []any) (events []any, view bool) {
	clear(spare)
	q.mu.Lock()
	defer q.mu.Unlock()
	events, view = q.events, q.view
	q.events, q.view = spare[:0], false
	return events, view
}

// close ends the queue and gives what was left in it.
func (q *queue) close() []any {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	left := q.events
	q.events = nil
	return left
}
