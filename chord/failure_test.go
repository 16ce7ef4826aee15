package chord

import (
	"fmt"
	"testing"
	"time"
)

// traffic keeps writing, deleting and reading at living members for d: about
// one change and one read every gap.
func (hi *history) traffic(d, gap time.Duration, keys int) {
	hi.trafficUntil(d, gap, keys, func() bool { return false })
}

// trafficUntil is traffic that ends when the condition holds.
func (hi *history) trafficUntil(d, gap time.Duration, keys int, cond func() bool) {
	net := hi.net
	for limit := net.now.Add(d); net.now < limit && !cond(); {
		ring := net.ring()
		if len(ring) > 0 {
			at, key, name := ring[net.rng.IntN(len(ring))], Key(fmt.Sprint("\x01key ", net.rng.IntN(keys))), fmt.Sprint(net.rng.IntN(2))
			if net.chance(0.1) {
				hi.remove(at, key, name)
			} else {
				hi.write(at, key, name)
			}
			hi.read(ring[net.rng.IntN(len(ring))], Key(fmt.Sprint("\x01key ", net.rng.IntN(keys))))
		}
		net.run(net.between(0, 2*gap))
	}
}

// TestSuddenDeaths kills as many members at once as the promise of DESIGN.md
// allows, with their disks, under constant writes: no acknowledged write is
// lost and nobody claims that something is not there which is.
func TestSuddenDeaths(t *testing.T) {
	for _, c := range []struct{ n, kill int }{{3, 1}, {3, 2}, {4, 2}, {5, 2}, {6, 2}, {9, 2}} {
		t.Run(fmt.Sprintf("%d of %d", c.kill, c.n), func(t *testing.T) {
			eachSeed(t, 20, func(t *testing.T, seed uint64) {
				net, hosts := ringOf(t, simOptions{seed: seed, skew: 50 * time.Millisecond}, c.n)
				hi := newHistory(net)
				hi.traffic(2*time.Second, 40*time.Millisecond, 12)
				if hi.degraded+hi.failed+hi.silent+hi.unconfirmed > 0 {
					net.fatalf("before the deaths: %s", hi)
				}
				for _, n := range net.rng.Perm(c.n)[:c.kill] {
					hosts[n].crash(net.chance(0.5))
					hosts[n].wipe()
				}
				hi.traffic(6*time.Second, 40*time.Millisecond, 12)
				net.settle(c.n - c.kill)
				before := hi.acked
				hi.traffic(time.Second, 40*time.Millisecond, 12)
				net.run(time.Second)
				if hi.acked == before {
					net.fatalf("no write is acknowledged after the ring has settled: %s", hi)
				}
				net.run(10 * time.Second)
				hi.verify(net.ring()...)
			})
		})
	}
}

// TestDeathsInTurn kills and revives members again and again under traffic,
// one at a time, now with and now without their disks.
func TestDeathsInTurn(t *testing.T) {
	eachSeed(t, 10, func(t *testing.T, seed uint64) {
		net, hosts := ringOf(t, simOptions{seed: seed}, 5)
		hi := newHistory(net)
		for range 5 {
			h := hosts[net.rng.IntN(5)]
			h.crash(net.chance(0.5))
			if net.chance(0.3) {
				h.wipe()
			}
			hi.traffic(net.between(100*time.Millisecond, 8*time.Second), 100*time.Millisecond, 10)
			h.start()
			hi.traffic(time.Second, 100*time.Millisecond, 10)
			net.settle(5)
		}
		net.run(11 * time.Second)
		hi.verify(hosts...)
	})
}

