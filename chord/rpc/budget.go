package rpc

import (
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// defaultMemory is TransportConfig.MaxMemory when that is not said.
	defaultMemory = 256 << 20
	// frameOverhead is what a frame costs in memory besides its bytes: the
	// message's structs and its place in a queue.
	frameOverhead = 512
	// smallFrame is the longest request of a member that counts as quick.
	smallFrame = 4 << 10
)

// budgets bound what others make us hold. Each part depends on less than the
// one before, so that no two can wait for each other:
//
//   - requests and replies of clients, until the reply is written: waits for
//     other members. A single client gets an eighth of it.
//   - bulk, large requests of members, until they are handled and on disk:
//     waits for this machine's disk.
//   - quick, replies of members and small requests, until they are handled:
//     waits for the receiver alone.
type budgets struct {
	clients, bulk, quick *budget
	perClient            int64
}

func newBudgets(total int64) budgets {
	return budgets{
		clients: newBudget(total / 2), perClient: total / 16,
		bulk: newBudget(total * 3 / 8), quick: newBudget(total / 8),
	}
}

// budget bounds bytes that many hold together, first come, first served. It
// may be overdrawn by the last one let in and by what is owed.
type budget struct {
	mu    sync.Mutex
	free  int64
	queue []*waiter
}

type waiter struct {
	bytes   int64
	granted chan struct{}
}

func newBudget(bytes int64) *budget { return &budget{free: bytes} }

// take waits until something is free and takes so many bytes; false when gone
// was closed first.
func (b *budget) take(bytes int64, gone <-chan struct{}) bool {
	b.mu.Lock()
	if b.free > 0 && len(b.queue) == 0 {
		b.free -= bytes
		b.mu.Unlock()
		return true
	}
	w := &waiter{bytes, make(chan struct{})}
	b.queue = append(b.queue, w)
	b.mu.Unlock()
	select {
	case <-w.granted:
		return true
	case <-gone:
	}
	b.mu.Lock()
	i := slices.Index(b.queue, w)
	if i >= 0 {
		b.queue = slices.Delete(b.queue, i, i+1)
	}
	b.mu.Unlock()
	if i < 0 {
		b.add(bytes) // it was granted meanwhile
	}
	return false
}

// add gives bytes back, or takes some without waiting when negative.
func (b *budget) add(bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += bytes
	for b.free > 0 && len(b.queue) > 0 {
		w := b.queue[0]
		b.queue = slices.Delete(b.queue, 0, 1)
		b.free -= w.bytes
		close(w.granted)
	}
}

// share is what one frame, and later its reply, hold of one or two budgets. A
// nil share holds nothing.
type share struct {
	of    []*budget
	bytes atomic.Int64
}

// takeShare waits for bytes of each budget in turn; nil when gone was closed
// first.
func takeShare(bytes int64, gone <-chan struct{}, of ...*budget) *share {
	s := &share{of: of}
	s.bytes.Store(bytes)
	for i, b := range of {
		if !b.take(bytes, gone) {
			s.of = of[:i]
			s.give()
			return nil
		}
	}
	return s
}

// owe holds more without waiting. Not after give.
func (s *share) owe(bytes int64) {
	if s == nil {
		return
	}
	s.bytes.Add(bytes)
	for _, b := range s.of {
		b.add(-bytes)
	}
}

// give lets go of it all; a second call does nothing.
func (s *share) give() {
	if s == nil {
		return
	}
	if bytes := s.bytes.Swap(0); bytes != 0 {
		for _, b := range s.of {
			b.add(bytes)
		}
	}
}

// admitMember makes a link to a member wait for memory for each frame.
func (t *Transport) admitMember(l *link) {
	l.admit(func(head byte, bytes int64) *share {
		if head&replyBit != 0 || bytes <= smallFrame {
			return takeShare(bytes+frameOverhead, l.done, t.budgets.quick)
		}
		return takeShare(bytes+frameOverhead, l.done, t.budgets.bulk)
	})
}

// admitClient does so for a client's link.
func (t *Transport) admitClient(l *link) {
	own := newBudget(t.budgets.perClient)
	l.admit(func(_ byte, bytes int64) *share {
		return takeShare(bytes+frameOverhead, l.done, own, t.budgets.clients)
	})
}
