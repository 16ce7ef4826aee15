package chord

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// randomEntry draws from so few values that ties of every kind are common.
func randomEntry(r *rand.Rand) Entry {
	e := Entry{Stamp: Stamp(r.IntN(3)), Expires: int64(r.IntN(3)), Deleted: r.IntN(3) == 0}
	if !e.Deleted {
		e.Value = []byte{"abc"[r.IntN(3)]}[:r.IntN(2)]
	}
	return e
}

func sameEntry(a, b Entry) bool {
	return bytes.Equal(a.Value, b.Value) && a.Stamp == b.Stamp && a.Expires == b.Expires && a.Deleted == b.Deleted
}

func TestMergeProperties(t *testing.T) {
	seed := testSeed(t, 1)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 20000 {
		a, b, c := randomEntry(r), randomEntry(r), randomEntry(r)
		if got := Merge(a, a); !sameEntry(got, a) {
			t.Fatalf("not idempotent: Merge(%+v, itself) = %+v", a, got)
		}
		if ab, ba := Merge(a, b), Merge(b, a); !sameEntry(ab, ba) {
			t.Fatalf("not commutative: a %+v, b %+v: %+v and %+v", a, b, ab, ba)
		}
		if l, r := Merge(Merge(a, b), c), Merge(a, Merge(b, c)); !sameEntry(l, r) {
			t.Fatalf("not associative: a %+v, b %+v, c %+v: %+v and %+v", a, b, c, l, r)
		}
		if got := Merge(a, b); !sameEntry(got, a) && !sameEntry(got, b) {
			t.Fatalf("Merge(%+v, %+v) invents %+v", a, b, got)
		}
	}
}

func TestMergeOrder(t *testing.T) {
	// Each entry loses against the next one.
	chain := []Entry{
		{Stamp: 1, Value: []byte("z")},
		{Stamp: 1, Deleted: true, Expires: 9},
		{Stamp: 2, Value: []byte("z"), Expires: 1},
		{Stamp: 2, Value: []byte("a"), Expires: 2},
		{Stamp: 2, Value: nil}, // never expires, so later than any expiry
		{Stamp: 2, Value: []byte("a")},
		{Stamp: 2, Value: []byte("b")},
		{Stamp: 2, Deleted: true, Expires: 1},
		{Stamp: 2, Deleted: true},
		{Stamp: 1<<63 + 1, Value: []byte("stamps are unsigned")},
	}
	for i, lower := range chain {
		for _, higher := range chain[i+1:] {
			if got := Merge(lower, higher); !sameEntry(got, higher) {
				t.Errorf("Merge(%+v, %+v) = %+v, want the second", lower, higher, got)
			}
		}
	}
}

// TestMergedStoresAgree gives the same writes in different orders, some of
// them twice, to stores that then hold the same.
func TestMergedStoresAgree(t *testing.T) {
	seed := testSeed(t, 1)
	r := rand.New(rand.NewPCG(seed, 1))
	for range 50 {
		var ops []StoreOp
		for range 60 {
			var fields []Field
			for range 1 + r.IntN(3) {
				fields = append(fields, Field{Name: string(rune('a' + r.IntN(4))), Entry: randomEntry(r)})
			}
			ops = append(ops, StoreOp{Kind: StoreMerge, Key: Key([]byte{1, byte('a' + r.IntN(3))}), Merge: fields})
		}
		var first string
		for i := range 4 {
			s := NewMemStore()
			for _, n := range r.Perm(len(ops)) {
				s.Apply(ops[n])
				if r.IntN(4) == 0 {
					s.Apply(ops[r.IntN(len(ops))])
				}
			}
			switch got := dumpStore(s, Hard); {
			case i == 0:
				first = got
			case got != first:
				t.Fatalf("seed %d: the same writes in another order give\n%s\nand\n%s", seed, first, got)
			}
		}
	}
}
