package chord

import (
	"math/bits"
	"slices"
	"time"
)

// maintenance is the state of the rounds that keep the ring in order.
type maintenance struct {
	running bool // a round is under way
	again   bool // something changed meanwhile: begin another at once
	timer   timer
	viewed  Time        // when the view changed last
	calm    int         // rounds since the successor list changed
	heard   heard       // from the first successor, last
	finger  timer       // of the next finger's refresh
	window  timer       // end of JoinWindow
	retry   timer       // of a try to join that failed
	suspect map[ID]Time // until when
	checks  bool        // the predecessor is being asked whether it lives
}

// trimmed brings a successor list into its form: ring order from this member,
// without itself, without doubles and suspects, at most L long.
func (m *Member) trimmed(list []Ref) []Ref {
	out := make([]Ref, 0, len(list))
	for _, r := range list {
		if r.ID == m.self.ID && m.keeps(neverSelf) {
			break // the rest lies behind this member again
		}
		if m.isSuspect(r.ID) || (len(out) > 0 && r.ID != m.self.ID && !Between(out[len(out)-1].ID, r.ID, m.self.ID)) {
			continue
		}
		if known, ok := m.inView(r.ID); ok {
			r = known // the newest address
		}
		out = append(out, r)
	}
	return out[:min(len(out), m.listLength())]
}

// stabilize begins a round of maintenance, or asks for one more when one is
// under way: find the first live successor, take its list whole, tell it.
func (m *Member) stabilize() {
	if m.phase != member && m.phase != leaving {
		return
	}
	if m.maintenance.running {
		m.maintenance.again = true
		return
	}
	m.maintenance.running, m.maintenance.again = true, false
	m.timers.stop(m.maintenance.timer)
	m.tryHead(m.heads())
}

// heads gives who may be the first successor, the nearest first: those that
// gossip knows, the present list, and the predecessor (in a small or merging
// ring it is also a successor).
func (m *Member) heads() []Ref {
	if !m.oneHop() {
		return m.headsListed()
	}
	var list []Ref
	add := func(r Ref) {
		if r.IsZero() || r.ID == m.self.ID || m.isSuspect(r.ID) {
			return
		}
		if !listed(list, r.ID) {
			list = append(list, r)
		}
	}
	// More than a list's length of dead ones in a row, gossip will tell.
	i, _ := viewAt(m.view, m.self.ID)
	for k := 1; k < len(m.view) && len(list) < m.listLength(); k++ {
		add(m.view[(i+k)%len(m.view)])
	}
	for _, r := range m.succ {
		add(r)
	}
	add(m.pred)
	slices.SortFunc(list, func(a, b Ref) int {
		return Distance(m.self.ID, a.ID).Compare(Distance(m.self.ID, b.ID))
	})
	return list
}

// headsListed is heads where gossip does not describe the ring. The list is in
// order, and the predecessor behind it or, in a ring that it reaches around, in
// it.
func (m *Member) headsListed() []Ref {
	passed := func(r Ref) bool { return r.IsZero() || r.ID == m.self.ID || m.isSuspect(r.ID) }
	list := slices.DeleteFunc(append(make([]Ref, 0, len(m.succ)+1), m.succ...), passed)
	if passed(m.pred) {
		return list
	}
	i, found := slices.BinarySearchFunc(list, m.pred.ID, func(r Ref, id ID) int {
		return Distance(m.self.ID, r.ID).Compare(Distance(m.self.ID, id))
	})
	if !found {
		list = slices.Insert(list, i, m.pred)
	}
	return list
}

