package chord

import (
	"errors"
	"fmt"
	"slices"
)

// adopted looks at what one event did to the successor list. Somebody new becomes
// the first only by having answered just now, and the others then are out of its
// own list; without an answer the list only gets shorter.
func (h *simHost) adopted(phase phase, before []Ref) *breach {
	m := h.m
	if m.phase == joining || len(m.succ) == 0 {
		return nil
	}
	named := func(list []Ref, r Ref) bool {
		return slices.ContainsFunc(list, func(o Ref) bool { return o.ID == r.ID })
	}
	first := m.succ[0]
	if !named(before, first) && h.heard.ID != first.ID && !(phase == joining && first.ID == m.pred.ID) {
		return broke("liveness before adoption", "%s takes %s for its first successor, which has not just answered", h, h.net.name(first))
	}
	allowed := h.told[first.ID]
	if phase == joining {
		allowed = append(slices.Clone(h.told[m.pred.ID]), m.pred) // Zave's join: the predecessor's list
	}
	kept := !slices.ContainsFunc(m.succ, func(r Ref) bool { return !named(before, r) })
	if h.heard.ID == first.ID && phase != joining {
		if whole := m.trimmed(append([]Ref{first}, allowed...)); !sameMembers(whole, m.succ) {
			return broke("whole list", "%s has not taken over all %d entries that its first successor %s has just named", h, len(whole), h.net.name(first))
		}
	}
	for _, r := range m.succ[1:] {
		if !named(allowed, r) && !(kept && h.heard.ID != first.ID) {
			return broke("whole list", "%s has %s behind its first successor %s, which did not name it", h, h.net.name(r), h.net.name(first))
		}
	}
	return nil
}

// liveSuccessor is the first entry of the list that is in the ring; with an
// empty list, as in a ring of one, a member follows itself.
func (net *simNet) liveSuccessor(h *simHost) *simHost {
	for _, r := range h.m.succ {
		if s := net.hostOf(r); s != nil && s.ready() {
			return s
		}
	}
	if len(h.m.succ) == 0 {
		return h
	}
	return nil
}

// checkMember is what holds at every member after every step: it is never in
// its own list, which is in ring order without doubles and at most L long; a
// member of a ring has a predecessor, and R + W = N + 1.
func (h *simHost) checkMember() *breach {
	m := h.m
	if m == nil || !m.Ready() {
		return nil
	}
	if m.pred.IsZero() {
		return broke("predecessor", "%s has none", h)
	}
	if limit := ListLength(len(m.view)); len(m.succ) > max(limit, 12) {
		return broke("list length", "%s has %d successors, more than %d", h, len(m.succ), limit)
	}
	at := h.ref.ID
	for i, r := range m.succ {
		if r.ID == h.ref.ID {
			return broke("never self", "%s is in its own successor list", h)
		}
		if i > 0 && !Between(at, r.ID, h.ref.ID) {
			return broke("list order", "%s has successors out of ring order at %d", h, i)
		}
		at = r.ID
	}
	return nil
}

// longest is the length of the longest list there may be.
func (net *simNet) longest() (limit int) {
	for _, h := range net.ring() {
		limit = max(limit, h.m.listLength())
	}
	return limit
}

// checkZave is the inductive invariant of Zave 2017 for a ring of more members
// than L: everybody has a live list entry, and at least L+1 members are
// principals, which no list skips.
func (net *simNet) checkZave() *breach {
	ring, limit := net.ring(), net.longest()
	if len(ring) <= limit {
		return nil
	}
	for _, h := range ring {
		if net.liveSuccessor(h) == nil {
			return broke("live successor", "%s has none in its list", h)
		}
	}
	principals := 0
	for _, p := range ring {
		skipped := slices.ContainsFunc(ring, func(h *simHost) bool {
			at := h.ref.ID
			for _, r := range h.m.succ {
				if Between(at, p.ref.ID, r.ID) {
					return true
				}
				at = r.ID
			}
			return false
		})
		if !skipped {
			principals++
		}
	}
	if principals < limit+1 {
		return broke("sufficient principals", "%d, want at least %d", principals, limit+1)
	}
	return nil
}

// checkCycle is the invariant of small rings: who follows first live
// successors comes, from every member, to one and the same cycle, which goes
// around the ring once.
func (net *simNet) checkCycle() *breach {
	ring := net.ring()
	if len(ring) < 2 {
		return nil
	}
	cycleOf := func(h *simHost) (*simHost, error) {
		for range ring {
			if h = net.liveSuccessor(h); h == nil {
				return nil, errors.New("the chain of successors ends")
			}
		}
		return h, nil // on a cycle by now
	}
	first, err := cycleOf(ring[0])
	if err != nil {
		return broke("one ring", "from %s: %v", ring[0], err)
	}
	on := map[*simHost]bool{}
	wraps := 0
	for h := first; !on[h]; {
		on[h] = true
		next := net.liveSuccessor(h)
		if next.ref.ID.Compare(h.ref.ID) <= 0 {
			wraps++
		}
		h = next
	}
	if wraps != 1 {
		return broke("one ring", "the cycle of %s goes around %d times", first, wraps)
	}
	for _, h := range ring {
		c, err := cycleOf(h)
		if err != nil {
			return broke("one ring", "from %s: %v", h, err)
		}
		if !on[c] {
			return broke("one ring", "%s leads to another cycle than %s", h, ring[0])
		}
	}
	return nil
}

// checkIdeal is what the ring must come to when nothing happens: everybody who
// is up is a member, knows its neighbours, and lists the next L members.
func (net *simNet) checkIdeal() error {
	ring := net.ring()
	for _, h := range net.hosts {
		if h.m != nil && !h.ready() {
			return fmt.Errorf("%s is up and not ready", h)
		}
	}
	for i, h := range ring {
		var others []*simHost // of its side, in ring order behind it
		for k := 1; k < len(ring); k++ {
			if o := ring[(i+k)%len(ring)]; net.side[o] == net.side[h] {
				others = append(others, o)
			}
		}
		pred := h
		if len(others) > 0 {
			pred = others[len(others)-1]
		}
		if h.m.pred != pred.ref {
			return fmt.Errorf("%s has the predecessor %s, want %s", h, net.name(h.m.pred), pred)
		}
		want := others[:min(len(others), h.m.listLength())]
		if len(h.m.succ) != len(want) {
			return fmt.Errorf("%s has %d successors, want %d", h, len(h.m.succ), len(want))
		}
		for k, r := range h.m.succ {
			if r != want[k].ref {
				return fmt.Errorf("%s has %s as successor %d, want %s", h, net.name(r), k, want[k])
			}
		}
	}
	return nil
}

// checkFilled is what the data must come to: nobody fills a range or owns a
// key that too few hold, and quorums go by the ring as it is now.
func (net *simNet) checkFilled() error {
	for _, h := range net.ring() {
		if r := &h.m.repair; !r.complete || r.straying || !r.settled {
			return fmt.Errorf("%s fills its range or has maps that belong elsewhere", h) // what is quickly seen
		}
	}
	for _, h := range net.ring() {
		if h.m.ring != len(h.m.view) {
			return fmt.Errorf("%s counts quorums by a ring of %d, not %d", h, h.m.ring, len(h.m.view))
		}
		st := h.m.status()
		if st.IncompleteRanges != 0 || st.UnderReplicated != 0 {
			return fmt.Errorf("%s has %d incomplete ranges and %d keys held by too few", h, st.IncompleteRanges, st.UnderReplicated)
		}
	}
	return nil
}
