package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"chordtorrent/chord"
)

// fill writes n keys with one field each and returns them in ring order.
func (s *subject) fill(n int) []chord.Key {
	s.t.Helper()
	var all []chord.Key
	for i := range n {
		k := s.key(i)
		all = append(all, k)
		s.merge(k, field("f", "v", 1))
	}
	slices.SortFunc(all, func(a, b chord.Key) int { return chord.HashKey(a).Compare(chord.HashKey(b)) })
	return all
}

// expect gives the keys of all that lie in (from, to], in order behind from.
func expect(all []chord.Key, from, to chord.ID) []chord.Key {
	out := []chord.Key{}
	for _, k := range all {
		if chord.InArc(from, chord.HashKey(k), to) {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b chord.Key) int {
		// from itself, when it belongs to the arc, is its last place.
		ha, hb := chord.HashKey(a), chord.HashKey(b)
		switch {
		case ha == hb:
			return 0
		case ha == from:
			return 1
		case hb == from:
			return -1
		}
		return chord.Distance(from, ha).Compare(chord.Distance(from, hb))
	})
	return out
}

func (s *subject) wantKeys(all []chord.Key, from, to chord.ID) {
	s.t.Helper()
	got, want := s.keys(s.class, from, to, 0), expect(all, from, to)
	if !slices.Equal(got, want) {
		s.t.Errorf("arc (%s, %s] gives %d keys %.200q, want %d %.200q", from.Short(), to.Short(), len(got), got, len(want), want)
	}
}

func testKeysInRingOrder(_ *testing.T, s *subject) {
	all := s.fill(60)
	var zero, top chord.ID
	for i := range top {
		top[i] = 0xff
	}
	places := []chord.ID{zero, top, chord.HashKey("a"), chord.HashKey("b"), chord.HashKey("c")}
	for _, from := range places {
		for _, to := range places { // arcs over the top and from == to among them
			s.wantKeys(all, from, to)
		}
	}
}

// testKeysArcEnds checks that from is outside and to inside, also one place
// beside a key and over the top.
func testKeysArcEnds(t *testing.T, s *subject) {
	all := s.fill(5)
	for i, k := range all {
		h := chord.HashKey(k)
		for j, l := range all {
			g := chord.HashKey(l)
			s.wantKeys(all, h, g)
			s.wantKeys(all, before(h), g)
			s.wantKeys(all, h, before(g))
			if i == j {
				if got := s.keys(s.class, h, g, 0); len(got) != len(all) || got[len(got)-1] != k {
					t.Errorf("the whole ring from %s gives %q: want all keys, that place last", h.Short(), got)
				}
				if got := s.keys(s.class, before(h), h, 0); len(got) != 1 || got[0] != k {
					t.Errorf("the arc of one place gives %q, want %q", got, k)
				}
			}
		}
	}
}

// before is id - 1.
func before(id chord.ID) chord.ID {
	for i := len(id) - 1; i >= 0; i-- {
		id[i]--
		if id[i] != 0xff {
			break
		}
	}
	return id
}

// testKeysResume walks an arc over the top in pieces, each begun with the
// hash of the last key, with more keys than one piece of any implementation.
func testKeysResume(t *testing.T, s *subject) {
	all := s.fill(1200)
	start := chord.HashKey(all[1000])
	want := expect(all, start, before(start))
	for _, piece := range []int{1000, 511, 7} {
		got := []chord.Key{}
		from := start
		for {
			part := s.keys(s.class, from, before(start), piece)
			got = append(got, part...)
			if len(part) < piece {
				break
			}
			from = chord.HashKey(part[len(part)-1])
			if from == before(start) {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("pieces of %d give %d keys, want %d, in ring order", piece, len(got), len(want))
		}
	}
}

func testClassesApart(t *testing.T, s *subject) {
	other := chord.Soft - s.class
	all := s.fill(20)
	otherKey := keyOf(other, "in the other class")
	s.merge(otherKey, field("x", "12345", 1))
	if got := s.keys(s.class, chord.ID{}, chord.ID{}, 0); !slices.Equal(got, expect(all, chord.ID{}, chord.ID{})) {
		t.Errorf("keys of one class: %q", got)
	}
	if got := s.keys(other, chord.ID{}, chord.ID{}, 0); !slices.Equal(got, []chord.Key{otherKey}) {
		t.Errorf("keys of the other class: %q, want only %q", got, otherKey)
	}
	s.wantCount(s.class, 20, 20)
	s.wantCount(other, 1, 5)
	// The same name with the other kind byte is another map.
	s.merge(keyOf(other, "key 3"), field("f", "mine", 9))
	s.wantFields(keyOf(s.class, "key 3"), field("f", "v", 1))
}

func testCount(_ *testing.T, s *subject) {
	s.wantCount(s.class, 0, 0)
	s.merge(s.key(1), field("a", "12345", 1), field("b", "678", 1))
	s.wantCount(s.class, 1, 8)
	s.merge(s.key(2), field("a", strings.Repeat("x", 3000), 1))
	s.wantCount(s.class, 2, 3008)
	s.merge(s.key(2), field("a", "short", 2)) // replaced
	s.wantCount(s.class, 2, 13)
	s.merge(s.key(2), field("a", "loses, whatever its length", 1))
	s.wantCount(s.class, 2, 13)
	s.merge(s.key(1), tombstone("a", 2)) // a map of tombstones is still held
	s.merge(s.key(1), tombstone("b", 2))
	s.wantCount(s.class, 2, 5)
	s.do(chord.StoreOp{Kind: chord.StorePurge, Key: s.key(1), Purge: []chord.Field{field("a", "", 2)}})
	s.wantCount(s.class, 2, 5)
	s.do(chord.StoreOp{Kind: chord.StoreDrop, Key: s.key(2)})
	s.wantCount(s.class, 1, 0)
	for i := range 30 {
		s.merge(s.key(100+i), field("a", fmt.Sprintf("%03d", i), 1))
	}
	s.wantCount(s.class, 31, 90)
}
