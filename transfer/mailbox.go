package transfer

import "sync/atomic"

// event is something that another goroutine asks of a loop, or tells it. The
// loop calls handle on its own goroutine; that is the only place where the
// state of torrents and connections changes.
type event interface {
	handle(l *loop)
}

// orphan is implemented by events that carry something which must not be lost
// when the loop has ended before it could handle them: a descriptor to close,
// an asker to answer.
type orphan interface {
	orphaned()
}

type letter struct {
	ev   event
	next *letter
}

// closedBox is the letter that lies on top of a mailbox nobody reads any more.
var closedBox = new(letter)

// mailbox is how events get to a loop: any goroutine puts, the loop takes all
// at once. A stack of one atomic word, turned round when taken, so that a put
// never waits for the loop nor for another put. How much may lie in it is
// bounded by who posts: pieces in flight, accepted sockets, calls of the API.
type mailbox struct {
	top atomic.Pointer[letter]
}

// put reports false when the mailbox is closed; the event is then the caller's.
func (m *mailbox) put(ev event) bool {
	l := &letter{ev: ev}
	for {
		top := m.top.Load()
		if top == closedBox {
			return false
		}
		l.next = top
		if m.top.CompareAndSwap(top, l) {
			return true
		}
	}
}

// take appends what has been put since the last take, oldest first.
func (m *mailbox) take(to []event) []event {
	if m.top.Load() == nil {
		return to
	}
	return unroll(m.top.Swap(nil), to)
}

// close refuses all further puts and returns what was still in it.
func (m *mailbox) close() []event {
	return unroll(m.top.Swap(closedBox), nil)
}

func unroll(l *letter, to []event) []event {
	from := len(to)
	for ; l != nil && l != closedBox; l = l.next {
		to = append(to, l.ev)
	}
	for i, j := from, len(to)-1; i < j; i, j = i+1, j-1 {
		to[i], to[j] = to[j], to[i]
	}
	return to
}
