package chord_test

import (
	"testing"

	"chordtorrent/chord"
	"chordtorrent/chord/storetest"
)

func TestMemStoreConformance(t *testing.T) {
	storetest.Run(t, func(*testing.T) (chord.Store, func(...chord.StoreOp)) {
		s := chord.NewMemStore()
		return s, func(ops ...chord.StoreOp) {
			for _, op := range ops {
				s.Apply(op)
			}
		}
	})
}

func TestMemStoreClone(t *testing.T) {
	merge := func(s *chord.MemStore, key chord.Key, name, value string, stamp chord.Stamp) {
		s.Apply(chord.StoreOp{Kind: chord.StoreMerge, Key: key,
			Merge: []chord.Field{{Name: name, Entry: chord.Entry{Value: []byte(value), Stamp: stamp}}}})
	}
	content := func(s *chord.MemStore) (out string) {
		for _, class := range []chord.Class{chord.Hard, chord.Soft} {
			s.Keys(class, chord.ID{}, chord.ID{}, func(k chord.Key) bool {
				s.Fields(k, "", "", func(f chord.Field) bool {
					out += string(k) + "." + f.Name + "=" + string(f.Value) + ";"
					return true
				})
				return true
			})
		}
		return out
	}
	s := chord.NewMemStore()
	merge(s, "\x01a", "f", "one", 1)
	merge(s, "\x81b", "f", "soft", 1)
	s.Apply(chord.StoreOp{Kind: chord.StoreState, State: &chord.State{Ring: 3, Known: []chord.Ref{{Addr: "x"}}}})
	c := s.Clone()
	was := content(s)
	if got := content(c); got != was || c.State().Ring != 3 || len(c.State().Known) != 1 {
		t.Fatalf("the clone holds %q and %+v, the original %q", got, c.State(), was)
	}
	merge(s, "\x01a", "f", "two", 2)
	merge(s, "\x01a", "e", "new", 2)
	merge(s, "\x01z", "e", "new", 2)
	s.Apply(chord.StoreOp{Kind: chord.StoreDrop, Key: "\x81b"})
	s.State().Known[0].Addr = "y"
	if got := content(c); got != was || c.State().Known[0].Addr != "x" || s.State().Known[0].Addr != "x" {
		t.Fatalf("the clone changed with the original: %q, was %q", got, was)
	}
}
