package chord

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"time"
)

// suspectFor is how long a member that did not answer, or that gossip has
// dropped, is passed over unless it is heard of before.
const suspectFor = 3 * time.Second

// maxSuspects is from how many on those whose time is over are cleared away.
const maxSuspects = 64

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
		i, _ := viewAt(old, r.ID)
		if i == len(old) || old[i] != r {
			delete(m.maintenance.suspect, r.ID)
			m.remembered(r.ID)
			m.readdress(r)
		}
	}
	m.setList(m.succ)
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

// viewAt is where a place is, or would be, in a view.
func viewAt(view []Ref, id ID) (int, bool) {
	return slices.BinarySearchFunc(view, id, func(r Ref, id ID) int { return r.ID.Compare(id) })
}

func (m *Member) inView(id ID) (Ref, bool) {
	i, ok := viewAt(m.view, id)
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

// listFits reports whether the successor list names those whom the view does, as
// far as replicas are asked. When a partition heals, gossip sees the other side at
// once; until the list does too, all who are asked may be of this side, and know
// nothing of what the others have acknowledged.
func (m *Member) listFits() bool {
	if !m.oneHop() {
		return true
	}
	n := min(2*QuorumOf(Hard, m.size()).N-1, len(m.view)-1, m.listLength())
	if len(m.succ) < n {
		return false
	}
	i, _ := viewAt(m.view, m.self.ID)
	for k := range n {
		if m.succ[k].ID != m.view[(i+1+k)%len(m.view)].ID {
			return false
		}
	}
	return true
}

// size is the number of members of the ring as far as this member knows. The
// gossip of a newcomer has not named everybody yet, but its successor list,
// copied from another's, does; and in a ring that gossip does not describe, how
// close together its entries lie tells about how many there are.
func (m *Member) size() int {
	n := max(len(m.view), len(m.succ)+1)
	if m.viewWhole || len(m.succ) < minListLength {
		return n
	}
	// In shares of the ring, by the first 64 bits.
	d := Distance(m.self.ID, m.succ[len(m.succ)-1].ID)
	share := float64(binary.BigEndian.Uint64(d[:8])) / (1 << 63) / 2
	return max(n, int(min(float64(len(m.succ))/share, 1e9)))
}

// counted is the size of the ring as far as quorums care. In a ring that gossip
// does not describe it is a number that does not change with everybody who comes
// or goes: anything from five members on is the same to a quorum.
func (m *Member) counted() int {
	if m.viewWhole || len(m.succ) < minListLength {
		return m.size()
	}
	return minListLength + 1
}

// setList replaces the list of successors, and decides whether gossip describes
// the ring: it does if it knows most of those whom the list has from others.
// Only then can who owns what be told from the view.
func (m *Member) setList(list []Ref) {
	m.succ = list
	known := 0
	for _, r := range list {
		if _, ok := m.inView(r.ID); ok {
			known++
		}
	}
	m.viewWhole = 2*known >= len(list)
}

// oneHop reports whether lookups go by the view.
func (m *Member) oneHop() bool { return m.viewWhole && len(m.view) <= maxOneHop }

// gone forgets a member that gossip has declared dead: what is asked of it is
// answered with a failure now and not by a time-out later.
func (m *Member) gone(r Ref) {
	m.suspected(r.ID)
	delete(m.rtt, r.ID)
	m.fingers.remove(r.ID)
	m.setList(slices.DeleteFunc(slices.Clone(m.succ), func(s Ref) bool { return s.ID == r.ID }))
	var lost []uint64
	for seq, req := range m.requests {
		if req.to.ID == r.ID {
			lost = append(lost, seq)
		}
	}
	slices.Sort(lost)
	for _, seq := range lost {
		m.finish(seq, nil, errGone)
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
	if len(m.maintenance.suspect) >= maxSuspects {
		for other := range m.maintenance.suspect {
			m.isSuspect(other) // forgets those whose time is over
		}
	}
	m.maintenance.suspect[id] = m.now.Add(suspectFor)
}

// heardFrom notes that a member lives, whatever older requests come to; else a
// first successor that has just answered would be left out of the list in favour
// of the next.
func (m *Member) heardFrom(id ID) {
	delete(m.maintenance.suspect, id)
	if t, ok := m.rtt[id]; ok {
		t.last = m.now
		m.rtt[id] = t
	}
}

// unanswered suspects a member that has left a request unanswered, unless it was
// heard of after that was sent: a patient request that a short partition swallowed
// ends long after the heal.
func (m *Member) unanswered(id ID, sent Time) {
	if m.rtt[id].last <= sent {
		m.suspected(id)
	}
}

func (m *Member) isSuspect(id ID) bool {
	until, ok := m.maintenance.suspect[id]
	if ok && until <= m.now {
		delete(m.maintenance.suspect, id)
		return false
	}
	return ok
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
		if !slices.ContainsFunc(list, func(o Ref) bool { return o.ID == r.ID }) {
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
		m.refillIfOutdated(n.Purged, s)
		m.yieldToOlder(n.Elder, s)
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

// knowsOthers reports whether gossip believes that others live.
func (m *Member) knowsOthers() bool {
	return slices.ContainsFunc(m.view, func(r Ref) bool { return r.ID != m.self.ID && !m.isSuspect(r.ID) })
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

// heard is what a member has said of its neighbours last, so that it need not
// be sent again while it is the same: in a quiet ring that is most of the time.
type heard struct {
	from ID
	last Neighbors
	hash uint64
}

// question asks r for its neighbours, if they are not as they were.
func (h *heard) question(r Ref) GetNeighbors {
	if h.from != r.ID {
		return GetNeighbors{}
	}
	return GetNeighbors{Known: h.hash}
}

// answer completes r's answer by what it had said before.
func (h *heard) answer(r Ref, n Neighbors, ok bool) (Neighbors, bool) {
	switch {
	case !ok:
		return n, false
	case !n.Same:
		*h = heard{r.ID, n, n.hash()}
	case h.from == r.ID:
		n = h.last
	default:
		return n, false // it was asked for all, by one who had forgotten
	}
	return n, true
}

// hash is never 0, which stands for nothing known. It tells what has changed by
// itself from what has not; nobody gains by making two answers look alike.
func (n Neighbors) hash() uint64 {
	h := uint64(n.Purged) ^ uint64(n.Elder)<<1
	if n.Joined {
		h++
	}
	mix := func(v uint64) { h = bits.RotateLeft64((h^v)*0x9e3779b97f4a7c15, 29) }
	add := func(r Ref) {
		mix(binary.BigEndian.Uint64(r.ID[:8]))
		mix(binary.BigEndian.Uint64(r.ID[8:16]))
		mix(uint64(binary.BigEndian.Uint32(r.ID[16:])))
		for i := range len(r.Addr) {
			h = (h ^ uint64(r.Addr[i])) * 0x100000001b3 // as FNV-1a has it
		}
		mix(uint64(len(r.Addr)))
	}
	add(n.Pred)
	for _, r := range n.Succ {
		add(r)
	}
	return h | 1
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
	m.setList(slices.DeleteFunc(slices.Clone(m.succ), func(s Ref) bool { return s.ID == r.ID }))
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
