package chord

import "testing"

// TestEqualStampsOfTwoWritersAreNoticed puts a write of another, who took itself for
// the owner, on enough replicas, with the very stamp that the owner gives next. The
// owner notices by their answers, and gives a higher one; its own write is no reason
// to, when it comes to a replica a second time.
func TestEqualStampsOfTwoWritersAreNoticed(t *testing.T) {
	net, _ := ringOf(t, simOptions{seed: testSeed(t, 1)}, 7)
	key := Key("\x01contested")
	var owner *simHost
	for _, h := range net.ring() {
		if h.m.owns(HashKey(key)) {
			owner = h
		}
	}
	owner.mustPut(key, "f", "first")
	m := owner.m
	for _, equal := range []bool{false, true} { // the same write there before, or another
		m.clock.last = stampAt(m.ringMillis() + 1000)
		stamp := m.clock.last + 1
		held := Field{Name: "f", Entry: Entry{Value: []byte("mine"), Stamp: stamp}}
		if !equal {
			held.Value = []byte("another's")
		}
		for _, r := range m.repair.config[1:4] {
			net.hostOf(r).disk.Apply(StoreOp{Kind: StoreMerge, Key: key, Merge: []Field{held}})
		}
		if got := owner.mustPut(key, "f", "mine").Stamp; (got == stamp) != equal {
			t.Errorf("the owner gave the stamp %d, where replicas had %d; the same write: %v", got, stamp, equal)
		}
		owner.mustGet(key, "f", "mine")
	}
}
