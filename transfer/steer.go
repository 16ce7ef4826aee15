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

// steers reports whether it matters who gets which piece: this is a seed, the peer
// follows suggestions, and there is another to share with.
func (s *swarm) steers(c *conn) bool {
	if !c.follows || !s.complete() || s.halted() || s.fetching(2) < 2 {
		return false
	}
	if s.first == nil {
		s.first = picker.NewFirstCopies(s.pick, rand.New(rand.NewPCG(s.l.rnd.Uint64(), s.l.rnd.Uint64())))
	}
	return !s.first.Over()
}

// guide suggests to a peer what we would like to give it.
func (s *swarm) guide(c *conn) {
	if c.chokesIt || !s.steers(c) {
		return
	}
	var room [8]int
	for _, i := range s.first.Guide(c.id, s.fetching(len(s.conns)), s.l.now, room[:0]) {
		c.tell(wire.Message{ID: wire.Suggest, Index: uint32(i)})
	}
}

// mayServe reports whether a peer gets what it asks for now.
func (s *swarm) mayServe(c *conn, piece int) bool {
	if !s.steers(c) {
		return true
	}
	may := s.first.MayServe(c.id, piece, s.l.now)
	s.guide(c)
	return may
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
