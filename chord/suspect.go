package chord

import "time"

// suspectFor is how long a member that did not answer, or that gossip has
// dropped, is passed over unless it is heard of before.
const suspectFor = 3 * time.Second

// maxSuspects is from how many on those whose time is over are cleared away.
const maxSuspects = 64

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
