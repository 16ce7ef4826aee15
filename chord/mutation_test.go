package chord

import (
	"slices"
	"testing"
)

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
	{"acknowledged at W", ackAtW, 12, []string{"acknowledged at W"}},
	{"acknowledged when durable", ackDurable, 1, []string{"acknowledged when durable"}},
	{"NotReady", notReady, 12, []string{"no false NotFound"}},
	{"fill first", fillFirst, 3, []string{"acknowledged at W", "no false NotFound", "no lost write", "no stale read"}},
	{"write back", writeBack, 1, []string{"a read is as good as a write", "reads do not go back"}},
	{"stamps above what is held", aboveHeld, 202, []string{"stamps rise"}},
	{"no word of a minority", byMajority, 2, []string{"acknowledged at W", "no stale read", "no false NotFound", "no lost write"}},
	{"keep strays", keepStrays, 194, []string{"strays are kept"}},
	{"keep tombstones", keepTombstones, 1, []string{"no resurrected delete", "acknowledged when durable"}},
}

// TestMutations takes one rule after the other from the members. The invariant
// that stands for the rule notices, not a time-out: what watches the ring in
// TestSeeds can see. If the seed does not show it any more, as a change of the
// ring has given all of them other lives, the first that does is looked for.
func TestMutations(t *testing.T) {
	for _, c := range mutations {
		t.Run(c.name, func(t *testing.T) {
			found := findSeeds(c.seed, c.seed, c.rule, 1)
			if len(found) == 0 {
				found = findSeeds(1, seeds, c.rule, 1)
			}
			if len(found) == 0 {
				t.Fatalf("%d seeds notice nothing", seeds)
			}
			f := found[0]
			t.Logf("seed %d: %.200s", f.seed, f.text)
			if !slices.Contains(c.wants, f.invariant) {
				t.Errorf("want one of %q: %s", c.wants, f.text)
			}
		})
	}
}
