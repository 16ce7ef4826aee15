package transfer

import (
	"errors"
	"fmt"
	"io"
	"slices"

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

// body is the answer to one request: a header, then bytes of files.
type body struct {
	ask
	ready   bool   // head and spans are set
	begun   bool   // some of it is written: nothing may come between
	gone    bool   // cancelled while it was being prepared
	head    []byte // of the header, what is not yet written
	spans   []storage.Span
	release func()
	room    [wire.PieceHeaderLen]byte
}

// open makes the body ready for sending.
func (b *body) open(spans []storage.Span, release func()) {
	b.ready, b.spans, b.release = true, spans, release
	b.head = wire.AppendPieceHeader(b.room[:0], uint32(b.piece), b.begin, b.size)
}

// end gives back what the body holds; one that is being prepared does so when
// it comes back.
func (b *body) end() {
	b.gone = true
	if b.release != nil {
		b.release()
		b.release = nil
	}
}

func (c *conn) onRequest(m wire.Message) {
	c.spoke = true
	s := c.s
	if m.Index >= uint32(s.geo.Pieces) || m.Length == 0 ||
		uint64(m.Begin)+uint64(m.Length) > uint64(s.pieceSize(int(m.Index))) {
		c.drop(badRequest, fmt.Errorf("request %d+%d of piece %d", m.Begin, m.Length, m.Index))
		return
	}
	a := ask{piece: int(m.Index), begin: m.Begin, size: m.Length}
	if c.chokesIt {
		if c.ignoredRequests++; c.ignoredRequests > maxIgnored {
			c.drop(requestFlood, errors.New("while choked"))
		} else if c.fast {
			c.reject(a)
		}
		return
	}
	if !s.have.Get(a.piece) {
		c.drop(badRequest, fmt.Errorf("piece %d was never announced", m.Index))
		return
	}
	if len(c.queue) >= maxQueue {
		c.drop(requestFlood, nil)
		return
	}
	if !s.mayServe(c, a.piece) {
		c.reject(a)
		return
	}
	c.queue = append(c.queue, a)
	c.wake()
}

func (c *conn) onCancel(m wire.Message) {
	is := func(a ask) bool { return a.piece == int(m.Index) && a.begin == m.Begin && a.size == m.Length }
	if i := slices.IndexFunc(c.queue, is); i >= 0 {
		if c.fast {
			c.reject(c.queue[i])
		}
		c.queue = slices.Delete(c.queue, i, i+1)
		return
	}
	c.dropBodies(func(b *body) bool { return is(b.ask) })
	c.wake() // there may be nothing left to send
}

// dropBodies forgets answers that were not begun.
func (c *conn) dropBodies(which func(b *body) bool) {
	c.bodies = slices.DeleteFunc(c.bodies, func(b *body) bool {
		if b.begun || !which(b) {
			return false
		}
		b.end()
		if c.fast {
			c.reject(b.ask)
		}
		return true
	})
}

func (c *conn) outputWaits() bool {
	return len(c.out) > c.outAt || len(c.bodies) > 0 || len(c.queue) > 0 || c.crypt.waits()
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
		n, err := c.write(left)
		switch {
		case c.state == closed:
			return
		case err == errNothing, err == errHeld:
			c.rests()
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

var (
	errNothing = errors.New("nothing to write")
	errHeld    = errors.New("over the limit of rate")
)

// write makes one system call.
func (c *conn) write(most int) (int, error) {
	if c.crypt != nil {
		return c.writeEncrypted()
	}
	return c.writeSome(most)
}

// writeSome puts out the next bytes. A block is not interrupted; before its
// header and between blocks all waiting messages go out.
func (c *conn) writeSome(most int) (int, error) {
	c.giveInfo()
	c.prepare()
	if c.state == closed {
		return 0, nil
	}
	var b *body
	if len(c.bodies) > 0 && c.bodies[0].ready {
		b = c.bodies[0]
		if !b.begun && !c.s.turns.Begin(&c.turn, c.l.now) {
			b = nil
			c.s.nextTurn()
		}
	}
	switch {
	case b != nil && b.begun && len(b.head) == 0:
		return c.sendBlock(b, most)
	case b != nil && b.begun:
		return c.sendSmall(nil, b)
	case b != nil || len(c.out) > c.outAt:
		return c.sendSmall(c.out[c.outAt:], b)
	}
	return 0, errNothing
}

// sendSmall sends messages, and behind them the header of a block, if any.
func (c *conn) sendSmall(messages []byte, b *body) (int, error) {
	var head []byte
	if b != nil {
		head = b.head
	}
	n, err := c.put(messages, head, b != nil)
	sent := min(max(n, 0), len(messages))
	if b != nil && n > len(messages) {
		b.begun = true
		b.head = head[n-len(messages):]
	}
	if c.outAt += sent; c.outAt == len(c.out) {
		c.out, c.outAt = c.out[:0], 0
		if cap(c.out) > 16<<10 {
			c.out = nil
		}
	}
	return max(n, 0), err
}

// sendBlock moves a part of the block from its file to the socket.
func (c *conn) sendBlock(b *body, most int) (int, error) {
	for len(b.spans) > 0 && b.spans[0].Len == 0 {
		b.spans = b.spans[1:]
	}
	if len(b.spans) == 0 {
		b.end()
		c.bodies = slices.Delete(c.bodies, 0, 1)
		return 0, nil
	}
	sp := &b.spans[0]
	room := c.upRoom()
	if c.upHeld || room <= 0 {
		c.holdUp()
		return 0, errHeld
	}
	n, err := c.sendSpan(sp, int(min(sp.Len, int64(min(most, room)))))
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
	c.l.counts.up.Add(int64(n))
	c.turn.Sent(n)
	c.sent(n)
	return n, nil
}

// sendSpan is sendfile(2), or a copy through the program where a file system
// cannot do that or the peer wants it encrypted.
func (c *conn) sendSpan(sp *storage.Span, n int) (int, error) {
	if c.crypt == nil {
		sent, err := sendFile(c.fd, int(sp.File.Fd()), sp.Off, n)
		if err != unix.EINVAL && err != unix.ENOSYS && err != unix.EOPNOTSUPP {
			return sent, err
		}
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
	return c.put(buf[:got], nil, false)
}
