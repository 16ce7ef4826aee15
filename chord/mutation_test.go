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
	{"NotReady", notReady, 12, []string{"no false NotFound"}},
	{"fill first", fillFirst, 1, []string{"acknowledged at W", "no false NotFound", "no lost write", "no stale read"}},
	{"write back", writeBack, 4, []string{"a read is as good as a write", "reads do not go back"}},
	{"stamps above what is held", aboveHeld, 202, []string{"stamps rise"}},
	{"no word of a minority", byMajority, 108, []string{"acknowledged at W", "no stale read", "no false NotFound", "no lost write"}},
	{"keep strays", keepStrays, 1, []string{"strays are kept"}},
	{"keep tombstones", keepTombstones, 1, []string{"no resurrected delete", "acknowledged when durable"}},
}

// TestMutations takes one rule after the other from the members. The invariant
// that stands for the rule notices, not a time-out: what watches the ring in
// TestSeeds can see. If the seed does not show it any more, as a change of the
// ring has given all of them other lives, the first that does is looked for.
func TestMutations(t *testing.T) {
	for _, c := range mutations {
		t.Run(c.name, func(t *testing.T) {
			found := findSeeds(c.seed, c.seed, c.rule, 1, c.wants...)
			if len(found) == 0 {
				found = findSeeds(1, seeds, c.rule, 1, c.wants...)
			}
			if len(found) == 0 {
				t.Fatalf("in %d seeds nothing breaks by %q", seeds, c.wants)
			}
			t.Logf("seed %d: %.200s", found[0].seed, found[0].text)
		})
	}
}
