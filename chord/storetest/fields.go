package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"chordtorrent/chord"
)

func testEmpty(t *testing.T, s *subject) {
	s.wantFields(s.key(1))
	if got := s.keys(s.class, chord.ID{}, chord.ID{}, 0); len(got) != 0 {
		t.Errorf("an empty store has keys %q", got)
	}
	s.wantCount(chord.Hard, 0, 0)
	s.wantCount(chord.Soft, 0, 0)
	s.do(chord.StoreOp{Kind: chord.StoreDrop, Key: s.key(1)},
		chord.StoreOp{Kind: chord.StorePurge, Key: s.key(1), Purge: []chord.Field{field("a", "", 9)}})
	s.wantCount(s.class, 0, 0)
}

func testFieldsInOrder(t *testing.T, s *subject) {
	// Byte order: capitals before small letters, a prefix before what it begins.
	want := []string{"", "\x00", "A", "Z", "a", "aa", "ab", "b", "é", "\xff", "\xff\xff"}
	for _, i := range []int{7, 2, 10, 0, 5, 3, 9, 1, 8, 4, 6} {
		s.merge(s.key(1), field(want[i], "v", 1))
	}
	s.merge(s.key(2), field("another map", "v", 1))
	if got := names(s.fields(s.key(1), "", "")); !slices.Equal(got, want) {
		t.Errorf("fields come as %q, want %q", got, want)
	}
}

func testFieldsPrefixAndAfter(t *testing.T, s *subject) {
	for _, n := range []string{"a", "b", "b1", "b2", "b20", "b3", "c", "c1"} {
		s.merge(s.key(1), field(n, n, 1))
	}
	for _, c := range []struct {
		prefix, after string
		want          []string
	}{
		{"", "", []string{"a", "b", "b1", "b2", "b20", "b3", "c", "c1"}},
		{"b", "", []string{"b", "b1", "b2", "b20", "b3"}},
		{"b2", "", []string{"b2", "b20"}},
		{"b", "b", []string{"b1", "b2", "b20", "b3"}},
		{"b", "b2", []string{"b20", "b3"}},
		{"b", "b2x", []string{"b3"}}, // after need not be the name of a field
		{"b", "a", []string{"b", "b1", "b2", "b20", "b3"}},
		{"b", "b3", []string{}},
		{"b", "c", []string{}}, // past the prefix altogether
		{"", "c1", []string{}},
		{"", "b3", []string{"c", "c1"}},
		{"x", "", []string{}},
		{"b1x", "", []string{}},
	} {
		if got := names(s.fields(s.key(1), c.prefix, c.after)); !slices.Equal(got, c.want) {
			t.Errorf("prefix %q after %q: %q, want %q", c.prefix, c.after, got, c.want)
		}
	}
}

func testFieldsStop(t *testing.T, s *subject) {
	for i := range 10 {
		s.merge(s.key(1), field(fmt.Sprint(i), "v", 1))
	}
	calls := 0
	if err := s.Fields(s.key(1), "", "", func(chord.Field) bool { calls++; return calls < 3 }); err != nil || calls != 3 {
		t.Errorf("yield was called %d times (error %v) though it ended the third call with false", calls, err)
	}
}

func testFieldsEntries(_ *testing.T, s *subject) {
	all := []chord.Field{
		tombstone("gone", 7),
		{Name: "gone, with expiry", Entry: chord.Entry{Stamp: 1<<63 + 5, Deleted: true, Expires: 3}},
		{Name: "long expired", Entry: chord.Entry{Value: []byte("old"), Stamp: 2, Expires: 1}},
		field("nothing", "", 4),
		{Name: "value", Entry: chord.Entry{Value: []byte("a\x00b"), Stamp: 3, Expires: 1 << 50}},
	}
	s.merge(s.key(1), all...)
	s.wantFields(s.key(1), all...)
}

func testFieldsLimits(_ *testing.T, s *subject) {
	key := keyOf(s.class, strings.Repeat("k", chord.MaxKeyBytes-1))
	big := field(strings.Repeat("f", chord.MaxFieldBytes), strings.Repeat("v", chord.MaxValueBytes), ^chord.Stamp(0))
	s.merge(key, big)
	s.wantFields(key, big)
}

// testFieldsMany has more fields and bytes than an implementation will read
// in one piece, and pages through them.
func testFieldsMany(t *testing.T, s *subject) {
	const n = 700
	var all []chord.Field
	for i := range n {
		all = append(all, field(fmt.Sprintf("%04d", i), strings.Repeat("v", 2000), chord.Stamp(i+1)))
	}
	s.merge(s.key(1), all...)
	s.wantFields(s.key(1), all...)
	after, got := "", 0
	for page := 0; ; page++ {
		var last string
		count := 0
		if err := s.Fields(s.key(1), "", after, func(f chord.Field) bool {
			last = f.Name
			count++
			return count < 99
		}); err != nil {
			t.Fatal(err)
		}
		got += count
		if count < 99 {
			break
		}
		after = last
	}
	if got != n {
		t.Errorf("pages of 99 gave %d fields, want %d", got, n)
	}
}

