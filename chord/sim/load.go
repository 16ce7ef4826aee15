package sim

import (
	"math/rand/v2"
	"slices"

	"chordtorrent/chord"
)

// Load is how keys, drawn from all places alike, fall on the members of a ring.
type Load struct {
	Keys         int
	P1, P99, Max int // keys of one member: at most that at 1 and 99 of 100, and at the fullest
}

// Loads counts the keys of each member whenever as many have come as keys says,
// the fewest first. With split the members have chosen their places as those of
// a grown ring do; without, at random, as in the Chord paper (section 6.2).
func Loads(members int, keys []int, seed uint64, split bool) []Load {
	w := &World{cfg: Config{Members: members}, rng: rand.New(rand.NewPCG(seed, 0x10ad))}
	if split {
		w.grow()
	} else {
		for w.ring.size < members {
			w.ring.add(w.place())
		}
	}
	ids := w.ring.all()
	count := make([]int, len(ids))
	loads := make([]Load, len(keys))
	thrown := 0
	for k, n := range keys {
		for ; thrown < n; thrown++ {
			at, _ := slices.BinarySearchFunc(ids, w.place(), chord.ID.Compare)
			count[at%len(ids)]++
		}
		sorted := slices.Sorted(slices.Values(count))
		loads[k] = Load{Keys: n, P1: percentile(sorted, 1), P99: percentile(sorted, 99), Max: sorted[len(sorted)-1]}
	}
	return loads
}
