package chord

import (
	"slices"
	"time"
)

// suspectFor is how long a member that did not answer, or that gossip has
// dropped, is passed over unless it is heard of before.
const suspectFor = 3 * time.Second

// maintenance is the state of the rounds that keep the ring in order.
type maintenance struct {
	running bool // a round is under way
	again   bool // something changed meanwhile: begin another at once
	timer   timer
	viewed  Time        // when the view changed last
	window  timer       // end of JoinWindow
	retry   timer       // of a try to join that failed
	suspect map[ID]Time // until when
	checks  bool        // the predecessor is being asked whether it lives
}

// setView takes over what gossip believes.
func (m *Member) setView(members []Ref) {
	old := m.view
	view := make([]Ref, 0, len(members)+1)
	for _, r := range members {
		if r.ID != m.self.ID {
			view = append(view, r)
		}
	}
	view = append(view, m.self)
	slices.SortFunc(view, func(a, b Ref) int { return a.ID.Compare(b.ID) })
	m.view = slices.CompactFunc(view, func(a, b Ref) bool { return a.ID == b.ID })
	changed := !slices.Equal(old, m.view)
	for _, r := range old {
		if _, still := m.inView(r.ID); !still {
			m.gone(r)
		}
	}
	for _, r := range m.view {
		if !slices.Contains(old, r) {
			delete(m.maintenance.suspect, r.ID)
			m.remembered(r.ID)
			m.readdress(r)
		}
	}
	if !changed {
		return
	}
	m.maintenance.viewed = m.now
	switch m.phase {
	case joining:
		m.keepTime()
		m.tryJoin()
	case member, leaving:
		m.saveState()
		m.stabilize()
		m.repairSoon()
	}
}

func (m *Member) inView(id ID) (Ref, bool) {
	i, ok := slices.BinarySearchFunc(m.view, id, func(r Ref, id ID) int { return r.ID.Compare(id) })
	if !ok {
		return Ref{}, false
	}
	return m.view[i], true
}

// stableAfter is how long a view must not have changed before a member draws
// conclusions from who is not in it: after a start, a partition or deaths,
// gossip brings the news one by one.
const stableAfter = time.Second

func (m *Member) viewStable() bool { return m.now.Sub(m.maintenance.viewed) >= stableAfter }

// size is the number of members of the ring as far as this member knows. The
// gossip of a newcomer has not named everybody yet, but its successor list,
// copied from another's, does.
func (m *Member) size() int { return max(len(m.view), len(m.succ)+1) }

// gone forgets a member that gossip has declared dead: what is asked of it is
// answered with a failure now and not by a time-out later.
func (m *Member) gone(r Ref) {
	m.suspected(r.ID)
	delete(m.rtt, r.ID)
	m.fingers.remove(r.ID)
	m.succ = slices.DeleteFunc(slices.Clone(m.succ), func(s Ref) bool { return s.ID == r.ID })
	var lost []uint64
	for seq, req := range m.requests {
		if req.to.ID == r.ID {
			lost = append(lost, seq)
		}
	}
	slices.Sort(lost)
	for _, seq := range lost {
		m.finish(seq, nil, errUnreachable)
	}
}

// readdress follows a member to another address: it is the same member.
func (m *Member) readdress(r Ref) {
	if m.pred.ID == r.ID {
		m.pred = r
	}
	m.succ = slices.Clone(m.succ)
	for i := range m.succ {
		if m.succ[i].ID == r.ID {
			m.succ[i] = r
		}
	}
	m.fingers.readdress(r)
}

func (m *Member) suspected(id ID) {
	if m.maintenance.suspect == nil {
		m.maintenance.suspect = map[ID]Time{}
	}
	m.maintenance.suspect[id] = m.now.Add(suspectFor)
}

func (m *Member) isSuspect(id ID) bool {
	until, ok := m.maintenance.suspect[id]
	if ok && until <= m.now {
		delete(m.maintenance.suspect, id)
		return false
	}
	return ok
}

// startJoin opens the join window. At its end this member is alone if nobody
// was heard of; if somebody was, it goes on trying, as what it would claim as a
// ring of one is theirs. Gossip takes out of the view who does not live.
func (m *Member) startJoin() {
	m.maintenance.window = m.after(m.cfg.JoinWindow, func() {
		if m.phase == joining && len(m.view) > 1 {
			m.startJoin()
			return
		}
		m.becomeAlone()
	})
	m.tryJoin()
}

// tryJoin looks for a predecessor among the members of the view, the closest
// one before this member's place first.
func (m *Member) tryJoin() {
	if m.phase != joining || m.maintenance.running || len(m.view) < 2 {
		return
	}
	m.maintenance.running = true
	others := slices.DeleteFunc(slices.Clone(m.view), func(r Ref) bool { return r.ID == m.self.ID })
	m.byDistanceBefore(others)
	m.joinBehind(others, true)
}

