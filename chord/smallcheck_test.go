package chord

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ready gives the mask of those that are part of the ring.
func (n *network) ready(w *world) (mask uint8) {
	for i := range uint8(len(n.members)) {
		if (w.started&^w.dead)&(1<<i) != 0 && n.state(w, i).phase == member {
			mask |= 1 << i
		}
	}
	return mask
}

// check is the invariant: what holds of each member's list always; and as long
// as the failures were such that it can be asked for, that everybody has a live
// entry in its list, that who follows first live entries comes from everywhere
// to one cycle around the ring and, in a ring larger than the lists, that more
// than L members are principals.
func (n *network) check(w *world) error {
	if w.fault != "" {
		return errors.New(w.fault)
	}
	for i := range uint8(len(n.members)) {
		if (w.started&^w.dead)&(1<<i) != 0 {
			if err := n.checkList(n.state(w, i), i); err != nil {
				return err
			}
		}
	}
	if !w.linked {
		return nil
	}
	if err := n.chains(w); err != nil {
		return fmt.Errorf("one ring: %w", err)
	}
	if p := n.principals(w); w.base && p <= n.rules.limit {
		return fmt.Errorf("sufficient principals: %d, want more than %d", p, n.rules.limit)
	}
	return nil
}

func (n *network) checkList(s *memberState, i uint8) error {
	name := func(k uint8) string { return string(rune('a' + k)) }
	switch {
	case s.phase != member && s.phase != leaving:
		return nil
	case s.pred == noSlot:
		return fmt.Errorf("predecessor: %s has none", name(i))
	case slices.Contains(s.succ, i):
		return fmt.Errorf("never self: %s is in its own list", name(i))
	case len(s.succ) > n.rules.limit:
		return fmt.Errorf("length: the list of %s has %d entries", name(i), len(s.succ))
	}
	for k := 1; k < len(s.succ); k++ {
		if !between(s.succ[k-1], s.succ[k], i) {
			return fmt.Errorf("ring order: %s has %s behind %s", name(i), name(s.succ[k]), name(s.succ[k-1]))
		}
	}
	return nil
}

// between is Between by the members' numbers, which are in the ring's order.
func between(a, x, b uint8) bool {
	if a < b {
		return a < x && x < b
	}
	return a < x || x < b
}

var errNoLiveEntry = errors.New("no live entry in the list")

// follow gives the first live entry of a member's list; with an empty one, as
// in a ring of one, it follows itself.
func (n *network) follow(w *world, i, ready uint8) (uint8, error) {
	succ := n.state(w, i).succ
	for _, s := range succ {
		if ready&(1<<s) != 0 {
			return s, nil
		}
	}
	if len(succ) == 0 {
		return i, nil
	}
	return i, fmt.Errorf("%s: %w", n.ids.refs[i].Addr, errNoLiveEntry)
}

// chains reports what is wrong with the cycle that live entries make.
func (n *network) chains(w *world) error {
	ready := n.ready(w)
	cycle := uint8(0) // the members on the first cycle found
	for i := range uint8(len(n.members)) {
		if ready&(1<<i) == 0 {
			continue
		}
		at := i
		var err error
		for range n.members {
			if at, err = n.follow(w, at, ready); err != nil {
				return err
			}
		}
		if cycle == 0 {
			wraps := 0
			for cycle&(1<<at) == 0 {
				cycle |= 1 << at
				next, err := n.follow(w, at, ready)
				if err != nil {
					return err
				}
				if next <= at {
					wraps++
				}
				at = next
			}
			if wraps != 1 {
				return fmt.Errorf("the cycle goes around the ring %d times", wraps)
			}
		}
		if cycle&(1<<at) == 0 {
			return fmt.Errorf("%s comes to another cycle than the first member", n.ids.refs[i].Addr)
		}
	}
	return nil
}