// TestDegradedThenAcknowledged loses one of three: while gossip still counts
// it, a write cannot have its three copies; a few seconds later it needs two.
func TestDegradedThenAcknowledged(t *testing.T) {
	eachSeed(t, 10, func(t *testing.T, seed uint64) {
		net, hosts := ringOf(t, simOptions{seed: seed}, 3)
		hosts[0].mustPut("\x01k", "before", "v")
		hosts[2].crash(seed%2 == 0)
		died := net.now
		net.wait("gossip drops the dead one", 10*time.Second, net.agreed)
		net.wait("a write is acknowledged again", 8*time.Second, func() bool {
			r := hosts[0].put("\x01k", "after", fmt.Sprint(net.now))
			if r.Code == CodeOK && r.Copies < 2 {
				net.fatalf("acknowledged with %d copies in a ring of two", r.Copies)
			}
			return r.Code == CodeOK
		})
		if d := net.now.Sub(died); d > 8*time.Second {
			net.fatalf("the first write was acknowledged %v after the death", d)
		}
		// A dead member that gossip goes on believing in: degraded, and said so.
		net.settle(2)
		hosts[1].crash(true)
		hosts[0].sees[hosts[1]] = true
		o := hosts[0].begin(Put{Key: "\x01k", Updates: []Update{{Name: "alone", Value: []byte("v")}}}, nil)
		limit := net.now.Add(opLimit)
		for !o.done() && net.now < limit {
			net.run(100 * time.Millisecond)
		}
		r, _ := o.reply.(PutReply)
		if !o.done() {
			net.fatalf("the write has no end")
		}
		if r.Code == CodeOK && o.ended.Sub(o.began) < deadMin/2 {
			net.fatalf("acknowledged by one of two members, though the other was believed alive: %s", showPut(r))
		}
	})
}

// TestDegradedIsSaid cuts the owner's disk of acknowledgements: partition a
// ring of three without gossip noticing, so that only degraded is honest.
func TestDegradedIsSaid(t *testing.T) {
	eachSeed(t, 4, func(t *testing.T, seed uint64) {
		net, hosts := ringOf(t, simOptions{seed: seed}, 3)
		for _, a := range hosts[:2] {
			net.cutOneWay(a, hosts[2])
			net.cutOneWay(hosts[2], a)
		}
		for i, h := range hosts[:2] {
			o := h.begin(Put{Key: Key(fmt.Sprint("\x01k", i)), Updates: []Update{{Name: "f", Value: []byte("v")}}}, nil)
			net.wait(o, opLimit, o.done)
			r := o.reply.(PutReply)
			switch {
			case r.Code == CodeDegraded && r.Copies >= 1 && r.Copies < 3 && r.Want == 3:
			case r.Code == CodeUnavailable: // the owner is the one that is cut off
			default:
				net.fatalf("with one of three out of reach, gossip none the wiser: %s", showPut(r))
			}
		}
		net.heal()
		net.settle(3)
		hosts[0].mustPut("\x01k0", "f", "w")
		hosts[2].mustGet("\x01k0", "f", "w")
	})
}

// TestRestartOfAll stops a whole ring at once, as a power cut would, and
// starts it from its disks, in several ways.
func TestRestartOfAll(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5, 7} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			eachSeed(t, 10, func(t *testing.T, seed uint64) {
				net, hosts := ringOf(t, simOptions{seed: seed}, n)
				hi := newHistory(net)
				hi.traffic(2*time.Second, 20*time.Millisecond, 15)
				for _, h := range hosts {
					h.crash(net.chance(0.5))
				}
				net.run(net.between(0, 5*time.Second))
				spread := []time.Duration{1, time.Second, 10 * time.Second}[seed%3]
				for _, i := range net.rng.Perm(n) {
					hosts[i].start()
					hi.traffic(net.between(0, spread), 200*time.Millisecond, 15)
				}
				net.settle(n)
				net.run(11 * time.Second)
				hi.verify(hosts...)
				before := hi.acked
				hi.traffic(time.Second, 100*time.Millisecond, 15)
				net.run(time.Second)
				if hi.acked == before {
					net.fatalf("no write is acknowledged after the restart: %s", hi)
				}
			})
		})
	}
}

