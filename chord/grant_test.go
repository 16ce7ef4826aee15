package chord

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// newcomersLast looks at every grant on its way to somebody who has no claim to
// the range yet: R of those that have one know of it.
func newcomersLast(net *simNet) {
	net.watch = func(env Envelope) {
		g, ok := env.Body.(Grant)
		if to := net.hostOf(env.To); !ok || to == nil || to.m == nil || to.m.claims.over(g.From, g.To).Complete {
			return
		}
		var before Claim // in force so far
		know := 0
		for _, h := range net.hosts {
			if h.m == nil {
				continue
			}
			c := h.m.claims.over(g.From, g.To)
			if c.Complete && c.Epoch < g.Epoch && c.Epoch >= before.Epoch {
				before = c
			}
			if c.latest() >= g.Epoch {
				know++
			}
		}
		if want := QuorumOf(Hard, before.Ring).R; before.Complete && know < want {
			net.fails(broke("newcomers last", "%s is granted a range, and of those who count so far %d know of it, not %d", net.name(env.To), know, want))
		}
	}
}

// TestNewcomersCountLast has replicas change by joins and deaths. A grant reaches
// newcomers when it is known to those whom it replaces; without the rule it does
// not.
func TestNewcomersCountLast(t *testing.T) {
	grow := func(seed uint64, without rule) (broken string) {
		defer func() {
			if caught, ok := recover().(catch); ok {
				broken = string(caught)
			}
		}()
		net, _ := ringOf(catcher{}, simOptions{seed: seed, member: func(c *Config) { c.without = without }}, 6)
		newcomersLast(net)
		for n := range 3 {
			net.host().start()
			net.settle(7 + n)
		}
		net.hosts[1].crash(false)
		net.run(10 * time.Second)
		net.settle(8)
		return ""
	}
	broken := 0
	for seed := range uint64(8) {
		if what := grow(seed, 0); what != "" {
			t.Errorf("seed %d: %s", seed, what)
		}
		if what := grow(seed, oldFirst); strings.HasPrefix(what, "newcomers last:") {
			broken++
		}
	}
	if broken == 0 {
		t.Error("with newcomers in the first wave nothing is noticed")
	}
}

// TestWhoIsToldOfAGrantVouchesNoMore has three of five claim an epoch while one of
// them was told of a later grant: they count only where all who matter have
// answered without it.
func TestWhoIsToldOfAGrantVouchesNoMore(t *testing.T) {
	_, hosts := ringOf(t, simOptions{seed: testSeed(t, 1)}, 1)
	m := hosts[0].m
	ids := []ID{{1}, {2}, {3}, {4}, {5}, {6}}
	heard := map[ID]bool{ids[0]: true, ids[1]: true, ids[2]: true}
	var refs []Ref
	for _, id := range ids {
		refs = append(refs, Ref{ID: id, Addr: "a"})
	}
	claim := Claim{Complete: true, Epoch: 1 << markBits, Newest: 1 << markBits, Ring: 6, Holders: holdersOf(refs[:5])}
	told := claim
	told.Next = Intent{Epoch: 2 << markBits, Ring: 6, Holders: holdersOf(refs[1:6])}
	for _, c := range []struct {
		what   string
		claims []Claim
		heard  []ID
		all    bool
		want   bool
	}{
		{"nobody was told", []Claim{claim, claim, claim}, ids[:3], false, true},
		{"one was told", []Claim{claim, claim, told}, ids[:3], false, false},
		{"one was told, and all in sight have answered, but too few of those it was for", []Claim{claim, claim, told}, ids[:3], true, false},
		{"one was told, and enough of those it was for have answered", []Claim{claim, claim, told}, ids[:4], true, true},
	} {
		clear(heard)
		for _, id := range c.heard {
			heard[id] = true
		}
		if _, _, ok := m.vouched(c.claims, heard, 6, c.all); ok != c.want {
			t.Errorf("%s: %v, want %v", c.what, ok, c.want)
		}
	}
}

// TestALateGrantIsRefused has an owner's messages about grants come in the wrong
// order: who knows of a later one takes over no earlier one.
func TestALateGrantIsRefused(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 1)}, 3)
	h, owner := hosts[0], hosts[1]
	from, to := owner.m.pred.ID, owner.ref.ID
	later, earlier := uint64(1)<<60, uint64(1)<<59
	var codes []Code
	net.watch = func(env Envelope) {
		if g, ok := env.Body.(Granted); ok && env.From == h.ref {
			codes = append(codes, g.Code)
		}
	}
	for _, b := range []Body{
		Prepare{From: from, To: to, Next: Intent{Epoch: later, Ring: 3}},
		Prepare{From: from, To: to, Next: Intent{Epoch: earlier, Ring: 3}},
		Grant{From: from, To: to, Epoch: earlier, Ring: 3},
		Grant{From: from, To: to, Epoch: later, Ring: 3},
	} {
		before := len(codes)
		h.receive(Envelope{From: owner.ref, To: h.ref, Seq: 1, Body: b})
		net.wait("an answer", time.Second, func() bool { return len(codes) > before })
	}
	if want := []Code{CodeOK, CodeNotOwner, CodeNotOwner, CodeOK}; !slices.Equal(codes, want) {
		t.Errorf("answers %v, want %v", codes, want)
	}
	if c := h.m.claims.over(from, to); c.Epoch != later || c.Next.Epoch != 0 {
		t.Errorf("claims %+v", c)
	}
}

// TestAnOwnerWhoseVouchersHaveLostTheirsBeginsAnew has an owner that completed its
// range by an epoch which too few still hold, as after a grant that was never in force
// and two lost disks: it asks who vouches now, and does not wait for ever.
func TestAnOwnerWhoseVouchersHaveLostTheirsBeginsAnew(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 1)}, 6)
	hosts[0].mustPut("\x01k", "f", "v")
	h := hosts[0]
	h.call(h.boot, func(m *Member, now Time) {
		lost := m.repair.epoch + 1<<markBits
		m.repair.base = base{parts: []part{{to: m.self.ID, base: lost, ring: 6}}, known: lost}
		m.repair.config, m.repair.claimants = nil, 3
		m.repairSoon()
	})
	net.settle(6)
	if !h.m.repair.complete || len(h.m.repair.config) != 5 {
		net.fatalf("complete %v, with %d replicas", h.m.repair.complete, len(h.m.repair.config))
	}
	hosts[1].mustGet("\x01k", "f", "v")
}