// principals counts the members that no list skips.
func (n *network) principals(w *world) (count int) {
	ready := n.ready(w)
	skipped := uint8(0)
	for i := range uint8(len(n.members)) {
		if ready&(1<<i) == 0 {
			continue
		}
		at := i
		for _, s := range n.state(w, i).succ {
			for p := range uint8(len(n.members)) {
				if p != at && p != s && between(at, p, s) {
					skipped |= 1 << p
				}
			}
			at = s
		}
	}
	for p := range uint8(len(n.members)) {
		if ready&^skipped&(1<<p) != 0 {
			count++
		}
	}
	return count
}

// ideal reports why the ring is not what it must come to.
func (n *network) ideal(w *world) error {
	var ring []uint8
	for i := range uint8(len(n.members)) {
		if (w.started&^w.dead)&(1<<i) == 0 {
			continue
		}
		if p := n.state(w, i).phase; p != member {
			if !n.rules.gossip && p == joining && n.ready(w) == 0 {
				continue // nobody is left to be found, and nobody says so
			}
			return fmt.Errorf("%s is %s", n.ids.refs[i].Addr, p)
		}
		ring = append(ring, i)
	}
	for k, i := range ring {
		behind := append(slices.Clone(ring[k+1:]), ring[:k]...)
		pred := i
		if len(behind) > 0 {
			pred = behind[len(behind)-1]
		}
		s := n.state(w, i)
		if want := behind[:min(len(behind), n.rules.limit)]; s.pred != pred || !slices.Equal(s.succ, want) {
			return fmt.Errorf("%s has the predecessor %d and the list %v, want %d and %v", n.ids.refs[i].Addr, s.pred, s.succ, pred, want)
		}
	}
	return nil
}

// maxDelivered is far more messages than a small ring has to say before it
// waits for its timers.
const maxDelivered = 1000

// drain delivers until nothing is on its way: maintenance stops by itself.
func (n *network) drain(w *world) {
	delivered := 0
	for moved := true; moved && w.fault == ""; {
		if delivered > maxDelivered {
			w.fault = fmt.Sprintf("rest: %d messages were delivered and there are still some", delivered)
		}
		moved = false
		for i := range uint8(len(n.members)) {
			for j := range uint8(len(n.members)) {
				if w.count[i][j] > 0 {
					n.apply(w, choice{deliver, i, j})
					moved = true
					delivered++
				}
			}
		}
	}
}

// turn gives everybody its turn once, when all is delivered: gossip tells the
// truth, time-outs and suspicions end, timers run.
func (n *network) turn(w *world) {
	for i := range uint8(len(n.members)) {
		done := map[choice]bool{}
		for {
			next := slices.IndexFunc(n.turnChoices(w, i), func(c choice) bool { return !done[c] })
			if next < 0 {
				break
			}
			c := n.turnChoices(w, i)[next]
			done[c] = true
			n.apply(w, c)
		}
	}
	n.drain(w)
}

func (n *network) turnChoices(w *world, i uint8) []choice {
	if w.started&^w.dead&(1<<i) == 0 {
		return nil
	}
	var list []choice
	for j := range uint8(len(n.members)) {
		if n.state(w, i).suspects&(1<<j) != 0 {
			list = append(list, choice{forgets, i, j})
		}
	}
	return slices.DeleteFunc(n.ownChoices(w, i, list), func(c choice) bool { return c.kind == compares })
}

// picture shows a small ring to people.
func (n *network) picture(w *world) string {
	var b strings.Builder
	for i := range uint8(len(n.members)) {
		name := n.ids.refs[i].Addr
		switch {
		case w.dead&(1<<i) != 0:
			fmt.Fprintf(&b, "  %s is dead\n", name)
		case w.started&(1<<i) == 0:
			fmt.Fprintf(&b, "  %s has not started\n", name)
		default:
			s := n.state(w, i)
			pred := "-"
			if s.pred != noSlot {
				pred = string(rune('a' + s.pred))
			}
			fmt.Fprintf(&b, "  %s %s, predecessor %s, successors %s\n", name, s.phase, pred, letters(s.succ))
		}
	}
	return b.String()
}

func letters(list []uint8) string {
	var b strings.Builder
	for _, k := range list {
		b.WriteByte('a' + k)
	}
	return b.String()
}