// byDistanceBefore sorts members by how far they lie before this one.
func (m *Member) byDistanceBefore(refs []Ref) {
	slices.SortFunc(refs, func(a, b Ref) int {
		return Distance(a.ID, m.self.ID).Compare(Distance(b.ID, m.self.ID))
	})
}

// joinBehind asks the candidates in turn. lowest stays true while all who
// answer are themselves joining and have higher identifiers: then it is on
// this member to be the ring that the others join.
func (m *Member) joinBehind(candidates []Ref, lowest bool) {
	if m.phase != joining {
		m.maintenance.running = false
		return
	}
	if len(candidates) == 0 {
		m.maintenance.running = false
		if lowest {
			m.becomeAlone()
			return
		}
		m.timers.stop(m.maintenance.retry) // the view and the window begin tries as well
		m.maintenance.retry = m.after(50*time.Millisecond, m.tryJoin)
		return
	}
	p := candidates[0]
	m.askOnce(p, GetNeighbors{}, func(b Body, err error) {
		n, ok := b.(Neighbors)
		switch {
		case !ok:
			m.joinBehind(candidates[1:], false)
		case !n.Joined:
			// One that leaves has a predecessor still: there was a ring.
			m.joinBehind(candidates[1:], lowest && n.Pred.IsZero() && m.self.ID.Compare(p.ID) < 0)
		default:
			m.refillIfOutdated(n.Purged, p)
			m.adoptPlace(p, n, candidates[1:])
		}
	})
}

// adoptPlace takes the place behind p if that is where this member belongs:
// p's whole successor list, with a head that has answered (Zave's join).
func (m *Member) adoptPlace(p Ref, n Neighbors, rest []Ref) {
	list := slices.DeleteFunc(slices.Clone(n.Succ), func(r Ref) bool { return r.ID == m.self.ID || m.isSuspect(r.ID) })
	if len(list) == 0 {
		m.joined(p, []Ref{p})
		return
	}
	if !Between(p.ID, m.self.ID, list[0].ID) {
		// Somebody lies between p and this place: the last one before it.
		var closer []Ref
		for _, r := range list {
			if Between(p.ID, r.ID, m.self.ID) {
				closer = append(closer, r)
			}
		}
		m.byDistanceBefore(closer)
		m.joinBehind(append(closer, rest...), false)
		return
	}
	if n.Succ[len(n.Succ)-1].ID == n.Pred.ID {
		// p's list is the whole ring but for p, so p is what comes behind it. In
		// a ring of two the list would else be one member, who may die.
		list = append(list, p)
	}
	m.askOnce(list[0], GetNeighbors{}, func(b Body, err error) {
		if h, ok := b.(Neighbors); ok && h.Joined {
			m.joined(p, list)
			return
		}
		m.suspected(list[0].ID)
		m.adoptPlace(p, n, rest)
	})
}

func (m *Member) joined(pred Ref, succ []Ref) {
	if m.phase != joining {
		m.maintenance.running = false
		return
	}
	m.becomeMember(pred, succ)
	m.event("joined", pred, "joined the ring behind %s", pred.ID.Short())
}

// becomeAlone makes this member a ring of one; if there are others, the two
// rings merge.
func (m *Member) becomeAlone() {
	if m.phase != joining {
		return
	}
	if m.ring == 0 {
		// Nothing was ever stored here, and nobody is known who could have.
		m.ring = 1
		m.claims = arcs{{From: m.self.ID, To: m.self.ID, Epoch: m.nextEpoch(0), Ring: 1}}
	}
	m.becomeMember(m.self, nil)
	m.event("alone", Ref{}, "began a ring of one")
}

