package transfer

import (
	"math/rand/v2"

	"chordtorrent/transfer/picker"
	"chordtorrent/transfer/wire"
)

// fetching counts those who download here, up to most.
func (s *swarm) fetching(most int) (n int) {
	for _, c := range s.conns {
		if c.state == open && c.wantsUs && c.fetches() {
			if n++; n == most {
				break
			}
		}
	}
	return n
}

// A peer of ours is suggested pieces, and refused others (BEP 6). Another client sees
// only those that it should ask for, one after the other, as if this were not a seed
// (BEP 16). Both only as long as there is somebody to share with, and something that
// has not left.

// steers reports whether it matters who gets which piece: this is a seed, the peer
// can be steered, and there is another to share with.
func (s *swarm) steers(c *conn) bool {
	if !c.follows && c.shown == nil || !s.complete() || s.halted() || s.fetching(2) < 2 {
		return false
	}
	return !s.firstCopies().Over()
}

func (s *swarm) firstCopies() *picker.FirstCopies {
	if s.first == nil {
		s.first = picker.NewFirstCopies(s.pick, rand.New(rand.NewPCG(s.l.rnd.Uint64(), s.l.rnd.Uint64())))
	}
	return s.first
}

// guide tells a peer what we would like to give it.
func (s *swarm) guide(c *conn) {
	if c.shown == nil && (c.chokesIt || !s.steers(c)) {
		return
	}
	var room [8]int
	for _, i := range s.first.Guide(c.id, s.fetching(len(s.conns)), s.l.now, room[:0]) {
		if c.shown == nil {
			c.tell(wire.Message{ID: wire.Suggest, Index: uint32(i)})
		} else if !c.shown.Get(i) {
			c.shown.Set(i)
			c.tell(wire.Message{ID: wire.Have, Index: uint32(i)})
		}
	}
}

// mayServe reports whether a peer gets what it asks for now. Whoever is shown only what
// it may ask for is not refused that.
func (s *swarm) mayServe(c *conn, piece int) bool {
	if !s.steers(c) {
		return true
	}
	may := true
	if c.shown == nil {
		may = s.first.MayServe(c.id, piece, s.l.now)
	} else {
		s.first.Asked(c.id, piece, s.l.now)
	}
	s.guide(c)
	return may
}

// hide decides, before anything is said, whether a new peer is shown piece after piece.
// Its client is told by its peer id, as it has not introduced itself yet (BEP 20).
func (s *swarm) hide(c *conn) {
	own := s.l.e.cfg.PeerID
	if s.pick == nil || !s.complete() || s.halted() || [3]byte(c.peerID[:3]) == [3]byte(own[:3]) || !s.sharing() {
		return
	}
	if s.firstCopies().More() {
		c.shown = wire.NewBits(s.have.Len())
	}
}

// sharing reports whether two or more who are not complete are connected.
func (s *swarm) sharing() bool {
	n := 0
	for _, c := range s.conns {
		if c.state == open && c.fetches() {
			n++
		}
	}
	return n > 1
}

// showAll ends the hiding when it serves no purpose any more: somebody has or gets each
// piece, or there is nobody to share with.
func (s *swarm) showAll() {
	if s.first == nil || s.sharing() && s.first.More() {
		return
	}
	for _, c := range s.conns {
		if c.shown == nil {
			continue
		}
		for i := range s.geo.Pieces {
			if !c.shown.Get(i) {
				c.tell(wire.Message{ID: wire.Have, Index: uint32(i)})
			}
		}
		c.shown = nil
	}
}

// arrived notes that a peer has a piece: that one has left.
func (s *swarm) arrived(piece int) {
	if s.first != nil {
		s.first.Arrived(piece)
	}
}

// ungive frees what was set aside for a peer that has gone or is choked.
func (s *swarm) ungive(c *conn) {
	if s.first != nil {
		s.first.Gone(c.id)
	}
}