func (m *Member) tryHead(candidates []Ref) {
	if len(candidates) == 0 {
		m.setSuccessors(nil)
		if m.phase == member && m.pred.ID != m.self.ID && !m.knowsOthers() {
			m.adoptPredecessor(m.self)
		}
		m.endRound()
		return
	}
	s := candidates[0]
	m.ask(s, m.maintenance.heard.question(s), func(b Body, err error) {
		n, ok := b.(Neighbors)
		n, ok = m.maintenance.heard.answer(s, n, ok)
		if !ok || !n.Joined {
			if !ok {
				m.suspected(s.ID)
			}
			m.tryHead(candidates[1:])
			return
		}
		m.deferTo(n, s)
		list := append([]Ref{s}, n.Succ...)
		if p := n.Pred; p.IsZero() || p.ID == m.self.ID || m.isSuspect(p.ID) || !Between(m.self.ID, p.ID, s.ID) {
			m.adoptHead(list, n.Pred)
			return
		}
		if !m.keeps(liveFirst) {
			m.adoptHead(append([]Ref{n.Pred}, list...), Ref{})
			return
		}
		// s may name a dead one. What it has told of itself is good meanwhile,
		// and better than an empty list, which others would copy.
		m.setSuccessors(m.trimmed(list))
		m.askOnce(n.Pred, GetNeighbors{}, func(b Body, err error) {
			pred := n.Pred
			if pn, ok := b.(Neighbors); ok && pn.Joined {
				list, pred = append([]Ref{n.Pred}, pn.Succ...), pn.Pred
			}
			m.adoptHead(list, pred)
		})
	})
}

// adoptHead replaces the list whole; its first entry has just answered, and
// named its predecessor.
func (m *Member) adoptHead(list []Ref, pred Ref) {
	if !m.keeps(wholeList) {
		list = append(list[:1:1], m.succ...)
	}
	m.setSuccessors(m.trimmed(list))
	if len(m.succ) == 0 || m.phase != member {
		m.endRound()
		return
	}
	if pred == m.self && m.size() > smallRing {
		m.endRound() // a Rectify would tell it nothing
		return
	}
	m.ask(m.succ[0], Rectify{}, func(Body, error) { m.endRound() })
}

func (m *Member) setSuccessors(list []Ref) {
	if slices.Equal(list, m.succ) {
		return
	}
	var before, after Ref
	if len(m.succ) > 0 {
		before = m.succ[0]
	}
	if len(list) > 0 {
		after = list[0]
	}
	replicas := m.replicas(QuorumOf(Hard, m.counted()).N)
	m.setList(list)
	m.maintenance.calm = 0
	if before.ID != after.ID {
		m.event("successor", after, "first successor is now %s", after.ID.Short())
	}
	// Further down the list of a large ring there is always somebody who comes
	// or goes.
	if m.viewWhole || !sameMembers(replicas, m.replicas(QuorumOf(Hard, m.counted()).N)) {
		m.repairSoon()
	}
}

func (m *Member) endRound() {
	m.maintenance.running = false
	if m.maintenance.again {
		m.stabilize()
		return
	}
	m.maintenance.calm++
	m.timers.stop(m.maintenance.timer)
	m.maintenance.timer = m.after(m.jittered(m.roundPause()), m.stabilize)
}

// jittered varies a pause by a quarter, so that members do not march in step.
func (m *Member) jittered(d time.Duration) time.Duration {
	return d - d/8 + time.Duration(m.cfg.Rand.Int64N(int64(d/4)+1))
}

const (
	// smallRing is the size up to which rounds of maintenance keep their pace.
	smallRing = 64
	maxPause  = 8 // times the pace, in the largest quiet rings
)

// roundPause is the pause between two rounds. In a large ring whose list of
// successors has not changed just now it grows with the logarithm of the size:
// there the list is long, and a gap in it does not matter for some seconds.
func (m *Member) roundPause() time.Duration {
	n := m.size()
	if n <= smallRing || m.maintenance.calm < 2 {
		return m.cfg.Stabilize
	}
	return m.cfg.Stabilize * time.Duration(min(bits.Len(uint(n/smallRing)), maxPause))
}

func (m *Member) neighbors() Neighbors {
	n := m.neighborsShared()
	n.Succ = slices.Clone(n.Succ)
	return n
}

// neighborsShared is neighbors with the list itself, to be looked at only.
func (m *Member) neighborsShared() Neighbors {
	return Neighbors{Joined: m.phase == member, Pred: m.pred, Succ: m.succ, Purged: m.purged, Elder: m.elder}
}

// owns reports whether a place lies in this member's range (pred, self].
func (m *Member) owns(id ID) bool {
	return m.phase == member && InArc(m.pred.ID, id, m.self.ID)
}
