package chord

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// startAll makes and starts n hosts at once.
func (net *simNet) startAll(n int) []*simHost {
	var hosts []*simHost
	for range n {
		hosts = append(hosts, net.host())
	}
	for _, h := range hosts {
		h.start()
	}
	return hosts
}

// TestJoinOneByOne grows a ring from 1 to 15 members, which passes from rings
// smaller than the successor list to one larger.
func TestJoinOneByOne(t *testing.T) {
	eachSeed(t, 4, func(t *testing.T, seed uint64) {
		net := newSimNet(t, simOptions{seed: seed})
		net.checkAlways(net.checkCycle)
		for n := 1; n <= 15; n++ {
			net.host().start()
			net.settle(n)
			if n == 13 { // the smallest ring of more members than L, where the invariant begins
				net.checkAlways(net.checkCycle, net.checkZave)
			}
		}
	})
}

// TestStartAtOnce starts n members that know nothing of each other: each is a
// ring of one, or they see in time who the others are; either way one ring.
func TestStartAtOnce(t *testing.T) {
	for n := 2; n <= 12; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			eachSeed(t, 3, func(t *testing.T, seed uint64) {
				net := newSimNet(t, simOptions{seed: seed})
				net.checkAlways()
				net.startAll(n)
				// Clients do not wait: what is acknowledged by a ring of one
				// is there after the merge.
				hi := newHistory(net)
				for i := range 20 {
					net.runUntil(time.Second, func() bool { return len(net.ring()) > 0 })
					ring := net.ring()
					hi.write(ring[net.rng.IntN(len(ring))], Key(fmt.Sprint("\x01key ", i%10)), fmt.Sprint("f", i))
					net.run(net.between(0, 50*time.Millisecond))
				}
				net.run(11 * time.Second)
				net.settle(n)
				if hi.acked == 0 {
					t.Errorf("nothing was acknowledged: %s", hi)
				}
				hi.verify(net.hosts...)
			})
		})
	}
}

// TestAloneFirst starts members whose gossip finds the others only after each
// has become a ring of one: the merge of n rings.
func TestAloneFirst(t *testing.T) {
	for n := 2; n <= 8; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			eachSeed(t, 3, func(t *testing.T, seed uint64) {
				net := newSimNet(t, simOptions{seed: seed})
				net.checkAlways()
				var sides [][]*simHost
				for range n {
					sides = append(sides, []*simHost{net.host()})
				}
				net.partition(sides...)
				for _, s := range sides {
					s[0].start()
				}
				net.settle(n)
				for i, s := range sides {
					if !s[0].logged("alone") {
						t.Errorf("%s did not say that it is alone", s[0])
					}
					s[0].mustPut("\x01common", fmt.Sprint("from ", i), "v")
				}
				net.heal()
				net.settle(n)
				r := sides[0][0].get("\x01common")
				if r.Code != CodeOK || len(r.Fields) != n {
					net.fatalf("after the merge: %s, want %d fields", showGet(r), n)
				}
			})
		})
	}
}

// TestPartitionAndMerge cuts a ring in two and puts it together again.
func TestPartitionAndMerge(t *testing.T) {
	for _, c := range []struct{ n, cut int }{{2, 1}, {3, 1}, {5, 2}, {8, 4}, {15, 7}} {
		t.Run(fmt.Sprintf("%d of %d", c.cut, c.n), func(t *testing.T) {
			eachSeed(t, 4, func(t *testing.T, seed uint64) {
				net := newSimNet(t, simOptions{seed: seed})
				net.checkAlways()
				hosts := net.startAll(c.n)
				net.settle(c.n)
				hi := newHistory(net)
				for i := range 10 {
					hi.write(hosts[i%c.n], Key(fmt.Sprint("\x01key ", i)), "f")
				}
				net.run(2 * time.Second)
				net.partition(hosts[:c.cut], hosts[c.cut:])
				net.run(20 * time.Second)
				net.heal()
				net.settle(c.n)
				hi.verify(hosts...)
			})
		})
	}
}

// TestMembersDie kills members one after the other, refused and silent ones,
// and the ring closes each time.
func TestMembersDie(t *testing.T) {
	eachSeed(t, 8, func(t *testing.T, seed uint64) {
		net := newSimNet(t, simOptions{seed: seed})
		hosts := net.startAll(15)
		net.settle(15)
		net.checkAlways(net.checkZave)
		for left := 14; left >= 1; left-- {
			hosts[left].crash(left%2 == 0)
			net.settle(left)
		}
	})
}

