package chord

import (
	"encoding/binary"
	"slices"
	"time"
)

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
	m.setOffset() // those who have gone say nothing any more
	if m.phase != idle && !m.ringClock.enough(len(m.view)) {
		m.keepTime() // writes wait for it
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
	for _, r := range m.succ {
		if !listed(list, r.ID) {
			m.miss(r.ID)
		}
	}
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
	m.miss(r.ID)
	delete(m.rtt, r.ID)
	m.ringClock.samples = slices.DeleteFunc(m.ringClock.samples, func(s clockSample) bool { return s.of.ID == r.ID })
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

// knowsOthers reports whether gossip believes that others live.
func (m *Member) knowsOthers() bool {
	return slices.ContainsFunc(m.view, func(r Ref) bool { return r.ID != m.self.ID && !m.isSuspect(r.ID) })
}
