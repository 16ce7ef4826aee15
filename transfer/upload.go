package transfer

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"chordtorrent/transfer/poller"
	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

const (
	writePerTurn = 512 << 10 // bytes per connection; then it is the others' turn
	// Requests of a peer that wait. We say a smaller number in the extension
	// handshake; whoever does not know it asks for some hundreds at most.
	maxQueue = 2048
	// A request that crossed our choke is nobody's fault; thousands are.
	maxIgnored = 5000
)

// body is the block that is being sent: its header, then bytes of files.
type body struct {
	active  bool
	head    []byte // of the header, what is not yet written
	begun   bool   // some of the header is written: nothing may come between
	spans   []storage.Span
	release func()
	room    [wire.PieceHeaderLen]byte
}

func (b *body) end() {
	if b.release != nil {
		b.release()
	}
	*b = body{}
}

func (c *conn) onRequest(m wire.Message) {
	c.spoke = true
	s := c.s
	if m.Index >= uint32(s.geo.Pieces) || m.Length == 0 ||
		uint64(m.Begin)+uint64(m.Length) > uint64(s.pieceSize(int(m.Index))) {
		c.drop(badRequest, fmt.Errorf("request %d+%d of piece %d", m.Begin, m.Length, m.Index))
		return
	}
	if c.chokesIt {
		if c.ignoredRequests++; c.ignoredRequests > maxIgnored {
			c.drop(requestFlood, errors.New("while choked"))
		}
		return
	}
	if !s.have.Get(int(m.Index)) {
		c.drop(badRequest, fmt.Errorf("piece %d was never announced", m.Index))
		return
	}
	if len(c.queue) >= maxQueue {
		c.drop(requestFlood, nil)
		return
	}
	c.queue = append(c.queue, ask{piece: int(m.Index), begin: m.Begin, size: m.Length})
	c.wake()
}

func (c *conn) onCancel(m wire.Message) {
	for i, a := range c.queue {
		if a.piece == int(m.Index) && a.begin == m.Begin && a.size == m.Length {
			c.queue = append(c.queue[:i], c.queue[i+1:]...)
			return
		}
	}
}

func (c *conn) outputWaits() bool {
	return len(c.out) > c.outAt || c.body.active || len(c.queue) > 0
}

// flush is called once a turn for a connection that was woken: it asks for
// blocks, then writes what there is to say and to send until the socket takes
// no more or the turn's share is used up.
func (c *conn) flush() {
	if c.state == closed || c.state == connecting {
		return
	}
	if c.state == open {
		c.fill()
	}
	if c.blocked {
		return
	}
	for left := writePerTurn; left > 0; {
		n, err := c.writeSome(left)
		switch {
		case c.state == closed:
			return
		case err == errNothing:
			c.watchFor(poller.Read)
			return
		case err != nil && again(err):
			c.blocked = true
			c.watchFor(poller.Read | poller.Write)
			return
		case err != nil:
			c.drop(endOf(err), err)
			return
		}
		left -= n
		c.wrote = c.l.now
	}
	c.wake()
}

// errNothing says that there is nothing to write.
var errNothing = errors.New("nothing to write")

// writeSome makes one system call. A block is not interrupted; before its
// header and between blocks all waiting messages go out.
func (c *conn) writeSome(most int) (int, error) {
	b := &c.body
	switch {
	case b.begun && len(b.head) > 0, b.active && !b.begun && len(c.out) == c.outAt:
		n, err := send(c.fd, b.head, true)
		if n > 0 {
			b.begun = true
			b.head = b.head[n:]
		}
		return max(n, 0), err
	case b.begun:
		return c.sendBlock(most)
	case len(c.out) > c.outAt:
		n, err := send(c.fd, c.out[c.outAt:], b.active || len(c.queue) > 0)
		c.outAt += max(n, 0)
		if c.outAt == len(c.out) {
			c.out, c.outAt = c.out[:0], 0
			if cap(c.out) > 16<<10 {
				c.out = nil
			}
		}
		return max(n, 0), err
	case len(c.queue) > 0:
		c.nextBlock()
		return 0, nil
	}
	return 0, errNothing
}

// nextBlock begins the answer to the oldest request.
func (c *conn) nextBlock() {
	a := c.queue[0]
	c.queue = c.queue[1:]
	off := int64(a.piece)*int64(c.s.geo.PieceLen) + int64(a.begin)
	spans, release, err := c.s.t.spec.content.Spans(off, int64(a.size))
	if err != nil {
		c.s.fail(fmt.Errorf("serve piece %d: %w", a.piece, err))
		return
	}
	b := &c.body
	b.active, b.spans, b.release = true, spans, release
	b.head = wire.AppendPieceHeader(b.room[:0], uint32(a.piece), a.begin, a.size)
}

// sendBlock moves a part of the block from its file to the socket.
func (c *conn) sendBlock(most int) (int, error) {
	b := &c.body
	for len(b.spans) > 0 && b.spans[0].Len == 0 {
		b.spans = b.spans[1:]
	}
	if len(b.spans) == 0 {
		b.end()
		return 0, nil
	}
	sp := &b.spans[0]
	want := int(min(sp.Len, int64(most)))
	n, err := c.sendSpan(sp, want)
	if n <= 0 {
		if err == nil {
			err = io.ErrUnexpectedEOF
			c.s.fail(fmt.Errorf("serve %s: %w", sp.File.Name(), err))
		}
		return 0, err
	}
	sp.Off += int64(n)
	sp.Len -= int64(n)
	c.up.add(n)
	c.s.up.add(n)
	return n, nil
}

// sendSpan is sendfile(2), or a copy through the program where a file system
// cannot do that.
func (c *conn) sendSpan(sp *storage.Span, n int) (int, error) {
	sent, err := sendFile(c.fd, int(sp.File.Fd()), sp.Off, n)
	if err != unix.EINVAL && err != unix.ENOSYS && err != unix.EOPNOTSUPP {
		return sent, err
	}
	buf := c.l.scratch[:min(n, len(c.l.scratch))]
	got, err := sp.File.ReadAt(buf, sp.Off)
	if got == 0 {
		if err == io.EOF {
			return 0, nil
		}
		c.s.fail(err)
		return 0, err
	}
	return send(c.fd, buf[:got], false)
}
