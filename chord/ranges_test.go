package chord

import (
	"fmt"
	"testing"
	"time"
)

// statesOf lists the states in which a host holds ranges, its own first.
func statesOf(h *simHost) (own RangeState, others map[RangeState]int) {
	others = map[RangeState]int{}
	for _, r := range h.m.status().Ranges {
		if r.Own {
			own = r.State
		} else {
			others[r.State]++
		}
	}
	return own, others
}

// TestRangeStates follows a range through a member's life: incomplete while it
// joins, complete, a stray copy at who is none of its replicas any more, handing
// while it leaves.
func TestRangeStates(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 4)}, 5)
	for i := range 50 {
		hosts[0].mustPut(Key(fmt.Sprint("\x01key ", i)), "f", "v")
	}
	for _, h := range hosts {
		own, others := statesOf(h)
		if own != Complete || others[Stray] != 0 || others[Complete] != 4 {
			net.fatalf("in a ring of five %s owns a range that is %s, and holds %v", h, own, others)
		}
	}
	late := net.host()
	late.start()
	net.wait("it joins", time.Second, late.ready)
	if own, _ := statesOf(late); own != Incomplete {
		net.fatalf("a joiner's range is %s", own)
	}
	strays := false
	net.wait("strays are found, and go", 30*time.Second, func() bool {
		left := 0
		for _, h := range hosts {
			_, others := statesOf(h)
			left += others[Stray]
		}
		strays = strays || left > 0
		return strays && left == 0
	})
	net.settle(6)
	for _, h := range net.ring() {
		maps := 0
		for _, r := range h.m.status().Ranges {
			if r.State != Complete || r.Epoch == 0 {
				net.fatalf("%s: %+v", h, r)
			}
			maps += r.Maps
		}
		if held, _ := h.disk.Count(Hard); maps != held {
			net.fatalf("%s holds %d maps, %d of them in its ranges", h, held, maps)
		}
	}
	late.leave()
	if own, _ := statesOf(late); own != Handing {
		net.fatalf("a leaver's range is %s", own)
	}
	net.wait("it has left", 10*time.Second, func() bool { return late.gone })
}

// TestHandOverIsTriedAgain cuts a leaving member off from its heirs for a while:
// it does not go before they have what only it holds.
func TestHandOverIsTriedAgain(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 2)}, 3)
	net.run(11 * time.Second)
	h := hosts[1]
	only := StoreOp{Kind: StoreMerge, Key: "\x01only here", Merge: []Field{{Name: "f", Entry: Entry{Value: []byte("v"), Stamp: 1}}}}
	for i := 0; !h.m.owns(HashKey(only.Key)); i++ {
		only.Key = Key(fmt.Sprint("\x01only here ", i))
	}
	h.m.timers.stop(h.m.repair.timer)
	h.disk.Apply(only)
	for _, o := range hosts {
		if o != h {
			net.cutOneWay(h, o)
		}
	}
	h.leave()
	net.run(4 * time.Second)
	if h.gone {
		net.fatalf("%s has left without handing over", h)
	}
	net.heal()
	net.wait("it has left", 10*time.Second, func() bool { return h.gone })
	for _, o := range hosts {
		if o == h {
			continue
		}
		if got := dumpStore(o.disk, Hard); got == "" {
			net.fatalf("%s did not get what only %s had", o, h)
		}
	}
}
