package chord

import "testing"

// mutations are the rules, each with the invariants that notice when members do
// without it, and a seed by which they do.
var mutations = []struct {
	name  string
	rule  rule
	seed  uint64
	wants []string
}{
	{"never store self", neverSelf, 1, []string{"never self"}},
	{"liveness before adoption", liveFirst, 1, []string{"liveness before adoption"}},
	{"whole lists", wholeList, 1, []string{"whole list"}},
	{"predecessor at join", predAtJoin, 1, []string{"predecessor"}},
	{"acknowledged at W", ackAtW, 1, []string{"acknowledged at W"}},
	{"acknowledged when durable", ackDurable, 1, []string{"acknowledged when durable"}},
	{"NotReady", notReady, 1, []string{"no false NotFound"}},
	{"fill first", fillFirst, 1, []string{"no false NotFound", "no lost write", "no stale read"}},
	{"write back", writeBack, 1, []string{"reads do not go back"}},
	{"stamps above what is held", aboveHeld, 1, []string{"stamps rise"}},
	{"no word of a minority", byMajority, 1, []string{"no stale read", "no false NotFound", "no lost write"}},
	{"keep strays", keepStrays, 1, []string{"no lost write", "no false NotFound"}},
	{"keep tombstones", keepTombstones, 1, []string{"no resurrected delete"}},
}

// TestMutations takes one rule after the other from the members. The invariant
// that stands for the rule notices, not a time-out: what watches the ring in
// TestSeeds can see.
//
// With -chord.more the seed is looked for among the first 500.
func TestMutations(t *testing.T) {
	for _, c := range mutations {
		t.Run(c.name, func(t *testing.T) {
			first, last := c.seed, c.seed
			if *moreFlag > 1 {
				first, last = 1, seeds
			}
			found := findSeeds(first, last, c.rule, 1)
			if len(found) == 0 {
				t.Fatalf("seeds %d to %d notice nothing", first, last)
			}
			for _, f := range found {
				t.Logf("seed %d: %.160s", f.seed, f.text)
				for _, want := range c.wants {
					if f.invariant == want {
						return
					}
				}
				t.Errorf("want one of %q: %s", c.wants, f.text)
			}
		})
	}
}
