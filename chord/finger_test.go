package chord

import (
	"slices"
	"testing"
	"time"
)

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
