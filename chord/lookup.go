package chord

import (
	"slices"
	"time"
)

const (
	// maxOneHop is the largest view that lookups trust: up to there the owner
	// is simply the successor of the key among the members gossip knows, and
	// the owner itself confirms or says better. Beyond, gossip is too slow for
	// the churn and lookups go by fingers.
	maxOneHop = 2000
	// maxHops ends one try of a lookup; the next begins afresh.
	maxHops = 24
	// routeAgain is the pause between two tries.
	routeAgain = 100 * time.Millisecond
)

// guess is the owner of a place as far as this member knows: the first live
// member at or behind it.
func (m *Member) guess(id ID) Ref {
	if m.owns(id) || m.phase == idle {
		return m.self
	}
	var best Ref
	consider := func(r Ref) {
		if r.IsZero() || r.ID == m.self.ID || m.isSuspect(r.ID) {
			return
		}
		if best.IsZero() || Distance(id, r.ID).Compare(Distance(id, best.ID)) < 0 {
			best = r
		}
	}
	if len(m.view) <= maxOneHop {
		for _, r := range m.view {
			consider(r)
		}
	}
	consider(m.pred)
	for _, r := range m.succ {
		consider(r)
	}
	if best.IsZero() {
		return m.self
	}
	return best
}

// preceding gives the members known to lie closest before a place, the best
// first (Chord, figure 5, closest_preceding_node, with all that is known).
func (m *Member) preceding(id ID, n int) []Ref {
	var list []Ref
	consider := func(r Ref) {
		if r.IsZero() || m.isSuspect(r.ID) || !Between(m.self.ID, r.ID, id) {
			return
		}
		if !slices.ContainsFunc(list, func(o Ref) bool { return o.ID == r.ID }) {
			list = append(list, r)
		}
	}
	for _, r := range m.succ {
		consider(r)
	}
	for _, r := range m.fingers.entries {
		consider(r)
	}
	slices.SortFunc(list, func(a, b Ref) int {
		return Distance(a.ID, id).Compare(Distance(b.ID, id))
	})
	return list[:min(n, len(list))]
}

// lookup finds the owner of a place: by one guess in a ring that gossip knows
// whole, else iteratively by fingers, this member owning the time-outs. done
// gets the zero Ref when nobody answered.
func (m *Member) lookup(id ID, done func(Ref)) {
	if m.owns(id) {
		done(m.self)
		return
	}
	if len(m.view) <= maxOneHop {
		done(m.guess(id))
		return
	}
	m.walk(id, done)
}

// walk is the iterative lookup.
func (m *Member) walk(id ID, done func(Ref)) {
	tried := map[ID]bool{m.self.ID: true}
	candidates := append(m.preceding(id, 4), m.guess(id))
	hops := 0
	var step func()
	step = func() {
		candidates = slices.DeleteFunc(candidates, func(r Ref) bool { return r.IsZero() || tried[r.ID] })
		if len(candidates) == 0 || hops >= maxHops {
			done(Ref{})
			return
		}
		hops++
		next := candidates[0]
		tried[next.ID] = true
		m.ask(next, FindOwner{Target: id}, func(b Body, err error) {
			hint, ok := b.(OwnerHint)
			switch {
			case !ok:
				m.suspected(next.ID)
			case hint.Owner:
				done(next)
				return
			default:
				candidates = append(slices.Clone(hint.Next), candidates...)
			}
			step()
		})
	}
	step()
}

// hint answers FindOwner.
func (m *Member) hint(id ID) OwnerHint {
	if m.owns(id) {
		return OwnerHint{Owner: true, Pred: m.pred}
	}
	var next []Ref
	if len(m.succ) > 0 && InArc(m.self.ID, id, m.succ[0].ID) {
		next = append(next, m.succ[0])
	} else {
		next = m.preceding(id, 3)
	}
	return OwnerHint{Pred: m.pred, Next: append(next, m.guess(id))}
}

// route brings an operation to the owner of its key. try is called with one
// candidate after the other; it ends the operation itself or calls again, with
// the member that the candidate named instead, if it did. failed is called
// when the deadline comes first.
func (m *Member) route(key Key, deadline Time, try func(owner Ref, again func(hint Ref)), failed func()) {
	id := HashKey(key)
	hops := 0
	var attempt func(owner Ref)
	find := func() {
		hops = 0
		m.lookup(id, func(owner Ref) { attempt(owner) })
	}
	attempt = func(owner Ref) {
		if m.now >= deadline || m.phase == left {
			failed()
			return
		}
		if owner.IsZero() || hops >= maxHops {
			m.after(routeAgain, find)
			return
		}
		hops++
		try(owner, func(hint Ref) {
			if hint.IsZero() || hint.ID == owner.ID || hops > 4 {
				m.after(routeAgain, find)
				return
			}
			attempt(hint)
		})
	}
	find()
}

// fingers are members at growing distances: for each hexadecimal digit place i
// and digit j, the first member at or behind self + j·16^i. Base 16 gives
// about 15·log16(n) distinct entries and a quarter of the hops of base 2.
type fingers struct {
	entries []Ref // distinct, sorted by ID
	next    int   // which one is refreshed next, counted down from the farthest
}

const fingerCount = 15 * 2 * IDBytes

func (f *fingers) remove(id ID) {
	f.entries = slices.DeleteFunc(f.entries, func(r Ref) bool { return r.ID == id })
}

// readdress gives the finger to a member, if there is one, its new address.
func (f *fingers) readdress(r Ref) {
	for i := range f.entries {
		if f.entries[i].ID == r.ID {
			f.entries[i] = r
		}
	}
}

func (f *fingers) insert(r Ref) {
	i, found := slices.BinarySearchFunc(f.entries, r.ID, func(e Ref, id ID) int { return e.ID.Compare(id) })
	if found {
		f.entries[i] = r
		return
	}
	f.entries = slices.Insert(f.entries, i, r)
}

// fingerTarget is self + j·16^i for the k-th finger, farthest first.
func (m *Member) fingerTarget(k int) ID {
	place, digit := 2*IDBytes-1-k/15, 15-k%15
	id := m.self.ID
	carry := digit << (4 * (place % 2))
	for i := IDBytes - 1 - place/2; i >= 0 && carry > 0; i-- {
		v := int(id[i]) + carry
		id[i], carry = byte(v), v>>8
	}
	return id
}

// refreshFinger renews one finger a round. Those that would fall among the
// successor list are passed over: the list is nearer to the truth.
func (m *Member) refreshFinger() {
	if len(m.succ) == 0 || m.phase != member {
		return
	}
	f := &m.fingers
	target := m.fingerTarget(f.next)
	f.next++
	if f.next >= fingerCount || InArc(m.self.ID, target, m.succ[len(m.succ)-1].ID) {
		f.next = 0
	}
	m.lookup(target, func(r Ref) {
		if !r.IsZero() && r.ID != m.self.ID {
			f.insert(r)
		}
	})
}