func (m *Member) becomeMember(pred Ref, succ []Ref) {
	m.timers.stop(m.maintenance.window)
	m.phase = member
	m.maintenance.running = false
	if m.keeps(predAtJoin) {
		m.pred = pred
	}
	m.succ = m.trimmed(succ)
	m.startData()
	m.stabilize()
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
	var list []Ref
	add := func(r Ref) {
		if r.IsZero() || r.ID == m.self.ID || m.isSuspect(r.ID) {
			return
		}
		if !slices.ContainsFunc(list, func(o Ref) bool { return o.ID == r.ID }) {
			list = append(list, r)
		}
	}
	if len(m.view) <= maxOneHop {
		// More than a list's length of dead ones in a row, gossip will tell.
		i, _ := slices.BinarySearchFunc(m.view, m.self.ID, func(r Ref, id ID) int { return r.ID.Compare(id) })
		for k := 1; k < len(m.view) && len(list) < m.listLength(); k++ {
			add(m.view[(i+k)%len(m.view)])
		}
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
	m.ask(s, GetNeighbors{}, func(b Body, err error) {
		n, ok := b.(Neighbors)
		if !ok || !n.Joined {
			if !ok {
				m.suspected(s.ID)
			}
			m.tryHead(candidates[1:])
			return
		}
		m.refillIfOutdated(n.Purged, s)
		list := append([]Ref{s}, n.Succ...)
		if p := n.Pred; p.IsZero() || p.ID == m.self.ID || m.isSuspect(p.ID) || !Between(m.self.ID, p.ID, s.ID) {
			m.adoptHead(list)
			return
		}
		if !m.keeps(liveFirst) {
			m.adoptHead(append([]Ref{n.Pred}, list...))
			return
		}
		// s may name a dead one. What it has told of itself is good meanwhile,
		// and better than an empty list, which others would copy.
		m.setSuccessors(m.trimmed(list))
		m.askOnce(n.Pred, GetNeighbors{}, func(b Body, err error) {
			if pn, ok := b.(Neighbors); ok && pn.Joined {
				list = append([]Ref{n.Pred}, pn.Succ...)
			}
			m.adoptHead(list)
		})
	})
}

// knowsOthers reports whether gossip believes that others live.
func (m *Member) knowsOthers() bool {
	return slices.ContainsFunc(m.view, func(r Ref) bool { return r.ID != m.self.ID && !m.isSuspect(r.ID) })
}

// adoptHead replaces the list whole; its first entry has just answered.
func (m *Member) adoptHead(list []Ref) {
	if !m.keeps(wholeList) {
		list = append(list[:1:1], m.succ...)
	}
	m.setSuccessors(m.trimmed(list))
	if len(m.succ) == 0 || m.phase != member {
		m.endRound()
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
	m.succ = list
	if before.ID != after.ID {
		m.event("successor", after, "first successor is now %s", after.ID.Short())
	}
	m.repairSoon()
}

func (m *Member) endRound() {
	m.maintenance.running = false
	if m.maintenance.again {
		m.stabilize()
		return
	}
	m.refreshFinger()
	// Jitter of a quarter, so that members do not march in step.
	d := m.cfg.Stabilize - m.cfg.Stabilize/8 + time.Duration(m.cfg.Rand.Int64N(int64(m.cfg.Stabilize/4)+1))
	m.timers.stop(m.maintenance.timer)
	m.maintenance.timer = m.after(d, m.stabilize)
}

// rectified handles a Rectify from r, which takes this member for its first
// successor.
func (m *Member) rectified(r Ref) {
	if m.phase != member || r.ID == m.self.ID {
		return
	}
	switch {
	case r.ID == m.pred.ID:
		m.pred = r
	case m.pred.ID == m.self.ID || Between(m.pred.ID, r.ID, m.self.ID):
		m.adoptPredecessor(r)
	case !m.maintenance.checks:
		// r lies before the present predecessor: right only if that is dead.
		m.maintenance.checks = true
		old := m.pred
		m.ask(old, GetNeighbors{}, func(b Body, err error) {
			m.maintenance.checks = false
			if err == nil || m.pred.ID != old.ID || m.phase != member {
				return
			}
			m.suspected(old.ID)
			m.adoptPredecessor(r)
		})
	}
}

// adoptPredecessor changes the range this member owns. r has just been heard.
func (m *Member) adoptPredecessor(r Ref) {
	shrunk := Between(m.pred.ID, r.ID, m.self.ID) && m.pred.ID != m.self.ID
	m.pred = r
	m.event("predecessor", r, "predecessor is now %s", r.ID.Short())
	m.rangeChanged(shrunk)
	if len(m.succ) == 0 && r.ID != m.self.ID {
		m.stabilize()
	}
}

// departed handles a Departing from r.
func (m *Member) departed(r Ref, d Departing) {
	m.suspected(r.ID)
	m.repair.missing = m.now.Add(-m.cfg.RestartGrace) // it does not come back in a moment
	m.succ = slices.DeleteFunc(slices.Clone(m.succ), func(s Ref) bool { return s.ID == r.ID })
	if r.ID == m.pred.ID && m.phase == member {
		switch p := d.Pred; {
		case p.ID == m.self.ID:
			m.adoptPredecessor(m.self)
		case !m.isSuspect(p.ID):
			m.ask(p, GetNeighbors{}, func(b Body, err error) {
				if n, ok := b.(Neighbors); ok && n.Joined && m.pred.ID == r.ID && m.phase == member {
					m.adoptPredecessor(p)
				}
			})
		}
	}
	m.stabilize()
}

func (m *Member) neighbors() Neighbors {
	return Neighbors{Joined: m.phase == member, Pred: m.pred, Succ: slices.Clone(m.succ), Purged: m.purged}
}

// owns reports whether a place lies in this member's range (pred, self].
func (m *Member) owns(id ID) bool {
	return m.phase == member && InArc(m.pred.ID, id, m.self.ID)
}