func testMergeWins(_ *testing.T, s *subject) {
	k := s.key(1)
	s.merge(k, field("a", "five", 5), field("b", "five", 5), field("c", "five", 5), tombstone("d", 5),
		chord.Field{Name: "e", Entry: chord.Entry{Value: []byte("short"), Stamp: 5, Expires: 10}}, field("f", "x", 5))
	s.merge(k, field("a", "four", 4), field("b", "six", 6), tombstone("c", 5), field("d", "back", 6),
		chord.Field{Name: "e", Entry: chord.Entry{Value: []byte("long"), Stamp: 5, Expires: 20}}, field("f", "y", 5))
	s.wantFields(k, field("a", "five", 5), field("b", "six", 6), tombstone("c", 5), field("d", "back", 6),
		chord.Field{Name: "e", Entry: chord.Entry{Value: []byte("long"), Stamp: 5, Expires: 20}}, field("f", "y", 5))
}

func testMergeAgain(_ *testing.T, s *subject) {
	k := s.key(1)
	both := []chord.Field{field("a", "one", 1), tombstone("b", 2)}
	for range 3 {
		s.merge(k, both...)
	}
	s.merge(k, both[1], both[0]) // any order of fields
	s.wantFields(k, both...)
	s.wantCount(s.class, 1, 3)
}

func testMergeNothing(t *testing.T, s *subject) {
	s.merge(s.key(1))
	s.wantCount(s.class, 0, 0)
	if got := s.keys(s.class, chord.ID{}, chord.ID{}, 0); len(got) != 0 {
		t.Errorf("a merge of no fields made the keys %q", got)
	}
}

// testMergeCopies checks that what is held does not change with what a yield
// did to the value it was shown a copy of, and that two maps do not share.
func testMergeCopies(t *testing.T, s *subject) {
	value := []byte("same")
	f := chord.Field{Name: "a", Entry: chord.Entry{Value: value, Stamp: 1}}
	s.merge(s.key(1), f)
	s.merge(s.key(2), f)
	s.merge(s.key(2), field("a", "other", 2))
	s.wantFields(s.key(1), field("a", "same", 1))
	s.wantFields(s.key(2), field("a", "other", 2))
	if !bytes.Equal(value, []byte("same")) {
		t.Errorf("the store wrote into the value it was given: %q", value)
	}
}

func testDrop(_ *testing.T, s *subject) {
	s.merge(s.key(1), field("a", "one", 1), tombstone("b", 2))
	s.merge(s.key(2), field("a", "two", 1))
	s.do(chord.StoreOp{Kind: chord.StoreDrop, Key: s.key(1)})
	s.wantFields(s.key(1))
	s.wantFields(s.key(2), field("a", "two", 1))
	s.wantCount(s.class, 1, 3)
	s.do(chord.StoreOp{Kind: chord.StoreDrop, Key: s.key(1)}) // again: nothing
	s.merge(s.key(1), field("a", "older than what was dropped", 0))
	s.wantFields(s.key(1), field("a", "older than what was dropped", 0))
}

func testPurge(t *testing.T, s *subject) {
	k := s.key(1)
	purge := func(fields ...chord.Field) {
		t.Helper()
		s.do(chord.StoreOp{Kind: chord.StorePurge, Key: k, Purge: fields})
	}
	s.merge(k, tombstone("a", 5), tombstone("b", 5), tombstone("c", 5), field("d", "stays", 5), tombstone("e", 5))
	purge(field("a", "", 5), field("b", "", 4), field("c", "", 6), field("not there", "", 9))
	s.wantFields(k, tombstone("b", 5), field("d", "stays", 5), tombstone("e", 5))
	// A field that was written again since then is above the stamp.
	s.merge(k, field("e", "again", 8))
	purge(field("e", "", 5))
	s.wantFields(k, tombstone("b", 5), field("d", "stays", 5), field("e", "again", 8))
	s.wantCount(s.class, 1, 10)
	// A map without fields is no map.
	purge(field("b", "", 5), field("d", "", 5), field("e", "", 8))
	s.wantFields(k)
	s.wantCount(s.class, 0, 0)
	if got := s.keys(s.class, chord.ID{}, chord.ID{}, 0); len(got) != 0 {
		t.Errorf("keys after every field was purged: %q", got)
	}
}

func testOpsInOrder(_ *testing.T, s *subject) {
	k := s.key(1)
	s.do(chord.StoreOp{Kind: chord.StoreMerge, Key: k, Merge: []chord.Field{field("a", "one", 1), field("b", "one", 1)}},
		chord.StoreOp{Kind: chord.StoreDrop, Key: k},
		chord.StoreOp{Kind: chord.StoreMerge, Key: k, Merge: []chord.Field{field("b", "two", 2)}},
		chord.StoreOp{Kind: chord.StorePurge, Key: k, Purge: []chord.Field{field("b", "", 1)}},
		chord.StoreOp{Kind: chord.StoreMerge, Key: k, Merge: []chord.Field{tombstone("b", 3)}},
		chord.StoreOp{Kind: chord.StoreState, State: &chord.State{HighStamp: 1}})
	s.wantFields(k, tombstone("b", 3))
	s.wantCount(s.class, 1, 0)
}

func testOddNames(_ *testing.T, s *subject) {
	odd := keyOf(s.class, "\x00/\xff\n日本\xfe")
	prefixed := keyOf(s.class, "\x00/\xff\n日本\xfe2")
	s.merge(odd, field("\x00\xff", "one", 1))
	s.merge(prefixed, field("\x00\xff\x00", "two", 1))
	s.wantFields(odd, field("\x00\xff", "one", 1))
	s.wantFields(prefixed, field("\x00\xff\x00", "two", 1))
}
