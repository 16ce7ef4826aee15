package chord

import (
	"slices"
	"time"
)

// fingers are members at growing distances: for each hexadecimal digit place i
// and digit j, the first member at or behind self + j·16^i. Base 16 gives
// about 15·log16(n) distinct entries and half of the hops of base 2.
type fingers struct {
	entries []finger // distinct, sorted by ID
	next    int      // which one is refreshed next, counted down from the farthest
	cycle   int      // how often all have been
}

type finger struct {
	Ref
	cycle int // in which it was last found right
}

const (
	fingerCount = 15 * 2 * IDBytes
	// fingerPause is the pause between two refreshes once all fingers are known.
	// With some 45 of them, and half of the members replaced in an hour, one in
	// seventy-five is dead when it is used.
	fingerPause = 3 * time.Second
	// firstFingers is the pause before that.
	firstFingers = 100 * time.Millisecond
)

func (f *fingers) at(id ID) (int, bool) {
	return slices.BinarySearchFunc(f.entries, id, func(e finger, id ID) int { return e.ID.Compare(id) })
}

func (f *fingers) remove(id ID) bool {
	i, found := f.at(id)
	if found {
		f.entries = slices.Delete(f.entries, i, i+1)
	}
	return found
}

// readdress gives the finger to a member, if there is one, its new address.
func (f *fingers) readdress(r Ref) {
	if i, found := f.at(r.ID); found {
		f.entries[i].Ref = r
	}
}

func (f *fingers) insert(r Ref) {
	i, found := f.at(r.ID)
	if !found {
		f.entries = slices.Insert(f.entries, i, finger{})
	}
	f.entries[i] = finger{r, f.cycle}
}

// behind gives the entry at or behind a place, as a finger to it would be.
func (f *fingers) behind(id ID) (Ref, bool) {
	if len(f.entries) == 0 {
		return Ref{}, false
	}
	i, _ := f.at(id)
	return f.entries[i%len(f.entries)].Ref, true
}

// turn begins the next cycle; who was not found to be a finger in the last one
// is none any more.
func (f *fingers) turn() {
	f.entries = slices.DeleteFunc(f.entries, func(e finger) bool { return e.cycle < f.cycle })
	f.next = 0
	f.cycle++
}

// fingerTarget is self + j·16^i for the k-th finger, farthest first.
func fingerTarget(self ID, k int) ID {
	place, digit := 2*IDBytes-1-k/15, 15-k%15
	var step ID
	step[IDBytes-1-place/2] = byte(digit << (4 * (place % 2)))
	return plus(self, step)
}

// refreshFingers renews one finger, and so on from then on. Those that would
// fall among the successor list are passed over: the list is nearer to the
// truth.
func (m *Member) refreshFingers() {
	if m.phase != member {
		return
	}
	f := &m.fingers
	if len(m.succ) > 0 {
		target := fingerTarget(m.self.ID, f.next)
		f.next++
		if f.next >= fingerCount || InArc(m.self.ID, target, m.succ[len(m.succ)-1].ID) {
			f.turn()
		} else {
			m.refreshFinger(target)
		}
	}
	pause := fingerPause
	switch {
	case m.oneHop():
		pause = m.cfg.Stabilize // it costs no message
	case f.cycle == 0:
		pause = firstFingers
	}
	m.timers.stop(m.maintenance.finger)
	m.maintenance.finger = m.after(m.jittered(pause), m.refreshFingers)
}

// refreshFinger asks the present finger to a place whether it still is that,
// and looks for another if not.
func (m *Member) refreshFinger(target ID) {
	f := &m.fingers
	if m.oneHop() {
		if r := m.guess(target); r.ID != m.self.ID {
			f.insert(r)
		}
		return
	}
	found := func(t trail) {
		if !t.owner.IsZero() && t.owner.ID != m.self.ID {
			f.insert(t.owner)
		}
	}
	r, ok := f.behind(target)
	if !ok || m.isSuspect(r.ID) {
		m.walk(target, m.beginnings(target), found)
		return
	}
	m.walk(target, []Ref{r}, func(t trail) {
		if t.owner.IsZero() {
			m.walk(target, m.beginnings(target), found)
			return
		}
		found(t)
	})
}

// lostFinger takes a member that did not answer out of the fingers and looks for
// who has taken its place.
func (m *Member) lostFinger(id ID) {
	if m.fingers.remove(id) && m.phase == member {
		m.after(0, func() { m.refreshFinger(id) })
	}
}

// FingerTargets gives the places that the fingers of a member point to, the
// farthest first.
func FingerTargets(self ID) []ID {
	targets := make([]ID, fingerCount)
	for k := range targets {
		targets[k] = fingerTarget(self, k)
	}
	return targets
}
