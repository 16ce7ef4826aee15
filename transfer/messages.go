package transfer

import (
	"errors"
	"fmt"

	"chordtorrent/transfer/wire"
)

// dispatch handles one whole message of a peer; blocks do not come through
// here (receive.go). The slices of m are the loop's scratch: nobody keeps them.
func (c *conn) dispatch(m wire.Message) {
	if q := c.s.quest; q != nil && q.passesOver(m.ID) {
		return
	}
	switch m.ID {
	case wire.KeepAlive:
	case wire.Choke:
		c.onChoke()
	case wire.Unchoke:
		c.onUnchoke()
	case wire.Interested:
		c.onInterested()
	case wire.NotInterested:
		c.onNotInterested()
	case wire.Have:
		c.onHave(m.Index)
	case wire.Bitfield:
		c.onBitfield(m.Bits)
	case wire.Request:
		c.onRequest(m)
	case wire.Cancel:
		c.onCancel(m)
	case wire.ExtendedMsg:
		c.onExtended(m.Payload)
	case wire.HaveAll, wire.HaveNone, wire.Reject, wire.Suggest, wire.AllowedFast:
		if !c.fast {
			c.drop(outOfOrder, fmt.Errorf("%v was not negotiated", m.ID))
			return
		}
		c.onFast(m)
	case wire.Port:
		// Sent by clients with a DHT whether or not we have one.
	default:
		// What was not negotiated in the handshake must not come.
		c.drop(outOfOrder, fmt.Errorf("%v was not negotiated", m.ID))
	}
}

// onChoke ends what was asked for, but for a peer that rejects what it will not
// answer (BEP 6).
func (c *conn) onChoke() {
	c.chokesUs = true
	if !c.fast {
		c.giveUpAll()
	}
}

func (c *conn) onUnchoke() {
	c.chokesUs = false
	c.gotBlock = c.l.now
	c.wake()
}

func (c *conn) onInterested() {
	if c.wantsUs {
		return
	}
	c.wantsUs = true
	c.s.rechokeSoon(c)
}

func (c *conn) onNotInterested() {
	c.wantsUs = false
	if !c.chokesIt {
		c.setChoke(true)
		c.s.nextRechoke = c.l.now
	}
}

// onHave is O(1) but for the picker; a peer may announce a piece twice, but not
// for ever.
func (c *conn) onHave(piece uint32) {
	c.spoke = true
	if int(piece) >= c.bits.Len() {
		c.drop(noSuchPiece, fmt.Errorf("have %d of %d", piece, c.bits.Len()))
		return
	}
	i := int(piece)
	if c.bits.Get(i) {
		c.idle()
		return
	}
	c.bits.Set(i)
	c.has++
	c.s.pick.PeerHas(c.id, i)
	c.s.arrived(i)
	if !c.s.have.Get(i) {
		c.becomeInterested()
	}
	c.leaveIfBothSeeds()
}

// onBitfield is onWhole, in bits.
func (c *conn) onBitfield(payload []byte) {
	bits, err := wire.FromBytes(payload, c.bits.Len())
	if err != nil {
		c.drop(badBitfield, err)
		return
	}
	c.onWhole(bits)
}

// onWhole takes what the peer has, all of it. BEP 3 wants it first and once, but
// aria2 says so again instead of many haves: what is new in it counts as those.
func (c *conn) onWhole(bits *wire.Bits) {
	if c.spoke {
		c.onMore(bits)
		return
	}
	c.spoke = true
	c.bits = bits
	c.has = bits.Count()
	c.lead = c.has - c.s.have.Count()
	if c.picking {
		c.s.pick.PeerBits(c.id, bits.Clone())
	}
	c.updateInterest()
	c.leaveIfBothSeeds()
}

// onMore takes what is new of what the peer has. That it should have lost something
// is not believed.
func (c *conn) onMore(bits *wire.Bits) {
	before := c.has
	for i := range bits.Each() {
		if c.state == open && !c.bits.Get(i) {
			c.onHave(uint32(i))
		}
	}
	if c.state == open && c.has == before {
		c.idle()
	}
}

// updateInterest says whether the peer has anything that is missing here.
func (c *conn) updateInterest() {
	if c.picking && !c.s.complete() && !c.s.halted() && (c.s.pick.Interesting(c.id) || len(c.refused) > 0) {
		c.becomeInterested()
		return
	}
	if c.wantIt {
		c.wantIt = false
		c.tell(wire.Message{ID: wire.NotInterested})
	}
}

func (c *conn) becomeInterested() {
	if !c.wantIt {
		c.wantIt = true
		c.tell(wire.Message{ID: wire.Interested})
	} else if len(c.asked) == 0 && !c.chokesUs {
		c.wake()
	}
}

// rechokeSoon serves a newly interested peer at once when there is a slot, and
// lets the choker decide otherwise.
func (s *swarm) rechokeSoon(c *conn) {
	served := 0
	for _, o := range s.conns {
		if o.state == open && !o.chokesIt {
			served++
		}
	}
	if served < s.l.e.cfg.UploadSlots && c.fetches() {
		c.setChoke(false)
	}
}

func (c *conn) setChoke(choke bool) {
	c.chokesIt = choke
	c.chokedAt = c.l.now
	if choke {
		c.tell(wire.Message{ID: wire.Choke})
		c.s.ungive(c)
		c.dropBodies(func(*body) bool { return true })
		if c.fast {
			for _, a := range c.queue {
				c.reject(a)
			}
		}
		c.queue = c.queue[:0]
	} else {
		c.tell(wire.Message{ID: wire.Unchoke})
		c.s.guide(c)
	}
}

// tell says one message to the peer, in this turn's batch.
func (c *conn) tell(m wire.Message) {
	if c.state == closed {
		return
	}
	c.out = m.Append(c.out)
	c.said()
}

// say is tell for bytes that are not a message.
func (c *conn) say(b []byte) {
	c.out = append(c.out, b...)
	c.said()
}

// said bounds what waits for a peer that does not read.
func (c *conn) said() {
	if len(c.out)-c.outAt > maxOutput+9*c.s.have.Len() {
		c.drop(slowReader, errors.New("its messages pile up"))
		return
	}
	c.wake()
}
