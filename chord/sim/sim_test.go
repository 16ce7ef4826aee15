package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"chordtorrent/chord"
)

// TestReplay runs the same seed twice and another once.
func TestReplay(t *testing.T) {
	run := func(seed uint64) string {
		r, err := Run(Config{Members: 200, Seed: seed, HalfLife: 5 * time.Minute, Duration: 20 * time.Second, WarmUp: 5 * time.Second, Gossip: 10})
		if err != nil {
			t.Fatal(err)
		}
		r.RSSBytes, r.WallSec = 0, 0
		return fmt.Sprintf("%+v", r)
	}
	first, again, other := run(1), run(1), run(2)
	if first != again {
		t.Errorf("the same seed gave\n%s\nand\n%s", first, again)
	}
	if first == other {
		t.Error("another seed gave the same")
	}
}

// TestRings looks at what a run says of rings that gossip describes and of one
// that it does not, under strong churn: about right, and nothing missing.
func TestRings(t *testing.T) {
	for _, n := range []int{1, 2, 30, 120, 600} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			r, err := Run(Config{Members: n, Seed: 3, HalfLife: 10 * time.Minute, Duration: 20 * time.Second, WarmUp: 5 * time.Second, LookupsPerSec: 200, Gossip: 200})
			if err != nil {
				t.Fatal(err)
			}
			if r.Lookups < 3500 || r.FirstTryRatio < 0.97 || r.HopsMean > 5 || r.TimeoutsPerLookup > 0.3 {
				t.Errorf("%+v", r)
			}
			if n > 1 && (r.MaintenancePerSec <= 0 || r.ArcMaxOverMeanJoins > 2.5) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// TestRecovery kills half of a ring at once: in the end every lookup is right.
func TestRecovery(t *testing.T) {
	r, err := RunRecovery(Config{Members: 300, Seed: 1, WarmUp: 5 * time.Second, Gossip: 10})
	if err != nil {
		t.Fatal(err)
	}
	if r.Killed != 150 || r.RightSec < 0 || r.FirstRight >= 1 || r.Checked < calmSeconds*probes {
		t.Errorf("%+v", r)
	}
}

// TestRing compares the list in blocks with a sorted slice.
func TestRing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	var r ring
	var plain []chord.ID
	place := func() (id chord.ID) {
		id[0], id[1] = byte(rng.IntN(3)*127), byte(rng.Uint32()) // much in few blocks
		return id
	}
	for range 3000 {
		id := place()
		i, found := slices.BinarySearchFunc(plain, id, chord.ID.Compare)
		if rng.IntN(3) > 0 {
			r.add(id)
			if !found {
				plain = slices.Insert(plain, i, id)
			}
		} else {
			r.remove(id)
			if found {
				plain = slices.Delete(plain, i, i+1)
			}
		}
		if r.size != len(plain) || len(plain) == 0 {
			continue
		}
		at := place()
		i, _ = slices.BinarySearchFunc(plain, at, chord.ID.Compare)
		if got, want := r.owner(at), plain[i%len(plain)]; got != want {
			t.Fatalf("the owner of %s is %s, want %s", at.Short(), got.Short(), want.Short())
		}
		if got, want := r.before(at), plain[(i+len(plain)-1)%len(plain)]; got != want {
			t.Fatalf("before %s lies %s, want %s", at.Short(), got.Short(), want.Short())
		}
	}
	if !slices.Equal(r.all(), plain) {
		t.Error("the lists differ")
	}
}

// TestQueue takes events out in order of their times, and of their coming.
func TestQueue(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	var q queue
	for range 2000 {
		q.push(event{at: chord.Time(rng.IntN(50))})
	}
	last := event{at: -1}
	for n := range 2000 {
		e, ok := q.pop(1000)
		if !ok || e.at < last.at || (e.at == last.at && e.order < last.order) {
			t.Fatalf("event %d is %+v, after %+v", n, e, last)
		}
		last = e
	}
	if _, ok := q.pop(1000); ok {
		t.Error("there is one too many")
	}
}

func TestImpossibleSizes(t *testing.T) {
	for _, n := range []int{-1, 0, 1_000_001} {
		if _, err := Run(Config{Members: n}); err == nil {
			t.Errorf("%d members", n)
		}
	}
}

// TestLoads throws keys at rings: none gets lost, and a ring whose members have
// looked around is more even.
func TestLoads(t *testing.T) {
	keys := []int{0, 1000, 50_000}
	random, split := Loads(500, keys, 1, false), Loads(500, keys, 1, true)
	for i, n := range keys {
		if random[i].Keys != n || split[i].Keys != n || random[i].P1 > random[i].P99 || split[i].P99 > split[i].Max {
			t.Errorf("%d keys: %+v, %+v", n, random[i], split[i])
		}
	}
	if last := len(keys) - 1; split[last].P99 > 2*100+50 || random[last].P99 < 2*split[last].P99 || split[last].P1 < 20 {
		t.Errorf("100 keys a member: %+v at random, %+v else", random[last], split[last])
	}
}
