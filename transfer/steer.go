package transfer

import (
	"time"

	"chordtorrent/transfer/wire"
)

// A seed's upload is what bounds a swarm that begins: whatever it sends twice, before
// each piece has left once, everybody waits for. Left to themselves, peers that know
// of nobody but the seed ask for the same pieces now and then, as none sees what the
// others have asked for. So the seed gives different pieces to different peers, for
// as long as there are pieces that nobody else has: to our own, which follow, it
// suggests what it would like to give, and rejects what another is getting (BEP 6).

const (
	// mostAhead is how many pieces are set aside for a peer beyond those that it has
	// asked for.
	mostAhead = 3
	// onItsWay is for how long a piece that one peer has asked for is kept from the
	// others when there is nothing else to give: they will have it from that one.
	onItsWay = time.Second
	// followWithin is how long a peer may ask for other pieces than those suggested.
	followWithin = 2 * time.Second
)

// gift is a piece that no peer has yet and one was given.
type gift struct {
	to    *conn
	asked time.Time // by to; zero: not yet
}

// steering is what a seed knows of first copies. The zero value knows nothing yet.
type steering struct {
	fresh []int32 // pieces to give; some may be given or had by now
	given map[int]*gift
	stale bool // somebody has left, and with it perhaps what only it had
}

// fetching counts those who download here, up to most.
func (s *swarm) fetching(most int) (n int) {
	for _, c := range s.conns {
		if c.state == open && c.wantsUs && !c.isSeed() {
			if n++; n == most {
				break
			}
		}
	}
	return n
}

// steers reports whether first copies matter here: this is a seed, and there are
// at least two to share among.
func (s *swarm) steers() bool {
	if !s.complete() || s.halted() || s.pick == nil || s.fetching(2) < 2 {
		return false
	}
	if st := &s.steer; st.stale || st.given == nil {
		s.lookForFresh()
	}
	return true
}

// lookForFresh finds the pieces that nobody connected has and nobody was given.
func (s *swarm) lookForFresh() {
	st := &s.steer
	st.stale = false
	if st.given == nil {
		st.given = make(map[int]*gift)
	}
	st.fresh = st.fresh[:0]
	for i := range s.geo.Pieces {
		if s.pick.Availability(i) == 0 && st.given[i] == nil {
			st.fresh = append(st.fresh, int32(i))
		}
	}
	s.l.rnd.Shuffle(len(st.fresh), func(a, b int) { st.fresh[a], st.fresh[b] = st.fresh[b], st.fresh[a] })
}

// nextFresh is a piece that nobody has and nobody was given; false for none.
func (s *swarm) nextFresh() (piece int, ok bool) {
	st := &s.steer
	for len(st.fresh) > 0 {
		i := int(st.fresh[len(st.fresh)-1])
		if s.pick.Availability(i) == 0 && st.given[i] == nil {
			return i, true
		}
		st.fresh = st.fresh[:len(st.fresh)-1]
	}
	return 0, false
}

// guide sets pieces aside for a peer of ours and tells it so. Of a few pieces for
// many peers each gets fewer: what is set aside for one that is slow, others wait for.
func (s *swarm) guide(c *conn) {
	if !c.follows || c.chokesIt || !s.steers() {
		return
	}
	ahead := min(max(len(s.steer.fresh)/(4*s.fetching(len(s.conns))), 1), mostAhead)
	for c.ahead < ahead {
		i, ok := s.nextFresh()
		if !ok {
			return
		}
		s.steer.given[i] = &gift{to: c}
		c.ahead++
		c.guided = s.l.now
		c.tell(wire.Message{ID: wire.Suggest, Index: uint32(i)})
	}
}

// mayServe reports whether the peer may have what it asks for now. If not, it was
// suggested something else, or will have it from another in a moment.
func (s *swarm) mayServe(c *conn, piece int) bool {
	if !c.follows || !s.steers() {
		return true
	}
	g := s.steer.given[piece]
	switch {
	case g != nil && g.to == c:
		if g.asked.IsZero() {
			g.asked = s.l.now
			c.ahead--
			s.guide(c)
		}
		return true
	case g == nil && s.pick.Availability(piece) == 0:
		s.steer.given[piece] = &gift{to: c, asked: s.l.now}
		s.guide(c)
		return true
	}
	// Another is getting it, or has it.
	if c.ahead > 0 && s.l.now.Sub(c.guided) > followWithin {
		c.follows = false // it does not do as suggested, and must not wait for ever
		s.takeGifts(c)
		return true
	}
	if _, more := s.nextFresh(); more {
		s.guide(c)
		return false
	}
	return g == nil || g.asked.IsZero() || s.l.now.Sub(g.asked) >= onItsWay
}

// arrived notes that a peer has a piece: that one has left.
func (s *swarm) arrived(piece int) {
	if g := s.steer.given[piece]; g != nil {
		s.forgetGift(piece, g)
	}
}

func (s *swarm) forgetGift(piece int, g *gift) {
	delete(s.steer.given, piece)
	if g.asked.IsZero() {
		g.to.ahead--
	}
}

// takeGifts frees what c was given and has not got: it has gone, or is choked.
func (s *swarm) takeGifts(c *conn) {
	for i, g := range s.steer.given {
		if g.to == c {
			s.forgetGift(i, g)
		}
	}
	s.steer.stale = true
}
