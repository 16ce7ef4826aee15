package chord

import (
	"slices"
	"time"
)

const (
	// handOverFor is how long a member that leaves tries to bring its range to
	// those who will hold it.
	handOverFor   = 8 * time.Second
	handOverAgain = 250 * time.Millisecond
)

// startLeave hands over and goes. From now on clients are sent elsewhere; the
// range is compared with those who will hold it, and the neighbours are told
// to close the gap. Being killed instead loses nothing either: leaving only
// spares the others the detection and the repair.
func (m *Member) startLeave() {
	if m.phase != member {
		m.leftNow()
		return
	}
	m.phase = leaving
	m.timers.stop(m.repair.timer)
	m.handOver(m.now.Add(handOverFor))
}

// handOver compares the range with all its heirs, and tries again with those
// who are heirs then if that failed.
func (m *Member) handOver(deadline Time) {
	n := QuorumOf(Hard, m.size()).N + 1
	heirs := m.replicas(n)[1:]
	// Who is in the view and out of reach is waited for.
	waiting, failed := 1, len(heirs) < min(n, len(m.view))-1
	end := func(ok bool) {
		failed = failed || !ok
		if waiting--; waiting > 0 || m.phase != leaving {
			return
		}
		if failed && m.now < deadline {
			m.after(handOverAgain, func() { m.handOver(deadline) })
			return
		}
		m.sayGoodbye()
	}
	for _, heir := range heirs {
		for _, class := range []Class{Hard, Soft} {
			waiting++
			m.compare(heir, class, m.pred.ID, m.self.ID, true, func(c comparison) { end(c.ok) })
		}
	}
	end(true)
}

func (m *Member) sayGoodbye() {
	if m.phase != leaving {
		return
	}
	d := Departing{Pred: m.pred, Succ: m.succ}
	waiting := 1
	end := func() {
		if waiting--; waiting == 0 {
			m.leftNow()
		}
	}
	neighbours := m.succ[:min(1, len(m.succ))]
	// In a ring of two both are one; one that has just found a second member
	// may still be its own predecessor.
	if m.pred.ID != m.self.ID && !slices.Contains(neighbours, m.pred) {
		neighbours = append(slices.Clip(neighbours), m.pred)
	}
	for _, r := range neighbours {
		waiting++
		m.ask(r, d, func(Body, error) { end() })
	}
	end()
}

func (m *Member) leftNow() {
	if m.phase == left {
		return
	}
	m.phase = left
	m.timers.stopAll()
	clear(m.requests)
	m.event("left", m.self, "left the ring")
}
