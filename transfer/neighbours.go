package transfer

import (
	"net/netip"
	"time"
)

const (
	// lookEvery is how often a download looks whether there are better neighbours.
	lookEvery = 10 * time.Second
	// behindBy is the part of the pieces that others may have more and are not ahead. With
	// a 25th or a 50th the last of 40 and 100 were later (TestCrowdInVirtualTime).
	behindBy = 100
	// mostNeighbours is how many a download that is behind has in both directions.
	mostNeighbours = 20
	// seedCalls is how many of those who do not come a seed calls.
	seedCalls = 10
)

// dialable tells whether the torrent may want to connect to somebody, now or
// after a back-off.
func (s *swarm) dialable() bool {
	return !s.halted() && s.book.waiting(s.complete())
}

// dialMore connects outward as far as there are too few good connections. Whoever needs
// something comes to a seed; it calls those only who should have come and have not, as
// there are clients which believe that they cannot reach it.
func (s *swarm) dialMore() {
	if s.halted() {
		return
	}
	opened, good, all := 0, 0, 0
	for _, c := range s.conns {
		if c.outgoing {
			opened++
		}
		if c.good() {
			all++
			if c.outgoing {
				good++
			}
		}
	}
	most, enough := s.wanted()
	// Those that are not good keep their connection, but not their place: up
	// to as many again are tried beside them.
	more := func() bool {
		if opened >= enough || len(s.conns) >= s.l.e.cfg.MaxPeers {
			return false
		}
		k := s.book.next(s.l.now, s.complete())
		if k == nil {
			return false
		}
		if s.connect(k) {
			opened++
			good++
			all++
		}
		return true
	}
	for good < most && more() {
	}
	// Whoever is called by few has fewer to fetch from than others, and would be the
	// last to have everything. So it calls more, one at a time, as somebody may be about
	// to call; and more still when others get ahead of it.
	if all < enough && !s.complete() {
		more()
	}
}

// wanted is how many the torrent calls, and how many connections it should have in all.
func (s *swarm) wanted() (called, inAll int) {
	if s.complete() {
		return seedCalls, 2 * seedCalls
	}
	called = s.l.e.cfg.Neighbours
	if s.behind() {
		return called, max(2*called, mostNeighbours)
	}
	return called, 2 * called
}

// behind tells whether more than an eighth of its neighbours have got more than it has
// since they were met, of those that had as much to get: its neighbours may have more
// neighbours than others, and so less for each. An eighth, not the mean, as slow ones are
// always behind. One alone that tells lies is too few among eight. Who comes late is not
// behind for that: he gets as much as others.
func (s *swarm) behind() bool {
	if s.pick == nil {
		return false
	}
	n, ahead, level := 0, 0, s.have.Count()+max(s.geo.Pieces/behindBy, 2)
	for _, c := range s.conns {
		if s.geo.Pieces-c.lead <= level {
			continue
		}
		n++
		if c.state == open && c.has-c.lead > level {
			ahead++
		}
	}
	return 8*ahead > n
}

// lookAround tries one more neighbour than are kept, now and then: whoever has only slow
// ones would else keep them, in a swarm where others are fast. The time after, the one of
// them goes that has given least meanwhile.
func (s *swarm) lookAround() {
	s.nextLook = s.l.now.Add(lookEvery)
	if s.complete() || s.halted() {
		return
	}
	called, good, leastGave, complete := 0, 0, int64(0), 0
	var least *conn
	for _, c := range s.conns {
		if c.state == open && c.isSeed() {
			complete++
		}
		if c.good() {
			good++
		}
	}
	for _, c := range s.conns {
		gave := c.down.total - c.looked
		c.looked = c.down.total
		if !c.outgoing || c.state != open {
			continue
		}
		called++
		if c.isSeed() && complete == 1 {
			continue // it may give little, and what nobody else has
		}
		if s.l.now.Sub(c.born) >= lookEvery/2 && (least == nil || gave < leastGave) {
			least, leastGave = c, gave
		}
	}
	most, enough := s.wanted()
	if tooMany := called > enough || called > most && good > enough; tooMany && least != nil {
		k := least.known
		least.drop(notTheBest, nil)
		if k != nil {
			k.next = s.l.now.Add(lastBackOff) // its turn is over for a while
		}
	}
	if called >= most && len(s.conns) < s.l.e.cfg.MaxPeers {
		if k := s.book.next(s.l.now, false); k != nil {
			s.connect(k)
		}
	}
}

// connect starts a connection to k.
func (s *swarm) connect(k *candidate) bool {
	k.late = false
	fd, err := dial(k.addr)
	if err != nil {
		s.l.e.drops.count(connectFailed)
		k.failed(s.l.now, err.Error(), s.l.rnd.Float64())
		return false
	}
	c := newConn(s, fd, k.addr)
	c.outgoing, c.state, c.known = true, connecting, k
	if !s.enter(c) {
		k.failed(s.l.now, "out of descriptors to watch", s.l.rnd.Float64())
		return false
	}
	k.conn = c
	return true
}

// listensAt notes where a peer that called us can be called.
func (c *conn) listensAt(port uint16) {
	at := netip.AddrPortFrom(c.addr.Addr(), port)
	k := c.s.book.by[at]
	if k == nil && !c.s.t.spec.Private { // of those it calls whom its announcer names
		k = c.s.book.entry(at)
	}
	if k == nil || c.known != nil {
		return
	}
	c.adoptAddress(k)
}