// TestChurn lets members come and go without waiting for the ring to settle,
// in a ring larger than the successor list: Zave's invariant holds after every
// step. More than two may be dead at once, so nothing is said about data.
func TestChurn(t *testing.T) {
	eachSeed(t, 4, func(t *testing.T, seed uint64) {
		net := newSimNet(t, simOptions{seed: seed})
		net.startAll(20)
		net.settle(20)
		net.checkAlways(net.checkZave)
		for range 30 {
			ring := net.ring()
			h := ring[net.rng.IntN(len(ring))]
			switch {
			case len(ring) < 18 || (len(ring) < 24 && net.chance(0.5)):
				net.host().start()
			case net.chance(0.3):
				h.leave()
			default:
				h.crash(net.chance(0.5))
			}
			net.run(net.between(0, 2*time.Second))
		}
		net.wait("the ring is ideal", 20*time.Second, func() bool { return net.steps%50 == 0 && net.agreed() && net.checkIdeal() == nil })
	})
}

// TestRestartsInPlace restarts members of a ring before gossip misses them.
func TestRestartsInPlace(t *testing.T) {
	eachSeed(t, 6, func(t *testing.T, seed uint64) {
		net := newSimNet(t, simOptions{seed: seed})
		net.checkAlways()
		hosts := net.startAll(6)
		net.settle(6)
		for _, h := range hosts {
			h.crash(false)
			net.run(net.between(0, 400*time.Millisecond))
			h.start()
			net.run(net.between(0, 2*time.Second))
		}
		net.settle(6)
	})
}

// TestBadNetwork loses, doubles and reorders messages.
func TestBadNetwork(t *testing.T) {
	eachSeed(t, 8, func(t *testing.T, seed uint64) {
		net := newSimNet(t, simOptions{seed: seed, loss: 0.02, duplicate: 0.05, reorder: true, skew: 100 * time.Millisecond})
		net.checkAlways()
		hosts := net.startAll(7)
		net.run(10 * time.Second)
		hi := newHistory(net)
		for i := range 60 {
			h := hosts[net.rng.IntN(7)]
			hi.write(h, Key(fmt.Sprint("\x01key ", i%7)), fmt.Sprint(i%3))
			hi.read(hosts[net.rng.IntN(7)], Key(fmt.Sprint("\x01key ", net.rng.IntN(7))))
			net.run(net.between(0, 300*time.Millisecond))
		}
		net.run(12 * time.Second)
		net.opt.loss = 0
		net.settle(7)
		hi.verify(hosts...)
		if hi.acked == 0 || hi.confirmed == 0 {
			t.Errorf("nothing went through: %s", hi)
		}
	})
}

// TestOneWayCuts has some members not hear some others, while gossip sees
// nothing wrong: the ring must still be one when it ends.
func TestOneWayCuts(t *testing.T) {
	eachSeed(t, 8, func(t *testing.T, seed uint64) {
		net := newSimNet(t, simOptions{seed: seed})
		net.checkAlways()
		hosts := net.startAll(6)
		net.settle(6)
		hi := newHistory(net)
		for i := range 30 {
			if i%6 == 0 {
				clear(net.cut)
				net.cutOneWay(hosts[net.rng.IntN(6)], hosts[net.rng.IntN(6)])
			}
			hi.write(hosts[net.rng.IntN(6)], Key(fmt.Sprint("\x01key ", i%5)), "f")
			hi.read(hosts[net.rng.IntN(6)], Key(fmt.Sprint("\x01key ", i%5)))
			net.run(net.between(0, 2*time.Second))
		}
		net.run(11 * time.Second)
		net.heal()
		net.settle(6)
		hi.verify(hosts...)
	})
}

// TestFalseDeaths has gossip declare living members dead for a while.
func TestFalseDeaths(t *testing.T) {
	eachSeed(t, 8, func(t *testing.T, seed uint64) {
		net := newSimNet(t, simOptions{seed: seed})
		net.checkAlways()
		hosts := net.startAll(6)
		net.settle(6)
		hi := newHistory(net)
		for i := range 20 {
			a, b := hosts[net.rng.IntN(6)], hosts[net.rng.IntN(6)]
			if a != b && a.sees[b] {
				net.lie(a, b, net.between(time.Second, 5*time.Second))
			}
			hi.write(hosts[net.rng.IntN(6)], Key(fmt.Sprint("\x01key ", i%5)), "f")
			hi.read(hosts[net.rng.IntN(6)], Key(fmt.Sprint("\x01key ", i%5)))
			net.run(net.between(0, time.Second))
		}
		net.run(11 * time.Second)
		net.settle(6)
		hi.verify(hosts...)
	})
}

// TestNewAddressIsFollowed has all others come back at another address.
func TestNewAddressIsFollowed(t *testing.T) {
	tab := newTable(t, 8, 1)
	m := tab.members[3]
	tab.fingers(m)
	var view []Ref
	for _, o := range tab.members {
		view = append(view, o.self)
	}
	m.View(m.now, view)
	for i := range view {
		if view[i].ID != m.self.ID {
			view[i].Addr += " now"
		}
	}
	m.View(m.now, view)
	known := append([]Ref{m.pred}, m.succ...)
	for _, f := range m.fingers.entries {
		known = append(known, f.Ref)
	}
	for _, r := range known {
		if !slices.Contains(view, r) {
			t.Errorf("%s is still asked at %s", r.ID.Short(), r.Addr)
		}
	}
}
