package chord

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestChaos mixes everything that the promises cover, at random and under
// traffic: joins, orderly leaves, crashes of at most two at once with the
// disks kept, restarts, false deaths, one-way cuts, partitions that leave a
// majority. Nobody's view gets smaller than three, so that every
// acknowledged write has three copies. In the end the ring is whole and every
// promise was kept.
func TestChaos(t *testing.T) {
	eachSeed(t, 20, func(t *testing.T, seed uint64) {
		net := newSimNet(t, simOptions{seed: seed, skew: 50 * time.Millisecond, loss: 0.001})
		net.checkAlways()
		hosts := net.startAll(6 + int(seed%4))
		net.settle(len(hosts))
		hi := newHistory(net)
		hi.copies = 3
		for range 12 {
			var up, down []*simHost
			for _, h := range net.hosts {
				switch {
				case h.m != nil && !h.leaving:
					up = append(up, h)
				case h.m == nil && !h.gone:
					down = append(down, h)
				}
			}
			pick := func(from []*simHost) *simHost { return from[net.rng.IntN(len(from))] }
			var did string
			switch what := net.rng.IntN(10); {
			case what < 3 && len(up) > 5 && len(down) < 2 && len(net.side) == 0:
				h := pick(up)
				did = "crash " + h.name
				h.crash(net.chance(0.5))
			case what < 5 && len(down) > 0:
				h := pick(down)
				did = "restart " + h.name
				h.start()
			case what == 5 && len(up) < 12:
				h := net.host()
				did = "join " + h.name
				h.start()
			case what == 6 && len(up) > 6 && len(down) == 0:
				h := pick(up)
				did = "leave " + h.name
				h.leave()
			case what == 7 && len(up) > 5 && len(net.side) == 0:
				a, b := pick(up), pick(up)
				if a != b && a.sees[b] {
					did = fmt.Sprintf("%s takes %s for dead", a, b)
					net.lie(a, b, net.between(time.Second, 4*time.Second))
				}
			case what == 8:
				a, b := pick(up), pick(up)
				did = fmt.Sprintf("%s does not reach %s", a, b)
				net.cutOneWay(a, b)
			case what == 9 && len(down) == 0 && len(up) >= 6:
				minority := up[:1+net.rng.IntN(2)]
				did = fmt.Sprintf("%v apart", minority)
				net.partition(minority)
			default:
				did = "heal"
				net.heal()
			}
			net.logf("chaos: %s", did)
			hi.traffic(net.between(100*time.Millisecond, 6*time.Second), 100*time.Millisecond, 15)
			if net.chance(0.3) {
				net.heal()
				for _, h := range net.hosts {
					if h.m == nil && !h.gone {
						h.start()
					}
				}
				net.run(11 * time.Second)
				net.opt.loss = 0
				net.settle(net.alive())
				net.opt.loss = 0.001
			}
		}
		net.logf("chaos: the end")
		net.opt.loss = 0
		net.heal()
		for _, h := range net.hosts {
			if h.m == nil && !h.gone {
				h.start()
			}
		}
		net.run(11 * time.Second)
		net.settle(net.alive())
		hi.verify(net.ring()...)
		if hi.acked == 0 || hi.confirmed == 0 {
			t.Errorf("nothing went through: %s", hi)
		}
	})
}

// alive counts the hosts that are up and not on their way out.
func (net *simNet) alive() int {
	n := 0
	for _, h := range net.hosts {
		if h.m != nil && !h.leaving {
			n++
		}
	}
	return n
}

// TestFingerWalk finds owners by fingers alone, as rings larger than gossip
// can describe do, in few hops.
func TestFingerWalk(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 12)}, 40)
	net.after = nil
	net.run(time.Minute) // one finger is refreshed in a round
	ring := net.ring()
	const walks = 200
	before := net.steps
	for i := range walks {
		var id ID
		for k := range id {
			id[k] = byte(net.rng.Uint32())
		}
		at, _ := slices.BinarySearchFunc(ring, id, func(h *simHost, id ID) int { return h.ref.ID.Compare(id) })
		want := ring[at%len(ring)]
		from := hosts[i%len(hosts)]
		if from == want {
			continue // it is not asked for what it owns itself
		}
		var found Ref
		done := false
		from.call(from.boot, func(m *Member, now Time) {
			m.walk(id, m.beginnings(id), func(tr trail) { found, done = tr.owner, true })
		})
		net.wait("a walk", 5*time.Second, func() bool { return done })
		if found != want.ref {
			net.fatalf("the owner of %s is %s, %s found %s", id.Short(), want, from, net.name(found))
		}
	}
	t.Logf("%d walks in a ring of %d took %d steps of the network", walks, len(ring), net.steps-before)
}
