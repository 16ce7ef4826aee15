package chord

import "time"

// stampReserve is how far ahead of use the high-water mark is written, so that
// a member writes it every few seconds and not at every stamp.
const stampReserve = 10 * time.Second

// maxAhead is how far ahead of ring time a stamp may lie that the clock learns
// from; a member whose clock is further off cannot drag the others along.
const maxAhead = 60 * time.Second

// hybridClock gives stamps: never twice the same, never below one it has seen
// (hybrid logical clock, Kulkarni et al. 2014).
//
// Invariant: last <= reserved, but for the instant between a stamp and the
// StoreState that now asks for.
type hybridClock struct {
	last     Stamp
	reserved Stamp // durable high-water mark, or on its way to the disk
}

func stampAt(ms int64) Stamp { return Stamp(uint64(ms) << 16) }

// stamp gives the next stamp and whether reserved has moved and must be made
// durable.
func (c *hybridClock) stamp(ms int64) (s Stamp, grown bool) {
	c.last = max(c.last+1, stampAt(ms))
	if c.last >= c.reserved {
		c.reserved = c.last + stampAt(stampReserve.Milliseconds())
		grown = true
	}
	return c.last, grown
}

// observe learns a stamp that somebody else gave.
func (c *hybridClock) observe(s Stamp, ms int64) {
	if s > c.last && s.Millis() <= ms+maxAhead.Milliseconds() {
		c.last = s
	}
}

// nextStamp gives a stamp above every one this member has seen. Of two clocks that
// are all it knows it goes by the faster: what is deleted by the slower, or by the
// middle, could be so old that it is forgotten as soon as a third comes.
func (m *Member) nextStamp() Stamp {
	s, grown := m.clock.stamp(m.fasterMillis())
	if grown {
		m.saveState()
	}
	return s
}

// stampAbove gives the next stamp, or one that is above the given stamp of a
// key: a member whose clock was wrong may have left it far in the future, where
// this member's clock does not follow.
func (m *Member) stampAbove(key Key, held Stamp) Stamp {
	s := m.nextStamp()
	if !m.keeps(aboveHeld) {
		return s
	}
	if ahead, ok := m.ahead[key]; ok && ahead <= s {
		delete(m.ahead, key)
	} else {
		held = max(held, ahead)
	}
	if s > held {
		return s
	}
	// Nor is it given twice while the write of the first is on its way.
	m.ahead[key] = held + 1
	return held + 1
}

// live reports whether an entry is neither deleted nor expired.
func (m *Member) live(e Entry) bool {
	return !e.Deleted && (e.Expires == 0 || e.Expires > m.ringMillis())
}
