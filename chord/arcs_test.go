package chord

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// A small ring of 12 places stands for the large one: place p is the ID whose
// last byte is 20p, and what a set of arcs covers is written out place by
// place.
const places = 12

func placeID(p int) ID {
	var id ID
	id[IDBytes-1] = byte(20 * p)
	return id
}

// covered gives the claim at each place.
func covered(a arcs) (claims [places]Claim) {
	for p := range claims {
		claims[p] = a.at(placeID(p))
	}
	return claims
}

// inside reports whether place p lies in (from, to].
func inside(from, p, to int) bool {
	for q := (from + 1) % places; ; q = (q + 1) % places {
		if q == p {
			return true
		}
		if q == to {
			return false
		}
	}
}

func TestArcsAgainstPlaces(t *testing.T) {
	seed := testSeed(t, 1)
	r := rand.New(rand.NewPCG(seed, 3))
	for range 2000 {
		var a arcs
		var want [places]Claim
		var did []string
		for epoch := range uint64(12) {
			from, to := r.IntN(places), r.IntN(places)
			if r.IntN(4) == 0 {
				to = from // the whole ring
			}
			what := []string{"claim", "claim", "tell", "take"}[r.IntN(4)]
			did = append(did, fmt.Sprintf("(%d, %d] %s", from, to, what))
			claim := Claim{Complete: true, Epoch: epoch + 1, Ring: 1 + r.IntN(6), Newest: epoch + 1}
			next := Intent{Epoch: epoch + 1, Ring: claim.Ring}
			switch what {
			case "take":
				claim = Claim{}
				a = a.without(placeID(from), placeID(to))
			case "tell":
				a = a.telling(placeID(from), placeID(to), next)
			default:
				a = a.with(Arc{From: placeID(from), To: placeID(to), Epoch: claim.Epoch, Ring: claim.Ring})
			}
			for p := range want {
				switch {
				case !inside(from, p, to):
				case what != "tell":
					want[p] = claim
				case want[p].Complete:
					want[p].Next = next
				}
			}
			if got := covered(a); got != want {
				t.Fatalf("seed %d, after %q the arcs %v claim\n%v, want\n%v", seed, did, a, got, want)
			}
			for i, x := range a {
				for _, y := range a[i+1:] {
					for p := range places {
						if InArc(x.From, placeID(p), x.To) && InArc(y.From, placeID(p), y.To) {
							t.Fatalf("seed %d, after %q the arcs %v overlap", seed, did, a)
						}
					}
				}
			}
		}
		// What holds for a whole range is the least of its places.
		from, to := r.IntN(places), r.IntN(places)
		got := a.over(placeID(from), placeID(to))
		var whole Claim
		complete := true
		for p := range places {
			if !inside(from, p, to) {
				continue
			}
			complete = complete && want[p].Complete
			if whole.Epoch == 0 || want[p].Epoch < whole.Epoch {
				whole.Epoch = want[p].Epoch
			}
			whole.Ring = max(whole.Ring, want[p].Ring)
		}
		whole.Complete = true
		if !complete {
			whole = Claim{}
		}
		for p := range places {
			if inside(from, p, to) && want[p].Next.Epoch > whole.Next.Epoch {
				whole.Next = want[p].Next
			}
			if inside(from, p, to) && want[p].Newest > whole.Newest {
				whole.Newest = want[p].Newest
				if !complete {
					whole.Ring = want[p].Ring // when the newest part of it was granted
				}
			}
		}
		if got != whole {
			t.Fatalf("seed %d, %q: over (%d, %d] the arcs %v claim %+v, want %+v", seed, did, from, to, a, got, whole)
		}
	}
}

func TestQuorums(t *testing.T) {
	// DESIGN.md, Promises: n = 1: 1/1, 2: 2/1, 3: 3/1, 4: 3/2, 5 and more: 3/3.
	for n, want := range map[int]Quorum{0: {1, 1, 1}, 1: {1, 1, 1}, 2: {2, 2, 1}, 3: {3, 3, 1}, 4: {4, 3, 2}, 5: {5, 3, 3}, 6: {5, 3, 3}, 1000: {5, 3, 3}} {
		if got := QuorumOf(Hard, n); got != want {
			t.Errorf("hard quorum of %d: %+v, want %+v", n, got, want)
		}
	}
	for n, want := range map[int]Quorum{1: {1, 1, 1}, 2: {2, 2, 2}, 3: {3, 2, 2}, 9: {3, 2, 2}} {
		if got := QuorumOf(Soft, n); got != want {
			t.Errorf("soft quorum of %d: %+v, want %+v", n, got, want)
		}
	}
	for n, want := range map[int]int{1: 12, 15: 12, 64: 12, 128: 14, 65536: 32, 1 << 20: 32} {
		if got := ListLength(n); got != want {
			t.Errorf("successor list in a ring of %d: %d, want %d", n, got, want)
		}
	}
}

func TestHybridClock(t *testing.T) {
	var c hybridClock
	const ms = 1_700_000_000_000
	first, grown := c.stamp(ms)
	if !grown || first.Millis() != ms {
		t.Fatalf("first stamp %d, durable mark moved %v", first, grown)
	}
	stamps := []Stamp{first}
	next := func(ms int64) {
		s, _ := c.stamp(ms)
		stamps = append(stamps, s)
		if s > c.reserved {
			t.Fatalf("stamp %d above the durable mark %d", s, c.reserved)
		}
	}
	next(ms)
	next(ms - 5000) // the clock was set back
	next(ms + 1)
	c.observe(stampAt(ms+30_000), ms) // somebody else's is ahead
	next(ms + 2)
	c.observe(stampAt(ms+1000), ms) // and behind
	next(ms + 3)
	for range 70000 { // more than 16 bits of counter in one millisecond
		next(ms + 3)
	}
	next(ms + 60_000)
	if !slices.IsSorted(stamps) || len(slices.Compact(stamps)) != 70007 {
		t.Error("stamps are not strictly increasing")
	}
	// A restarted member begins above everything it may have given out.
	again := hybridClock{last: c.reserved, reserved: c.reserved}
	if s, _ := again.stamp(ms); s <= stamps[len(stamps)-1] {
		t.Errorf("after a restart %d, before %d", s, stamps[len(stamps)-1])
	}
}
