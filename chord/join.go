package chord

import (
	"slices"
	"time"
)

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
// this member to be the ring that the others join. One that holds nothing waits
// for that until nobody new has been heard of for a while: two members that come
// back with empty disks may hear of each other before they hear of their ring.
func (m *Member) joinBehind(candidates []Ref, lowest bool) {
	if m.phase != joining {
		return // alone meanwhile: what is running is its first round
	}
	if len(candidates) == 0 {
		m.maintenance.running = false
		if lowest && (m.ring > 0 || m.now.Sub(m.maintenance.viewed) >= m.cfg.JoinWindow/3) {
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
			m.deferTo(n, p)
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
		if len(n.Succ) >= minListLength && !Between(p.ID, m.self.ID, n.Succ[len(n.Succ)-1].ID) {
			m.joinByLookup(p, rest)
			return
		}
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

// joinByLookup finds the place in a ring too large to walk around: p helps to
// find who owns it now, and that one's predecessor is the one to join behind.
func (m *Member) joinByLookup(p Ref, rest []Ref) {
	m.walk(m.self.ID, []Ref{p}, func(t trail) {
		if t.owner.IsZero() {
			m.joinBehind(rest, false)
			return
		}
		m.joinBehind(append([]Ref{t.pred}, rest...), false)
	})
}

func (m *Member) joined(pred Ref, succ []Ref) {
	if m.phase != joining {
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
	if m.ring == 0 && !m.knew {
		// Nothing was ever stored here, and nobody is known who could have.
		m.ring, m.founded = 1, true
		m.claims = arcs{{From: m.self.ID, To: m.self.ID, Epoch: m.nextEpoch(0), Ring: 1, Holders: holdersOf([]Ref{m.self})}}
	}
	m.becomeMember(m.self, nil)
	m.event("alone", Ref{}, "began a ring of one")
}

// deferTo has this member give up what it holds or claims, if what another says of
// the ring makes that void.
func (m *Member) deferTo(n Neighbors, by Ref) {
	m.refillIfOutdated(n.Purged, by)
	m.yieldToOlder(n.Elder, by)
}

// elderAfter is how long a ring must have been for others to yield to it. Many
// that begin at the same time are no older than each other.
const elderAfter = time.Minute

// yieldToOlder gives up the claims, not the maps, of a ring of one that began with
// nothing, when it meets a ring that is older. What it has vouched for is its own:
// if only a part of the other ring is up, it would else answer for the rest.
func (m *Member) yieldToOlder(ring int, by Ref) {
	if !m.founded || ring < 2 {
		return
	}
	m.event("ring", by, "met a ring of %d, and vouches for nothing until that has filled it", ring)
	m.claims, m.ring, m.founded = nil, ring, false
	m.saveState()
	m.unfilled()
}

// unfilled has a member that vouches for nothing any more complete its range anew.
func (m *Member) unfilled() {
	if m.phase == member {
		m.voided()
		m.repairSoon()
	}
}

func (m *Member) becomeMember(pred Ref, succ []Ref) {
	m.timers.stop(m.maintenance.window)
	m.phase = member
	m.maintenance.running = false
	if m.keeps(predAtJoin) {
		m.pred = pred
	}
	m.setList(m.trimmed(succ))
	m.startData()
	m.stabilize()
	m.refreshFingers()
}
