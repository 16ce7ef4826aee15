package chord

import (
	"slices"
	"time"
)

const (
	// clockSamples is how many other members' clocks the median is taken of:
	// all of them in a small ring, and enough in a large one that a few wrong
	// ones do not matter.
	clockSamples = 15
	clockPause   = time.Second      // between two questions while there are too few samples
	clockRefresh = 15 * time.Second // and afterwards: each sample is renewed before it ends
	clockExpiry  = 5 * time.Minute  // of a sample
	// clockOff is how far a member's clock may differ from ring time before
	// its operator is told.
	clockOff = time.Minute
)

// ringClock is what this member knows of the others' clocks. Ring time is the
// median of theirs and its own, so that stamps and expiry mean the same
// everywhere though some clocks are wrong. In a ring of two it lies in the
// middle between both.
type ringClock struct {
	samples []clockSample // one of a member, who was asked longest ago first
	offset  time.Duration // ring time less this member's clock
	off     bool          // the operator was told
	timer   timer
}

type clockSample struct {
	of     Ref
	offset time.Duration // its clock less this member's
	at     Time
}

// ringMillis is ring time: what stamps and expiry go by. Every reading of the
// clock for data goes through here.
func (m *Member) ringMillis() int64 { return m.now.Add(m.ringClock.offset).Millis() }

// keepTime asks others for their clocks, from the moment that this member
// knows of any: it should have ring time before it owns anything.
func (m *Member) keepTime() {
	if m.phase == left {
		return
	}
	c := &m.ringClock
	c.samples = slices.DeleteFunc(c.samples, func(s clockSample) bool {
		_, inView := m.inView(s.of.ID)
		return m.now.Sub(s.at) >= clockExpiry || (!inView && m.viewWhole)
	})
	m.setOffset()
	m.tellClock()
	others := m.unsampled()
	pause := clockRefresh
	switch {
	case len(others) > 0 && len(c.samples) < clockSamples:
		pause = clockPause
		for range min(len(others), clockSamples-len(c.samples), 3) {
			i := m.cfg.Rand.IntN(len(others))
			m.askClock(others[i])
			others = slices.Delete(others, i, i+1)
		}
	case len(c.samples) > 0:
		m.askClock(c.oldest())
	}
	if !c.enough(max(len(m.view), m.ring)) {
		pause = clockPause // who is under suspicion now may answer in a moment
	}
	m.timers.stop(c.timer)
	c.timer = m.after(pause, m.keepTime)
}

// oldest is who was asked longest ago. Silent or not, the next is asked after it.
func (c *ringClock) oldest() Ref {
	s := c.samples[0]
	c.samples = append(c.samples[1:], s)
	return s.of
}

// unsampled lists neighbours and, in a ring that gossip knows whole, everybody
// of whom there is no sample.
func (m *Member) unsampled() (others []Ref) {
	consider := func(r Ref) {
		if r.IsZero() || r.ID == m.self.ID || m.isSuspect(r.ID) {
			return
		}
		sampled := slices.ContainsFunc(m.ringClock.samples, func(s clockSample) bool { return s.of.ID == r.ID })
		if !sampled && !listed(others, r.ID) {
			others = append(others, r)
		}
	}
	for _, r := range m.succ {
		consider(r)
	}
	consider(m.pred)
	if len(m.view) <= clockSamples+1 {
		for _, r := range m.view {
			consider(r)
		}
	} else if len(m.ringClock.samples) < clockSamples {
		for range clockSamples {
			consider(m.view[m.cfg.Rand.IntN(len(m.view))])
		}
	}
	return others
}

// askClock takes a sample: the answer was given, as far as one can tell, half
// a round trip ago.
func (m *Member) askClock(r Ref) {
	sent := m.now
	m.askOnce(r, AskClock{}, func(b Body, err error) {
		reply, ok := b.(ClockIs)
		if !ok {
			return
		}
		c := &m.ringClock
		c.samples = slices.DeleteFunc(c.samples, func(s clockSample) bool { return s.of.ID == r.ID })
		if len(c.samples) >= clockSamples {
			c.samples = slices.Delete(c.samples, 0, 1)
		}
		halfway := sent.Add(m.now.Sub(sent) / 2)
		c.samples = append(c.samples, clockSample{of: r, offset: reply.Now.Sub(halfway), at: m.now})
		m.setOffset()
	})
}

// setOffset takes the median, as soon as one wrong clock cannot decide it.
func (m *Member) setOffset() {
	c := &m.ringClock
	if !c.enough(len(m.view)) {
		return
	}
	offsets := []time.Duration{0} // this member's own
	for _, s := range c.samples {
		offsets = append(offsets, s.offset)
	}
	slices.Sort(offsets)
	n := len(offsets)
	c.offset = offsets[n/2]
	if n%2 == 0 {
		c.offset = offsets[n/2-1] + (offsets[n/2]-offsets[n/2-1])/2
	}
}

func (c *ringClock) enough(members int) bool { return len(c.samples)+1 >= min(3, members) }

// tellClock tells the operator of a clock that is off, and when it no longer is.
func (m *Member) tellClock() {
	c := &m.ringClock
	switch off := c.offset.Abs() > clockOff; {
	case off && !c.off && c.enough(len(m.view)):
		m.event("clock", m.self, "this member's clock is %v off ring time, the median of %d clocks: set it right", -c.offset.Round(time.Second), len(c.samples)+1)
		c.off = true
	case !off && c.off:
		m.event("clock", m.self, "this member's clock agrees with ring time again")
		c.off = false
	}
}
