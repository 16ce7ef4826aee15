package node

import (
	"math/rand/v2"
	"slices"
	"testing"

	"chordtorrent/chord"
)

// TestPlacesComeOutMoreEvenThanByChance grows rings by places that look at what
// is taken, and by such that do not.
func TestPlacesComeOutMoreEvenThanByChance(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 0))
	draw := func() (id chord.ID) {
		for i := range id {
			id[i] = byte(rng.Uint32())
		}
		return id
	}
	// widest is the largest arc of a ring of n, in 1/256 of the mean.
	widest := func(n int, choose func(taken []chord.ID) chord.ID) int {
		var ring []chord.ID
		for range n {
			ring = append(ring, choose(slices.Clone(ring)))
		}
		slices.SortFunc(ring, chord.ID.Compare)
		most := 0
		for i, id := range ring {
			d := chord.Distance(ring[(i+n-1)%n], id)
			most = max(most, (int(d[0])<<8|int(d[1]))*n>>8)
		}
		return most
	}
	const rings = 100
	for _, n := range []int{5, 12, 100} {
		chosen, chance := 0, 0
		for range rings {
			chosen += widest(n, func(taken []chord.ID) chord.ID { return choosePlace(taken, draw) })
			chance += widest(n, func([]chord.ID) chord.ID { return draw() })
		}
		t.Logf("%d members: the widest arc is %.2f x the mean, %.2f by chance", n, float64(chosen)/rings/256, float64(chance)/rings/256)
		if chosen*10 > chance*9 {
			t.Errorf("%d members: the widest arc is %.2f x the mean, hardly less than %.2f by chance", n, float64(chosen)/rings/256, float64(chance)/rings/256)
		}
	}
}

func TestANewNodeAsksWhereTheOthersStand(t *testing.T) {
	cluster := testCluster()
	first := start(t, testConfig(t, cluster))
	cfg := testConfig(t, cluster)
	cfg.Join = first.Ref().Addr
	settled, err := cfg.settle()
	if err != nil {
		t.Fatal(err)
	}
	asking := &Node{cfg: settled, log: settled.Log}
	if places, _ := asking.lookAround(t.Context()); !slices.Contains(places, first.Ref().ID) {
		t.Errorf("the ring has a member at %s, the new node heard of %v", first.Ref().ID, places)
	}
	asking.cfg.Cluster = testCluster()
	if places, _ := asking.lookAround(t.Context()); len(places) > 0 {
		t.Errorf("a node of another cluster heard of %v", places)
	}
	whole(t, first, start(t, cfg))
}

// TestAPlaceIsChosenOnce starts a node again: it is who it was.
func TestAPlaceIsChosenOnce(t *testing.T) {
	cluster := testCluster()
	first := start(t, testConfig(t, cluster))
	cfg := testConfig(t, cluster)
	cfg.Join = first.Ref().Addr
	second := start(t, cfg)
	was := second.Ref().ID
	second.kill()
	if is := start(t, cfg).Ref().ID; is != was {
		t.Errorf("%s came back as %s", was, is)
	}
}
