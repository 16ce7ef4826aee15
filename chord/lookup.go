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
		if best.IsZero() || r.ID == id || (best.ID != id && Between(id, r.ID, best.ID)) {
			best = r
		}
	}
	if m.oneHop() {
		start, _ := viewAt(m.view, id)
		for k := range m.view {
			if consider(m.view[(start+k)%len(m.view)]); !best.IsZero() {
				break // in ring order: nobody behind it is nearer
			}
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
	list := make([]Ref, 0, 2*n)
	consider := func(r Ref) {
		if i := len(list); i < cap(list) && !m.isSuspect(r.ID) {
			for i > 0 && Between(list[i-1].ID, r.ID, id) {
				i--
			}
			if i == 0 || list[i-1].ID != r.ID {
				list = slices.Insert(list, i, r)
			}
		}
	}
	// Both are in ring order: backwards from the place the nearest come first.
	for i := len(m.succ) - 1; i >= 0 && len(list) < n; i-- {
		if r := m.succ[i]; Between(m.self.ID, r.ID, id) {
			consider(r)
		}
	}
	f := m.fingers.entries
	at, _ := m.fingers.at(id)
	for k := range min(n, len(f)) {
		r := f[(at-1-k+2*len(f))%len(f)].Ref
		if !Between(m.self.ID, r.ID, id) {
			break
		}
		consider(r)
	}
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
	if m.oneHop() {
		done(m.guess(id))
		return
	}
	m.walk(id, m.beginnings(id), func(t trail) { done(t.owner) })
}

// beginnings are where a walk to a place begins.
func (m *Member) beginnings(id ID) []Ref {
	if len(m.succ) > 0 && InArc(m.self.ID, id, m.succ[len(m.succ)-1].ID) {
		return m.hint(id).Next // the owner is in the list
	}
	return append(m.preceding(id, walkWidth), m.guess(id))
}

// walkWidth is how many members a walk is told of at each step.
const walkWidth = 4

// trail is how a walk went.
type trail struct {
	owner    Ref // zero: nobody answered
	pred     Ref // the owner's predecessor
	hops     int // members that answered, the owner among them
	timeouts int
}

// walk is the iterative lookup: it goes to the candidate nearest to the place
// that has not been tried, and on at the first time-out.
func (m *Member) walk(id ID, candidates []Ref, done func(trail)) {
	w := &walking{m: m, id: id, candidates: candidates, tried: []ID{m.self.ID}, done: done}
	w.step()
}

// walking is a walk under way.
type walking struct {
	m          *Member
	id         ID
	candidates []Ref
	tried      []ID
	silent     []Ref // tried, without an answer in time
	heir       Ref   // follows a silent one: the owner, if that is dead
	trail      trail
	done       func(trail)
}

func (w *walking) step() {
	m := w.m
	w.candidates = slices.DeleteFunc(w.candidates, func(r Ref) bool { return r.IsZero() || slices.Contains(w.tried, r.ID) || m.isSuspect(r.ID) })
	if len(w.tried) > maxHops || m.phase == left {
		w.done(w.trail)
		return
	}
	if len(w.candidates) == 0 {
		w.lastResort()
		return
	}
	next := w.candidates[0]
	w.tried = append(w.tried, next.ID)
	m.askOnce(next, FindOwner{Target: w.id}, func(b Body, err error) {
		hint, ok := b.(OwnerHint)
		if !ok {
			w.trail.timeouts++
			w.silent = append(w.silent, next)
			w.step()
			return
		}
		w.answered(next, hint)
	})
}

func (w *walking) answered(by Ref, hint OwnerHint) {
	w.trail.hops++
	switch {
	case hint.Owner:
		w.end(by, hint.Pred)
	case !Between(w.m.self.ID, hint.Pred.ID, w.id) && listed(w.silent, hint.Pred.ID):
		// Both lie behind the place. It would be the owner, if the silent one before it is dead, which
		// it has not noticed. That one gets time to say no.
		w.heir, w.candidates = by, nil
		w.silent = []Ref{hint.Pred}
		w.lastResort()
	default:
		w.candidates = append(slices.Clone(hint.Next), w.candidates...)
		w.step()
	}
}

// lastResort asks the silent ones again, with patience.
func (w *walking) lastResort() {
	if len(w.silent) == 0 {
		if !w.heir.IsZero() {
			w.end(w.heir, Ref{})
			return
		}
		w.done(w.trail)
		return
	}
	again := w.silent[0]
	w.silent = w.silent[1:]
	w.m.ask(again, FindOwner{Target: w.id}, func(b Body, err error) {
		if hint, ok := b.(OwnerHint); ok {
			w.heir = Ref{}
			w.answered(again, hint)
			return
		}
		w.m.suspected(again.ID)
		w.m.lostFinger(again.ID)
		w.lastResort()
	})
}

func (w *walking) end(owner, pred Ref) {
	w.trail.owner, w.trail.pred = owner, pred
	for _, r := range w.silent {
		w.m.lostFinger(r.ID) // found again if it was only slow
	}
	w.done(w.trail)
}

// find carries out a Lookup.
func (m *Member) find(id ID, done func(LookupReply)) {
	if m.owns(id) {
		done(LookupReply{Owner: m.self, Pred: m.pred})
		return
	}
	candidates := m.beginnings(id)
	if m.oneHop() {
		candidates = append([]Ref{m.guess(id)}, candidates...)
	}
	m.walk(id, candidates, func(t trail) {
		r := LookupReply{Owner: t.owner, Pred: t.pred, Hops: t.hops, TimeOuts: t.timeouts}
		if t.owner.IsZero() {
			r.Code = CodeUnavailable
		}
		done(r)
	})
}

// hint answers FindOwner.
func (m *Member) hint(id ID) OwnerHint {
	if m.owns(id) {
		return OwnerHint{Owner: true, Pred: m.pred}
	}
	if m.oneHop() {
		return OwnerHint{Pred: m.pred, Next: []Ref{m.guess(id)}}
	}
	// If the place lies within the list of successors, the owner is in it, and
	// those behind would be if it is dead.
	for i, r := range m.succ {
		if InArc(m.self.ID, id, r.ID) {
			return OwnerHint{Pred: m.pred, Next: slices.Clone(m.succ[i:min(i+2, len(m.succ))])}
		}
	}
	next, owner := m.preceding(id, walkWidth-1), m.guess(id)
	// Who was asked in the belief that it is the owner has a predecessor that is
	// nearer to the place than anybody before it.
	if len(next) == 0 || Distance(id, owner.ID).Compare(Distance(next[0].ID, id)) < 0 {
		return OwnerHint{Pred: m.pred, Next: append([]Ref{owner}, next...)}
	}
	return OwnerHint{Pred: m.pred, Next: append(next, owner)}
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
