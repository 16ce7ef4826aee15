package transfer

import (
	"errors"
	"fmt"

	"chordtorrent/transfer/picker"
	"chordtorrent/transfer/wire"
)

// tailRoom is how much is read behind the rest of a block in the same call: the
// next header and a few small messages. More would have to be copied when it is
// the beginning of the next block.
const tailRoom = 512

// inflow is the block that is coming in. left is what is still to come; with
// dst nil it is thrown away, else dst[len(dst)-left:] is where it goes.
type inflow struct {
	left  int
	dst   []byte
	piece int
	begin uint32
	size  uint32
	// lent: dst is a buffer of its own and not part of the piece's, because
	// somebody else writes there too, or nobody keeps a buffer for the piece.
	lent bool
}

// read takes what the socket has, up to a fair share: the rest of a block
// straight to its place, everything else through the loop's scratch.
func (c *conn) read() {
	for taken := 0; taken < readPerTurn && c.state == open; {
		allowed := c.downRoom()
		if c.downHeld || allowed <= 0 {
			c.holdDown()
			return
		}
		var into []byte
		room := c.l.scratch
		if c.in.left > 0 {
			if c.in.dst != nil {
				into = c.in.dst[len(c.in.dst)-c.in.left:]
				if room = room[:tailRoom]; len(into) > allowed {
					into, room = into[:allowed], nil
				}
			}
		} else {
			room = room[copy(room, c.rest):]
		}
		room = room[:min(len(room), allowed)]
		n, err := receive(c.fd, into, room)
		if n <= 0 {
			c.readFailed(err)
			return
		}
		c.crypt.decrypt(into[:min(n, len(into))], room[:max(n-len(into), 0)])
		c.heard = c.l.now
		taken += n
		c.received(n)
		c.took(n)
		if n < len(into)+len(room) {
			return // drained; if more has come meanwhile, the poller says so
		}
	}
}

// took accounts for n bytes that have been read: first for the block that was
// coming in, then as messages in the scratch buffer.
func (c *conn) took(n int) {
	buf := c.l.scratch
	if c.in.left > 0 {
		part := min(n, c.in.left)
		c.blockBytes(part)
		if c.in.dst == nil {
			buf = buf[part:]
		}
		n -= part
		c.in.left -= part
		if c.in.left > 0 {
			return
		}
		c.endBlock()
	} else {
		n += len(c.rest)
	}
	c.parse(buf[:n])
}

// parse handles the messages in b, which is what follows on the last whole
// message or block, and keeps what is not complete.
func (c *conn) parse(b []byte) {
	for c.state == open {
		h, n, err := wire.ParseHeader(b, c.s.lim)
		if err != nil {
			c.dropMalformed(err)
			return
		}
		if n == 0 {
			break
		}
		if h.ID == wire.Piece {
			if !c.beginBlock(h) {
				return
			}
			b = b[n:]
			part := min(len(b), c.in.left)
			if c.in.dst != nil {
				copy(c.in.dst[len(c.in.dst)-c.in.left:], b[:part])
			}
			c.blockBytes(part)
			b = b[part:]
			c.in.left -= part
			if c.in.left > 0 {
				break
			}
			c.endBlock()
			continue
		}
		m, n, err := wire.Parse(b, c.s.lim)
		if err != nil {
			c.dropMalformed(err)
			return
		}
		if n == 0 {
			break
		}
		b = b[n:]
		c.dispatch(m)
	}
	if c.state == open {
		c.rest = append(c.rest[:0], b...)
		if len(b) == 0 && cap(c.rest) > 4096 {
			c.rest = nil
		}
	}
}

func (c *conn) dropMalformed(err error) {
	if errors.Is(err, wire.ErrTooLong) {
		c.drop(tooLong, err)
		return
	}
	c.drop(malformed, err)
}

// blockBytes counts payload as it comes in, so that a slow block still shows
// that the peer is alive.
func (c *conn) blockBytes(n int) {
	c.down.add(n)
	c.s.came(n)
	c.gotBlock = c.l.now
}

// beginBlock decides where an announced block goes. Not every block was asked
// for: one that was given up, cancelled or choked away may be on its way still,
// and is taken if it is of use. More than that is not believed.
func (c *conn) beginBlock(h wire.Header) bool {
	s := c.s
	if int64(h.Index) >= int64(s.geo.Pieces) || h.Length == 0 ||
		uint64(h.Begin)+uint64(h.Length) > uint64(s.pieceSize(int(h.Index))) {
		c.drop(noSuchPiece, fmt.Errorf("block %d+%d of piece %d", h.Begin, h.Length, h.Index))
		return false
	}
	in := inflow{left: int(h.Length), piece: int(h.Index), begin: h.Begin, size: h.Length}
	if !c.answered(in) {
		c.excess -= int64(h.Length)
		if c.excess < 0 {
			c.drop(unrequested, fmt.Errorf("block %d+%d of piece %d", h.Begin, h.Length, h.Index))
			return false
		}
	}
	if p := s.partials[in.piece]; p != nil && !p.hashing && s.whole(in) {
		if p.claim(c, in) {
			in.dst = s.buffer(p)[in.begin : in.begin+in.size]
		} else if !p.hasAll(in) {
			in.dst = make([]byte, in.size)
			in.lent = true
		}
	}
	c.in = in
	return true
}

// whole tells whether a range consists of whole blocks.
func (s *swarm) whole(in inflow) bool {
	end := in.begin + in.size
	return in.begin%blockLen == 0 && (end%blockLen == 0 || end == s.pieceSize(in.piece))
}

// eachBlock yields the picker's blocks of a range of whole blocks.
func (s *swarm) eachBlock(piece int, begin, size uint32, do func(b picker.Block)) {
	for at := begin; at < begin+size; at += blockLen {
		do(picker.Block{Piece: piece, Begin: at, Length: min(blockLen, begin+size-at)})
	}
}

// endBlock is called when the last byte of a block is here.
func (c *conn) endBlock() {
	in := c.in
	c.in = inflow{}
	s := c.s
	c.snubbed, c.snubs = false, 0
	c.grow(int(in.size))
	c.wake()
	p := s.partials[in.piece]
	if p == nil || p.hashing || in.dst == nil {
		s.waste(int64(in.size))
		return
	}
	if !in.lent {
		p.unclaim(c, in)
	}
	s.eachBlock(in.piece, in.begin, in.size, func(b picker.Block) {
		var lent []byte
		if in.lent {
			lent = in.dst[b.Begin-in.begin:]
		}
		s.received(p, b, c.id, c.from, lent)
	})
	if p.full() {
		s.hash(p)
	} else {
		s.giveBack(p)
	}
}

// received takes a block that somebody has sent, from its place in the buffer of its
// piece or, if that is given, from where it was lent. Others that were asked for it
// learn that it is here.
func (s *swarm) received(p *partial, b picker.Block, id picker.PeerID, from *source, lent []byte) {
	fresh, others := s.pick.Received(id, b)
	if !fresh {
		s.waste(int64(b.Length))
		return
	}
	if lent != nil {
		p.push(b, lent)
	}
	p.put(b, from)
	for _, id := range others {
		if o := s.conns[id]; o != nil {
			o.cancel(b)
		}
	}
}

// endInflow is called when the connection ends in the middle of a block.
func (c *conn) endInflow() {
	if c.in.left > 0 && c.in.dst != nil && !c.in.lent {
		if p := c.s.partials[c.in.piece]; p != nil {
			p.unclaim(c, c.in)
			c.s.giveBack(p)
		}
	}
	c.in = inflow{}
}
