package chord

import (
	"slices"
	"time"
)

// strayDelay lets a ring settle before copies that belong elsewhere are looked
// for.
const strayDelay = time.Second

// straysSoon looks for strays a while after the last change.
func (m *Member) straysSoon() {
	m.timers.stop(m.repair.strays)
	m.repair.strays = m.after(strayDelay, m.handStrays)
}

// handStrays gives maps that this member holds, but that lie in no range whose
// owner has granted it a copy, to their owners: two rings that merged leave
// such copies behind, and they may be the only ones. The copies stay here; the
// claim to their range ends once the owner has them.
func (m *Member) handStrays() {
	if m.phase != member || len(m.view) > maxOneHop {
		return
	}
	var owners []Ref
	_ = m.cfg.Store.Keys(Hard, m.self.ID, m.self.ID, func(k Key) bool {
		id := HashKey(k)
		owner := m.guess(id)
		if owner.ID == m.self.ID || m.grantedBy(id, owner.ID) || m.handed(id) {
			return true
		}
		if !slices.ContainsFunc(owners, func(r Ref) bool { return r.ID == owner.ID }) {
			owners = append(owners, owner)
		}
		return true
	})
	for _, owner := range owners {
		i := slices.IndexFunc(m.view, func(r Ref) bool { return r.ID == owner.ID })
		if i < 0 {
			continue
		}
		before := m.view[(i+len(m.view)-1)%len(m.view)]
		m.compare(owner, Hard, before.ID, owner.ID, true, func(c comparison) {
			switch {
			case !c.ok:
				m.straysSoon()
			case !m.grantedBy(owner.ID, owner.ID):
				m.claims = m.claims.without(before.ID, owner.ID)
				m.saveState()
			}
		})
	}
}

// grantedBy reports whether the copy of a place was granted by that owner: a
// granted range ends at the owner's place.
func (m *Member) grantedBy(id, owner ID) bool {
	return slices.ContainsFunc(m.claims, func(a Arc) bool {
		return InArc(a.From, id, a.To) && a.To == owner && a.From != a.To
	})
}

// handed reports whether a place lies in no claimed range at all: its maps
// were given to their owner, or this member has lost its claim to them.
func (m *Member) handed(id ID) bool { return !m.claims.at(id).Complete }