// TestReturnsAlone restarts one of a ring of five while the others are down:
// it says what it has, never that something is not there, and acknowledges
// nothing.
func TestReturnsAlone(t *testing.T) {
	eachSeed(t, 10, func(t *testing.T, seed uint64) {
		net, hosts := ringOf(t, simOptions{seed: seed}, 5)
		hi := newHistory(net)
		for i := range 10 {
			hi.write(hosts[i%5], Key(fmt.Sprint("\x01key ", i)), "f")
		}
		net.run(time.Second)
		if hi.acked != 10 {
			net.fatalf("before: %s", hi)
		}
		for _, h := range hosts {
			h.crash(false)
		}
		alone := hosts[net.rng.IntN(5)]
		alone.start()
		net.run(5 * time.Second)
		for i := range 10 {
			key := Key(fmt.Sprint("\x01key ", i))
			switch r := alone.get(key); {
			case r.Code == CodeOK && r.Unconfirmed && len(r.Fields) == 1:
			case r.Code == CodeNotReady || r.Code == CodeUnavailable:
			default:
				net.fatalf("one of five, alone, about %q: %s", key, showGet(r))
			}
		}
		if r := alone.get("\x01never written"); r.Code == CodeNotFound || r.Code == CodeOK && !r.Unconfirmed {
			net.fatalf("one of five, alone, about a map that never was: %s", showGet(r))
		}
		o := hi.write(alone, "\x01key 1", "f")
		net.wait(o, opLimit, o.done)
		if r := o.reply.(PutReply); r.Code != CodeDegraded && r.Code != CodeUnavailable && r.Code != CodeNotReady {
			net.fatalf("one of five, alone, was given a write: %s", showPut(r))
		}
		for _, h := range hosts {
			if h != alone {
				h.start()
			}
		}
		net.settle(5)
		net.run(11 * time.Second)
		hi.verify(hosts...)
	})
}

// TestMinorityOfPartition cuts two of five off: they cannot know what the
// others write, and neither acknowledge nor confirm anything; the majority
// goes on.
func TestMinorityOfPartition(t *testing.T) {
	eachSeed(t, 10, func(t *testing.T, seed uint64) {
		net, hosts := ringOf(t, simOptions{seed: seed}, 5)
		hi := newHistory(net)
		hi.traffic(time.Second, 50*time.Millisecond, 10)
		net.run(time.Second)
		net.partition(hosts[:2], hosts[2:])
		hi.traffic(20*time.Second, 200*time.Millisecond, 10)
		net.run(11 * time.Second)
		before := hi.acked
		hi.write(hosts[3], "\x01key 1", "f")
		net.run(opLimit)
		if hi.acked == before {
			net.fatalf("three of five acknowledge nothing: %s", hi)
		}
		net.heal()
		net.settle(5)
		net.run(11 * time.Second)
		hi.verify(hosts...)
	})
}

// TestReplay runs one seed twice: the same trace to the last bit, and another
// one for another seed.
func TestReplay(t *testing.T) {
	seed := testSeed(t, 11)
	run := func(seed uint64) (traceHash, int) {
		net, hosts := ringOf(t, simOptions{seed: seed, loss: 0.01, duplicate: 0.01}, 6)
		hi := newHistory(net)
		hi.traffic(3*time.Second, 30*time.Millisecond, 10)
		hosts[2].crash(true)
		hosts[4].leave()
		hi.traffic(6*time.Second, 50*time.Millisecond, 10)
		hosts[2].start()
		hi.traffic(3*time.Second, 50*time.Millisecond, 10)
		return net.trace, net.steps
	}
	first, steps := run(seed)
	for range 3 {
		if again, n := run(seed); again != first || n != steps {
			t.Fatalf("seed %d gives trace %x after %d steps, then %x after %d", seed, first, steps, again, n)
		}
	}
	if other, _ := run(seed + 1); other == first {
		t.Error("another seed gives the same trace")
	}
}

// TestJoinerDies lets members join under constant writes and kills each within
// moments, and another one with it, disks included: what was acknowledged in
// between had its copies.
func TestJoinerDies(t *testing.T) {
	for _, n := range []int{3, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			eachSeed(t, 20, func(t *testing.T, seed uint64) {
				net, hosts := ringOf(t, simOptions{seed: seed}, n)
				hi := newHistory(net)
				hi.copies = 3
				hi.traffic(500*time.Millisecond, 10*time.Millisecond, 12)
				joiner := net.host()
				joiner.start()
				hi.trafficUntil(5*time.Second, 2*time.Millisecond, 12, joiner.ready)
				hi.traffic(net.between(0, 200*time.Millisecond), 2*time.Millisecond, 12)
				joiner.crash(net.chance(0.5))
				joiner.wipe()
				if other := hosts[net.rng.IntN(n)]; n >= 5 {
					other.crash(net.chance(0.5))
					other.wipe()
				}
				hi.traffic(5*time.Second, 50*time.Millisecond, 12)
				net.run(11 * time.Second)
				net.settle(len(net.ring()))
				hi.verify(net.ring()...)
			})
		})
	}
}
