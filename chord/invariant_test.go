package chord

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// breach is an invariant that does not hold, by its name, and how.
type breach struct{ invariant, text string }

func (b *breach) Error() string { return b.invariant + ": " + b.text }

func broke(invariant, format string, args ...any) *breach {
	return &breach{invariant, fmt.Sprintf(format, args...)}
}

// ring gives the members that are part of a ring, in ring order: those that
// are up and ready.
func (net *simNet) ring() []*simHost {
	var ring []*simHost
	for _, h := range net.hosts {
		if h.ready() {
			ring = append(ring, h)
		}
	}
	slices.SortFunc(ring, func(a, b *simHost) int { return a.ref.ID.Compare(b.ref.ID) })
	return ring
}

func (net *simNet) hostOf(r Ref) *simHost {
	h := net.byAddr[r.Addr]
	if h == nil || h.ref != r {
		return nil
	}
	return h
}

// checkAlways asserts, from now on and after every step, what must always hold.
func (net *simNet) checkAlways(also ...func() *breach) {
	net.ringChanged = true
	net.after = func() {
		if !net.ringChanged {
			return
		}
		net.ringChanged = false
		for _, h := range net.hosts {
			net.fails(h.checkMember())
		}
		for _, check := range also {
			net.fails(check())
		}
	}
}

// settle waits until the ring is ideal and its data where it belongs.
func (net *simNet) settle(hosts int) { net.settleWithin(30*time.Second, hosts) }

func (net *simNet) settleWithin(patience time.Duration, hosts int) {
	net.t.Helper()
	err := errors.New("never looked")
	look := Time(0)
	ok := net.runUntil(patience, func() bool {
		if net.now < look {
			return false
		}
		look = net.now.Add(50e6) // looking at every step costs more than the steps
		err = net.unsettled(hosts)
		return err == nil
	})
	if !ok {
		net.fails(broke("convergence", "the ring has not settled within %v: %v", patience, err))
	}
}

// unsettled tells what the ring still lacks to be whole.
func (net *simNet) unsettled(hosts int) error {
	if n := len(net.ring()); n != hosts {
		return fmt.Errorf("the ring has %d members, want %d", n, hosts)
	}
	if !net.agreed() {
		return errors.New("gossip is not through")
	}
	if err := net.checkIdeal(); err != nil {
		return err
	}
	return net.checkFilled()
}

func (net *simNet) name(r Ref) string {
	if h := net.hostOf(r); h != nil {
		return h.name
	}
	return fmt.Sprintf("%+v", r)
}

// picture shows the ring to people.
func (net *simNet) picture() string {
	var b strings.Builder
	hosts := slices.Clone(net.hosts)
	slices.SortFunc(hosts, func(a, b *simHost) int { return a.ref.ID.Compare(b.ref.ID) })
	for _, h := range hosts {
		keys, _ := h.disk.Count(Hard)
		fmt.Fprintf(&b, "  %s %d keys, side %d:", h, keys, net.side[h])
		if h.m == nil {
			b.WriteString(" down\n")
			continue
		}
		var succ []string
		for _, r := range h.m.succ {
			succ = append(succ, net.name(r))
		}
		st := h.m.status()
		fmt.Fprintf(&b, " %s, predecessor %s, successors %v, sees %d, incomplete %d, under-replicated %d\n", h.m.phase, net.name(h.m.pred), succ, len(h.sees), st.IncompleteRanges, st.UnderReplicated)
	}
	return b.String()
}
