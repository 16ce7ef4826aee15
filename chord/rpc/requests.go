package rpc

import (
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

const (
	// maxInFlight is how many requests of one client may be under way; more
	// stay unread until a reply has been written.
	maxInFlight = 128
	// defaultLeft is the time for a request that says nothing of it, maxLeft
	// the most that one may ask for.
	defaultLeft = 10 * time.Second
	maxLeft     = time.Minute
)

// clientFrames makes the handler of a client's frames.
func (t *Transport) clientFrames(l *link) func(frame) error {
	slots := make(chan struct{}, maxInFlight)
	from := addrPort(l.conn.RemoteAddr())
	return func(f frame) error {
		if f.reply || roleOf(f.kind) != request {
			return fmt.Errorf("%w: number %d from a client", ErrUnknownKind, f.kind)
		}
		op, err := decodeOf(l.speaks, f.kind, f.body)
		if err != nil {
			return err
		}
		select {
		case slots <- struct{}{}:
		case <-l.done:
			return net.ErrClosed
		}
		left := f.left
		if left == 0 {
			left = defaultLeft
		}
		t.cfg.OnRequest(Request{
			From:     from,
			Op:       op,
			Deadline: time.Now().Add(min(left, maxLeft)),
			Gone:     l.done,
			Reply:    t.replier(l, f, func() { <-slots }),
		})
		return nil
	}
}

// replier makes the Reply of one request; slot gives its slot back.
func (t *Transport) replier(l *link, f frame, slot func()) func(any) {
	id, held := f.id, f.held // and not the body
	done := func() {
		slot()
		held.give()
	}
	var replied atomic.Bool
	return func(answer any) {
		if replied.Swap(true) {
			return
		}
		tk := ticket{seq: id, done: done, held: held}
		kind, ok := kindOf(answer)
		if !ok || roleOf(kind) != reply {
			t.log.Error("reply is not of a kind that clients know", "err", fmt.Sprintf("%T", answer))
			answer = Refused{Reason: "the ring member had no valid answer"}
		}
		err := l.out.add(tk, answer, true, 0)
		if err != nil && err != errBoxClosed {
			t.counters.add("unsendable")
			err = l.out.add(tk, Refused{Reason: printable(err.Error())}, true, 0)
		}
		if err != nil {
			done()
		}
	}
}

// addrPort is an address without its zone's name, zero if it is not TCP's.
func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
