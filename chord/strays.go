package chord

import (
	"slices"
	"time"
)

// strayDelay lets a ring settle before copies that belong elsewhere are looked
// for.
const strayDelay = 500 * time.Millisecond

// straysSoon looks for strays a while after the last change.
func (m *Member) straysSoon() {
	m.timers.stop(m.repair.looking)
	m.repair.looking = m.after(strayDelay, m.handStrays)
}

// ringReplicas gives who should hold the range of the i-th member of the view,
// that member first: what replicas gives at that member.
func (m *Member) ringReplicas(i int) []Ref {
	n := len(m.view)
	set := []Ref{m.view[i]}
	hosts := map[string]bool{host(m.view[i]): true}
	want := QuorumOf(Hard, n).N
	for k := 1; k < n && len(set) < want; k++ {
		if r := m.view[(i+k)%n]; !hosts[host(r)] {
			hosts[host(r)] = true
			set = append(set, r)
		}
	}
	for k := 1; k < n && len(set) < want; k++ {
		if r := m.view[(i+k)%n]; !slices.Contains(set, r) {
			set = append(set, r)
		}
	}
	return set
}

// handStrays looks for ranges of which this member holds maps although it is
// none of their replicas: others have joined in between, or two rings have
// merged, and then a stray may be the only copy. Its owner gets what it lacks;
// when the owner has completed its range and W replicas hold as much as the
// stray does, the stray and the claim to its range are dropped.
//
// It also looks for ranges that it should hold and has not been granted: one that
// died and came back with an empty disk before anybody took notice is counted on
// by owners who know nothing of that. Comparing tells them.
func (m *Member) handStrays() {
	r := &m.repair
	if m.phase != member || !m.viewWhole || r.handing > 0 {
		return
	}
	r.touched, r.strays, r.lacking = nil, nil, 0
	n := len(m.view)
	for i, owner := range m.view {
		before := m.view[(i+n-1)%n]
		replicas := m.ringReplicas(i)
		if listed(replicas, m.self.ID) {
			if owner.ID != m.self.ID && !m.claims.over(before.ID, owner.ID).Complete {
				r.lacking++
				r.handing++
				m.compare(owner, Hard, before.ID, owner.ID, false, func(comparison) { m.handed() })
			}
			continue
		}
		if !m.holdsAny(before.ID, owner.ID) && !m.claims.at(owner.ID).Complete {
			continue
		}
		r.strays = append(r.strays, Arc{From: before.ID, To: owner.ID})
		r.handing++
		m.handStray(before.ID, replicas, func(ok bool) {
			if ok {
				r.strays = slices.DeleteFunc(r.strays, func(a Arc) bool { return a.To == owner.ID })
			}
			m.handed()
		})
	}
	r.straying = r.handing > 0
}

// handed ends one of what handStrays has begun.
func (m *Member) handed() {
	r := &m.repair
	if r.handing--; r.handing > 0 {
		return
	}
	if r.straying = len(r.strays)+r.lacking > 0; r.straying {
		m.straysSoon()
	}
}

func (m *Member) holdsAny(from, to ID) bool {
	d, err := m.cfg.Store.Digest(Hard, from, to)
	return d.Maps > 0 || err != nil
}

// handStray brings one stray range to its owner, or drops it when the owner
// and enough replicas have all of it.
func (m *Member) handStray(from ID, replicas []Ref, done func(bool)) {
	owner := replicas[0]
	m.compare(owner, Hard, from, owner.ID, true, func(c comparison) {
		if !m.keeps(keepStrays) {
			m.dropStray(from, owner.ID)
			done(true)
			return
		}
		held := m.claims.partly(from, owner.ID)
		if !c.ok || !c.claim.Complete || c.claim.Epoch <= held.Newest || c.claim.Epoch < held.Next.Epoch || c.pushed > 0 {
			// The owner's own repair comes first: it may still need this
			// member's claim, and brings what it got from here to the replicas.
			done(false)
			return
		}
		m.confirmStray(from, owner.ID, c.claim.Epoch, replicas[1:QuorumOf(Hard, len(m.view)).W], func(ok bool) {
			ok = ok && !listed(m.replicasOf(owner), m.self.ID) &&
				!slices.ContainsFunc(m.repair.touched, func(id ID) bool { return InArc(from, id, owner.ID) })
			if ok {
				m.dropStray(from, owner.ID)
			}
			done(ok)
		})
	})
}

// replicasOf is ringReplicas by the member, as the view is now.
func (m *Member) replicasOf(owner Ref) []Ref {
	i := slices.IndexFunc(m.view, func(r Ref) bool { return r.ID == owner.ID })
	if i < 0 {
		return m.view // gone: nothing is anybody's stray until the ring knows better
	}
	return m.ringReplicas(i)
}

// confirmStray asks replicas whether they hold as much as this member does, by
// the same grant as the owner or a later one.
func (m *Member) confirmStray(from, to ID, epoch uint64, replicas []Ref, done func(bool)) {
	if len(replicas) == 0 {
		done(true)
		return
	}
	m.compare(replicas[0], Hard, from, to, false, func(c comparison) {
		if !c.ok || !c.claim.Complete || c.claim.Epoch < epoch || c.pushed > 0 {
			done(false)
			return
		}
		m.confirmStray(from, to, epoch, replicas[1:], done)
	})
}

func (m *Member) dropStray(from, to ID) {
	m.claims = m.claims.without(from, to)
	m.saveState() // before the maps go
	m.dropMaps(from, to)
}

func (m *Member) dropMaps(from, to ID) {
	var keys []Key
	_ = m.cfg.Store.Keys(Hard, from, to, func(k Key) bool {
		keys = append(keys, k)
		return true
	})
	for _, k := range keys {
		m.store(StoreOp{Kind: StoreDrop, Key: k}, nil)
	}
}
