package chord

import (
	"fmt"
	"testing"
	"time"
)

// TestBrokenDisk has one member's disk refuse writes: it is not counted.
func TestBrokenDisk(t *testing.T) {
	eachSeed(t, 4, func(t *testing.T, seed uint64) {
		net, hosts := ringOf(t, simOptions{seed: seed}, 5)
		hi := newHistory(net)
		hosts[1].broken = ErrStore
		for i := range 10 {
			o := hi.write(hosts[0], Key(fmt.Sprint("\x01key ", i)), "f")
			net.wait(o, opLimit, o.done)
		}
		if hi.acked < 5 {
			net.fatalf("with one broken disk of five: %s", hi)
		}
		hosts[1].broken = nil
		net.run(11 * time.Second)
		net.settle(5)
		hi.verify(hosts...)
	})
}

// TestDamage makes rows of one member unreadable: it cannot vouch for them, no
// reader hears that they are not there, and they come back from the others.
func TestDamage(t *testing.T) {
	for _, n := range []int{2, 3, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			eachSeed(t, 6, func(t *testing.T, seed uint64) {
				net, hosts := ringOf(t, simOptions{seed: seed}, n)
				hi := newHistory(net)
				for i := range 10 {
					for _, name := range []string{"a", "b"} {
						hi.write(hosts[i%n], Key(fmt.Sprint("\x01key ", i)), name)
					}
				}
				net.run(time.Second)
				bad := hosts[net.rng.IntN(n)]
				for i := range 10 {
					bad.damage(Key(fmt.Sprint("\x01key ", i)), "a")
				}
				hi.verify(hosts...)
				hi.traffic(2*time.Second, 20*time.Millisecond, 10)
				net.wait("the damage is repaired", time.Minute, func() bool { return len(bad.damaged) == 0 })
				net.settle(n)
				hi.verify(hosts...)
			})
		})
	}
}

// TestDamageAlone has nobody to repair from: what is lost is not claimed never
// to have been.
func TestDamageAlone(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 1)}, 1)
	hosts[0].mustPut("\x01k", "a", "v")
	hosts[0].damage("\x01k", "a")
	if r := hosts[0].get("\x01k"); r.Code == CodeNotFound || r.Code == CodeOK && !r.Unconfirmed {
		net.fatalf("the only copy is damaged: %s", showGet(r))
	}
}

// TestMovesHouse restarts members at other addresses: the same members, with
// their data.
func TestMovesHouse(t *testing.T) {
	eachSeed(t, 6, func(t *testing.T, seed uint64) {
		net, hosts := ringOf(t, simOptions{seed: seed}, 5)
		hi := newHistory(net)
		for i, h := range hosts {
			hi.traffic(time.Second, 50*time.Millisecond, 10)
			h.crash(i%2 == 0)
			net.run(net.between(0, 5*time.Second))
			h.move(fmt.Sprintf("10.1.0.%d:4000", i+1))
			for _, o := range hosts {
				delete(o.sees, h) // gossip follows it to the new address
			}
			h.start()
			hi.traffic(3*time.Second, 50*time.Millisecond, 10)
			net.settle(5)
		}
		net.run(11 * time.Second)
		hi.verify(hosts...)
	})
}

// TestWrongClock has one member's clock an hour ahead or behind. Stamps are
// compared field by field, so nothing that was acknowledged is lost when
// another member goes on with a right clock, or the wrong one again.
func TestWrongClock(t *testing.T) {
	for _, off := range []time.Duration{-time.Hour, -5 * time.Minute, 5 * time.Minute, time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			eachSeed(t, 4, func(t *testing.T, seed uint64) {
				net := newSimNet(t, simOptions{seed: seed})
				net.checkAlways()
				var hosts []*simHost
				for range 5 {
					hosts = append(hosts, net.host())
				}
				wrong := hosts[2]
				wrong.skew = off
				for _, h := range hosts {
					h.start()
				}
				net.settle(5)
				hi := newHistory(net)
				hi.traffic(time.Second, 20*time.Millisecond, 10)
				wrong.crash(false)
				hi.traffic(5*time.Second, 50*time.Millisecond, 10)
				net.settle(4)
				hi.traffic(time.Second, 20*time.Millisecond, 10)
				wrong.start()
				net.settle(5)
				hi.traffic(time.Second, 20*time.Millisecond, 10)
				net.run(11 * time.Second)
				hi.verify(hosts...)
				if hi.acked < 100 {
					t.Errorf("too little went through: %s", hi)
				}
			})
		})
	}
}

// TestReplicasOnDistinctHosts prefers members on other machines, and takes
// any when there are too few.
func TestReplicasOnDistinctHosts(t *testing.T) {
	ref := func(n int, addr string) Ref {
		var id ID
		id[0] = byte(n)
		return Ref{ID: id, Addr: addr}
	}
	m := &Member{self: ref(1, "10.0.0.1:1")}
	m.succ = []Ref{ref(2, "10.0.0.1:2"), ref(3, "10.0.0.2:1"), ref(4, "10.0.0.1:3"), ref(5, "10.0.0.2:2"), ref(6, "10.0.0.3:1")}
	for n := 1; n <= 9; n++ {
		got := m.replicas(n)
		members, machines := map[ID]bool{}, map[string]bool{}
		for _, r := range got {
			members[r.ID], machines[host(r)] = true, true
		}
		if got[0] != m.self || len(got) != min(n, 6) || len(members) != len(got) || len(machines) != min(n, 3) {
			t.Errorf("%d replicas: %v", n, got)
		}
	}
}
