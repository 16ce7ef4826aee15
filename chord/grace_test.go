package chord

import (
	"fmt"
	"testing"
	"time"
)

// sent counts field values that members hand to each other.
func countMerges(net *simNet) *int {
	n := new(int)
	net.watch = func(env Envelope) {
		if b, ok := env.Body.(MergeFields); ok {
			*n += len(b.Fields)
		}
	}
	return n
}

// TestRestartGrace restarts one of seven within the grace: nobody copies its
// ranges to others. One that stays away is replaced.
func TestRestartGrace(t *testing.T) {
	for _, back := range []bool{true, false} {
		t.Run(fmt.Sprint("back=", back), func(t *testing.T) {
			eachSeed(t, 4, func(t *testing.T, seed uint64) {
				net, hosts := ringOf(t, simOptions{seed: seed}, 7)
				for i := range 60 {
					hosts[i%7].mustPut(Key(fmt.Sprint("\x01key ", i)), "f", "v")
				}
				net.run(11 * time.Second)
				net.settle(7)
				merges := countMerges(net)
				h := hosts[3]
				h.crash(false)
				net.wait("gossip drops it", 5*time.Second, net.agreed)
				left := 7
				if back {
					net.run(time.Second)
					h.start()
				} else {
					left = 6
				}
				net.settle(left)
				if copied := *merges > 0; copied == back {
					net.fatalf("%d fields were copied", *merges)
				}
			})
		})
	}
}

// TestNoGraceWithoutMargin loses two of five: what is left is just enough to
// write, so nothing waits.
func TestNoGraceWithoutMargin(t *testing.T) {
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 1)}, 6)
	for i := range 30 {
		hosts[0].mustPut(Key(fmt.Sprint("\x01key ", i)), "f", "v")
	}
	ring := net.ring()
	ring[1].crash(false)
	ring[2].crash(false)
	net.wait("gossip drops them", 5*time.Second, net.agreed)
	owner := ring[0] // has both among its replicas
	net.wait("its range is whole again", 2*time.Second, func() bool {
		st := owner.m.status()
		return st.UnderReplicated == 0 && owner.m.ring == 4
	})
}
