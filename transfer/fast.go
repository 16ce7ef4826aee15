package transfer

import (
	"errors"
	"fmt"
	"time"

	"chordtorrent/transfer/wire"
)

// The fast extension (BEP 6), with peers that claim it in their handshake: what a
// peer has is said in one message; a request that will not be answered is rejected,
// and not forgotten; a peer may say what it would like to be asked for.
//
// Allowed fast pieces, which may be asked for while choked, are of no use here:
// everybody is served who can be.

const (
	// refuseFor is how long a piece that a peer has rejected is not asked of it.
	refuseFor = 2 * time.Second
	// maxIdle is how many messages that change nothing a peer may send.
	maxIdle = 1000
)

// refusal is a piece that a peer has and would not give just now.
type refusal struct {
	piece int
	until time.Time
}

// sayHave tells a peer what is here, as the first message (BEP 3, BEP 6).
func (c *conn) sayHave() {
	have := c.s.have
	if c.shown != nil {
		have = c.shown
	}
	switch {
	case c.fast && have.None():
		c.tell(wire.Message{ID: wire.HaveNone})
	case c.fast && have.All():
		c.tell(wire.Message{ID: wire.HaveAll})
	case !have.None():
		c.tell(wire.Message{ID: wire.Bitfield, Bits: have.Bytes()})
	}
}

// tellHave tells a peer of a piece that is new here. One of ours that has it already,
// and has not everything, learns of it when all is here: in a swarm of many small
// pieces these messages are many, and such a one concerns nobody. A seed hears of all,
// as it gives first what nobody has.
func (c *conn) tellHave(piece int) {
	if c.follows && c.bits.Get(piece) && !c.isSeed() && !c.s.complete() {
		c.owed = append(c.owed, piece)
		return
	}
	c.tell(wire.Message{ID: wire.Have, Index: uint32(piece)})
}

// tellRest says what tellHave has left out.
func (c *conn) tellRest() {
	for _, piece := range c.owed {
		c.tell(wire.Message{ID: wire.Have, Index: uint32(piece)})
	}
	c.owed = nil
}

// onFast handles the messages of the extension.
func (c *conn) onFast(m wire.Message) {
	switch m.ID {
	case wire.HaveAll, wire.HaveNone:
		bits := wire.NewBits(c.bits.Len())
		if m.ID == wire.HaveAll {
			bits.SetAll()
		} else if c.spoke {
			c.drop(outOfOrder, errors.New("that it has nothing, after other messages"))
			return
		}
		c.onWhole(bits)
	case wire.Reject:
		c.onReject(m)
	case wire.Suggest:
		c.onSuggest(m.Index)
	case wire.AllowedFast:
		if int64(m.Index) >= int64(c.bits.Len()) {
			c.drop(noSuchPiece, fmt.Errorf("allowed fast %d of %d", m.Index, c.bits.Len()))
		}
	}
}

// onReject frees what the peer will not send. It is not asked for that piece
// again for a moment, unless it suggests it.
func (c *conn) onReject(m wire.Message) {
	for i, a := range c.asked {
		if a.piece != int(m.Index) || a.begin != m.Begin || a.size != m.Length {
			continue
		}
		c.giveUp(i)
		c.excess -= int64(a.size)
		c.gotBlock = c.l.now // an answer all the same
		if !c.chokesUs {
			c.refuse(a.piece)
		}
		c.s.wakeAll()
		return
	}
	// One that was cancelled, or given up for its silence.
	c.excess = max(c.excess-int64(m.Length), 0)
	c.idle()
}

// refuse has the picker leave out a piece of the peer's for a while.
func (c *conn) refuse(piece int) {
	if !c.picking || c.s.have.Get(piece) {
		return
	}
	c.s.pick.PeerLacks(c.id, piece)
	c.refused = append(c.refused, refusal{piece, c.l.now.Add(refuseFor)})
}

// forgive has the picker see again what the peer refused until now, or, with a
// piece, that one.
func (c *conn) forgive(piece int) {
	kept := c.refused[:0]
	for _, r := range c.refused {
		if r.piece != piece && c.l.now.Before(r.until) {
			kept = append(kept, r)
			continue
		}
		c.s.pick.PeerHas(c.id, r.piece)
	}
	c.refused = kept
}

// onSuggest takes a piece that the peer would like to give.
func (c *conn) onSuggest(piece uint32) {
	if int64(piece) >= int64(c.bits.Len()) {
		c.drop(noSuchPiece, fmt.Errorf("suggest %d of %d", piece, c.bits.Len()))
		return
	}
	i := int(piece)
	if !c.picking || c.s.have.Get(i) || !c.bits.Get(i) {
		c.idle()
		return
	}
	c.forgive(i)
	c.s.pick.Suggest(c.id, i)
	c.wake()
}

// reject says that a request will not be answered.
func (c *conn) reject(a ask) {
	c.tell(wire.Message{ID: wire.Reject, Index: uint32(a.piece), Begin: a.begin, Length: a.size})
}

// idle counts messages that change nothing, of which a peer may send some.
func (c *conn) idle() {
	if c.idles++; c.idles > maxIdle+c.bits.Len() {
		c.drop(idleFlood, nil)
	}
}
