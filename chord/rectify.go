package chord

import "slices"

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
