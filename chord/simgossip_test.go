package chord

import (
	"slices"
	"time"
)

// Gossip is simulated by its effect: some time after a host appears or
// disappears, each other host that hears it believes so, each at its own
// moment. A one-way cut does not show, as indirect probes go around it.
const (
	seenMin, seenMax = 50 * time.Millisecond, 300 * time.Millisecond
	deadMin, deadMax = 1 * time.Second, 3 * time.Second
	partMin, partMax = 2500 * time.Millisecond, 3500 * time.Millisecond
)

// heard reports whether a would, in the long run, believe b alive.
func (net *simNet) heard(a, b *simHost) bool {
	return a.m != nil && b.m != nil && net.side[a] == net.side[b]
}

// rumour is to be called whenever what heard says may have changed.
func (net *simNet) rumour() {
	for _, a := range net.hosts {
		if a.m == nil {
			continue
		}
		for _, b := range net.hosts {
			if a == b || net.heard(a, b) == a.sees[b] {
				continue
			}
			lo, hi := seenMin, seenMax
			switch {
			case a.sees[b] && net.side[a] != net.side[b]:
				lo, hi = partMin, partMax
			case a.sees[b] && !b.gone:
				lo, hi = deadMin, deadMax
			}
			boot := a.boot
			net.in(net.between(lo, hi), func() { a.believe(boot, b) })
		}
	}
}

// believe brings what a sees of b up to date.
func (a *simHost) believe(boot int, b *simHost) {
	net := a.net
	if a.m == nil || a.boot != boot || net.heard(a, b) == a.sees[b] {
		return
	}
	if net.heard(a, b) {
		a.sees[b] = true
	} else {
		delete(a.sees, b)
	}
	net.logf("%s believes %s alive: %v", a, b, a.sees[b])
	a.call(boot, func(m *Member, now Time) { m.View(now, a.seen()) })
}

// seen is the view that gossip gives, in no particular order.
func (a *simHost) seen() []Ref {
	var view []Ref
	for _, h := range a.net.hosts {
		if a.sees[h] {
			view = append(view, h.ref)
		}
	}
	a.net.rng.Shuffle(len(view), func(i, j int) { view[i], view[j] = view[j], view[i] })
	return view
}

// agreed reports whether every host sees exactly those it can hear.
func (net *simNet) agreed() bool {
	return !slices.ContainsFunc(net.hosts, func(a *simHost) bool {
		return a.m != nil && slices.ContainsFunc(net.hosts, func(b *simHost) bool { return a != b && net.heard(a, b) != a.sees[b] })
	})
}

// lie has a believe b dead, though it is not, for some time.
func (net *simNet) lie(a, b *simHost, d time.Duration) {
	boot := a.boot
	delete(a.sees, b)
	a.call(boot, func(m *Member, now Time) { m.View(now, a.seen()) })
	net.in(d, func() { a.believe(boot, b) })
}
