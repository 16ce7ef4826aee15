package chord

import (
	"slices"
	"time"
)

// scenario is a life of a ring, drawn from a seed: its size, the length of its
// lists, its weather, and then one trouble after the other under traffic, as far
// as DESIGN promises that nothing is lost by them. It ends with everybody back
// and everything healed, and with what must then be true.
//
//	weather   messages late, lost, doubled, out of order; clocks wrong
//	troubles  crashes with the disk, without it, or with a part of it; all at
//	          once; disks that refuse, lie or rot; moves; joins; leaves; false
//	          deaths; one-way cuts; partitions
type scenario struct {
	*simNet
	keys int
	// The ring was last whole, with that many members, and since then these have
	// lost their disks, or left. Two may: each range has three copies.
	whole int
	lost  map[*simHost]bool
	left  map[*simHost]bool
	calm  bool // the weather: who does not answer is dead, as Zave assumes
	doubt bool // questions that a cut or partition has swallowed may still be open
	moves int
}

// weathers are what the network does to messages, and what clocks show.
var weathers = []struct {
	name string
	set  func(*simOptions)
	calm bool // who does not answer is dead
}{
	{"calm", func(*simOptions) {}, true},
	{"calm", func(o *simOptions) { o.reorder = true }, true},
	{"doubles", func(o *simOptions) { o.duplicate, o.reorder = 0.05, true }, true},
	{"lossy", func(o *simOptions) { o.loss, o.duplicate = 0.01, 0.01 }, false},
	{"slow", func(o *simOptions) { o.late, o.lateBy, o.reorder = 0.2, 400*time.Millisecond, true }, false},
}

// newScenario starts the ring and lets it become whole.
func newScenario(t reporter, seed uint64, without rule) *scenario {
	s := &scenario{lost: map[*simHost]bool{}, left: map[*simHost]bool{}, keys: 12}
	opt := simOptions{seed: seed, skew: 50 * time.Millisecond, keeps: true}
	weather := weathers[seed%uint64(len(weathers))]
	weather.set(&opt)
	limit := 0
	opt.member = func(c *Config) { c.without, c.listLength = without, limit }
	s.simNet = newSimNet(t, opt)
	if s.chance(0.3) {
		s.opt.skew = 5 * time.Minute
	}
	n := 1 + s.rng.IntN(4)
	if s.chance(0.8) {
		n = 6 + s.rng.IntN(8)
		if s.chance(0.4) {
			limit = 5 + s.rng.IntN(n-5) // often shorter than the ring
		}
	}
	s.calm = weather.calm
	s.checkAlways()
	for range n {
		s.host()
	}
	if s.chance(0.2) {
		s.hosts[s.rng.IntN(n)].skew = []time.Duration{-365, 365}[s.rng.IntN(2)] * 24 * time.Hour
	}
	for _, h := range s.hosts {
		h.start()
	}
	s.logf("scenario: %s, %d members, lists of %d", weather.name, n, limit)
	newHistory(s.simNet)
	s.settles()
	if n >= 5 {
		s.hi.copies = 3
	}
	return s
}

// play goes through the whole of it.
func (s *scenario) play() {
	for range 5 + s.rng.IntN(4) {
		did := s.trouble()
		if did == "" {
			continue
		}
		s.logf("scenario: %s", did)
		s.traffic(s.between(50*time.Millisecond, 3*time.Second))
		if s.small() || s.chance(0.25) {
			s.recover()
		} else if s.unsettled(len(s.up())) == nil && len(s.side) == 0 && !s.doubt && !s.rotten() {
			s.isWhole()
		}
	}
	s.recover()
	s.logf("scenario: the end")
	s.traffic(500 * time.Millisecond)
	s.run(opLimit)
	s.settles()
	s.opt.loss, s.opt.late = 0, 0
	for _, key := range s.hi.keys() {
		ring := s.ring()
		s.hi.verifyKey(key, ring[s.rng.IntN(len(ring))])
	}
	s.checkEnded()
}

// small reports whether quorums are so small that two halves may both go on
// (see the package's comment): there troubles come one at a time.
func (s *scenario) small() bool { return s.whole <= 4 }

func (s *scenario) traffic(d time.Duration) { s.hi.traffic(d, 40*time.Millisecond, s.keys) }

// isWhole notes that every range has all its copies again. From here on Zave's
// invariant is to hold.
func (s *scenario) isWhole() {
	s.whole = len(s.up())
	s.hi.split = false
	clear(s.lost)
	clear(s.left)
	s.assume()
}

// assume has the ring's invariant checked after every step from now on, if it
// holds after what has just happened. Zave assumes as much of failures: that
// they leave everybody a live entry, and enough principals. A ring that grows
// beyond the length of its lists has enough of them when it is whole again.
func (s *scenario) assume() {
	switch {
	case !s.calm || s.doubt || len(s.side)+len(s.cut) > 0 || s.checkCycle() != nil || s.checkZave() != nil:
		s.checkAlways()
	case len(s.ring()) <= s.longest():
		s.checkAlways(s.checkCycle)
	default:
		s.checkAlways(s.checkCycle, s.checkZave)
	}
}

// recover ends everything and waits for the ring to be whole.
func (s *scenario) recover() {
	s.logf("scenario: everybody back")
	s.heal()
	for _, h := range s.hosts {
		h.broken = nil
		if h.m == nil && !h.gone {
			h.start()
		}
	}
	s.checkAlways()
	s.runUntil(opLimit, func() bool {
		return !slices.ContainsFunc(s.hosts, func(h *simHost) bool { return h.leaving && h.m != nil })
	})
	s.settles()
}

// lastAnswer is when a question that was not answered is given up, at the latest.
const lastAnswer = 5 * time.Second

// settles waits for the ring to be whole, in good weather.
func (s *scenario) settles() {
	weather := s.opt
	s.opt.loss, s.opt.late = 0, 0
	s.settleWithin(time.Minute, len(s.up()))
	if s.doubt {
		s.run(lastAnswer)
		s.settleWithin(time.Minute, len(s.up()))
		s.doubt = false
	}
	if s.rotten() { // nobody may have looked at it yet
		s.wait("what has rotted is mended", time.Minute, func() bool { return !s.rotten() })
		s.settleWithin(time.Minute, len(s.up()))
	}
	s.opt = weather
	s.isWhole()
}

// rotten reports whether a member up has damaged rows, noticed or not.
func (s *scenario) rotten() bool {
	return slices.ContainsFunc(s.up(), func(h *simHost) bool { return len(h.damaged) > 0 })
}

func (s *scenario) up() (up []*simHost) {
	for _, h := range s.hosts {
		if h.m != nil && !h.leaving {
			up = append(up, h)
		}
	}
	return up
}

func (s *scenario) downs() (down []*simHost) {
	for _, h := range s.hosts {
		if h.m == nil && !h.gone {
			down = append(down, h)
		}
	}
	return down
}

func (s *scenario) pick(from []*simHost) *simHost { return from[s.rng.IntN(len(from))] }
