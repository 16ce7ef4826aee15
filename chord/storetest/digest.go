package storetest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"chordtorrent/chord"
)

// testDigest changes maps at random and compares the digests of arcs of all
// sizes with those that a walk finds.
func testDigest(t *testing.T, s *subject) {
	const seed = 1
	rng := rand.New(rand.NewPCG(seed, 0))
	place := func() (id chord.ID) {
		// Often at the very beginning or end of the ring, where arcs have seams.
		for i := range id {
			id[i] = []byte{0, 0xff, byte(rng.Uint32())}[rng.IntN(3)]
		}
		return id
	}
	compare := func(from, to chord.ID) {
		t.Helper()
		got, err := s.Digest(s.class, from, to)
		want, werr := chord.WalkDigest(s, s.class, from, to)
		if got != want || err != nil || werr != nil {
			t.Fatalf("digest of (%s, %s] is %+v, %v; a walk gives %+v, %v", from, to, got, err, want, werr)
		}
	}
	for round := range 40 {
		var ops []chord.StoreOp
		for range 10 {
			key, name := s.key(rng.IntN(60)), fmt.Sprint("f", rng.IntN(3))
			f := field(name, "v", chord.Stamp(rng.IntN(50)))
			switch what := rng.IntN(10); what {
			case 0:
				ops = append(ops, chord.StoreOp{Kind: chord.StoreDrop, Key: key})
			case 1, 2:
				ops = append(ops, chord.StoreOp{Kind: chord.StorePurge, Key: key, Purge: []chord.Field{f}})
			case 3:
				f.Deleted, f.Value = true, nil
				fallthrough
			default:
				ops = append(ops, chord.StoreOp{Kind: chord.StoreMerge, Key: key, Merge: []chord.Field{f}})
			}
		}
		s.do(ops...)
		at := chord.HashKey(s.key(round))
		compare(at, at)
		compare(place(), at)
		compare(at, place())
		compare(place(), place())
		var near chord.ID
		copy(near[:], at[:])
		near[chord.IDBytes-1] ^= 1
		compare(near, at)
		compare(at, near)
	}
	var zero chord.ID
	compare(zero, zero)
}
