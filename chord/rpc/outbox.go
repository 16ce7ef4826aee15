package rpc

import (
	"errors"
	"sync"
	"time"

	"chordtorrent/chord"
)

// Limits of what waits for one member. A client's replies are limited by the
// number of its requests, and by the budget that these have taken from.
const (
	maxQueuedFrames = 4096
	maxQueuedBytes  = 16 << 20
)

var (
	errQueueFull = errors.New("queue full")
	errBoxClosed = errors.New("connection closed")
)

// ticket remembers of a queued frame what is needed when it cannot be sent.
type ticket struct {
	bytes   int
	to      chord.Ref
	seq     uint64
	request bool   // OnUnreachable wants to know
	sent    bool   // it went out, or a part of it
	done    func() // called once when it was written or given up; may be nil
	held    *share // what it answers has taken; owes the frame's bytes too until done
}

// batch is frames in the order to be written, and a ticket for each.
type batch struct {
	bytes   []byte
	tickets []ticket
}

// outbox collects frames for one connection: any goroutine adds, the
// connection's writer takes all there is and writes it at once, which is what
// batches small messages under load.
type outbox struct {
	wake chan struct{} // has room for one: there is something to take, or the end

	mu        sync.Mutex
	b         batch
	spare     []byte // the writer's last buffer, empty
	limited   bool
	closed    bool // nothing is added any more
	finishing bool // the writer ends when it has written what is there
}

func newOutbox(limited bool) *outbox {
	return &outbox{wake: make(chan struct{}, 1), limited: limited}
}

// add encodes a message behind what waits. Errors: errQueueFull, errBoxClosed,
// and those of Encode.
func (o *outbox) add(t ticket, msg any, isReply bool, left time.Duration) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.finishing {
		return errBoxClosed
	}
	if o.limited && (len(o.b.tickets) >= maxQueuedFrames || len(o.b.bytes) >= maxQueuedBytes) {
		return errQueueFull
	}
	if o.b.bytes == nil {
		o.b.bytes, o.spare = o.spare, nil
	}
	bytes, err := appendFrame(o.b.bytes, msg, t.seq, isReply, left)
	if err != nil {
		return err
	}
	t.bytes = len(bytes) - len(o.b.bytes)
	t.held.owe(int64(t.bytes))
	o.b.bytes = bytes
	o.b.tickets = append(o.b.tickets, t)
	o.signal()
	return nil
}

// addBatch puts frames taken from another outbox behind what waits; false when
// this one is closed or full.
func (o *outbox) addBatch(b batch) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.finishing || (o.limited && len(o.b.tickets)+len(b.tickets) > maxQueuedFrames) {
		return false
	}
	o.b.bytes = append(o.b.bytes, b.bytes...)
	o.b.tickets = append(o.b.tickets, b.tickets...)
	o.signal()
	return true
}

// take gives all that waits; spare is a buffer to reuse. more is false at the end.
func (o *outbox) take(spare []byte) (b batch, more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.spare == nil && cap(spare) > 0 && cap(spare) <= 4*keepBuffer {
		o.spare = spare[:0]
	}
	b, o.b = o.b, batch{}
	return b, !o.closed && (!o.finishing || len(b.tickets) > 0)
}

// close ends the outbox and gives what nobody took.
func (o *outbox) close() batch {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	b := o.b
	o.b = batch{}
	o.signal()
	return b
}

// finish lets the writer write what waits, and end.
func (o *outbox) finish() {
	o.mu.Lock()
	o.finishing = true
	o.signal()
	o.mu.Unlock()
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}
