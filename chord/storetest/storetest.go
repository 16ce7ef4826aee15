// Package storetest answers one question: does a Store behave as a Member
// needs it to? Run is the conformance suite; every implementation of
// chord.Store calls it from a test of its own. It starts no goroutines and
// leaves durability, damage and concurrency to the tests of the
// implementation.
package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"chordtorrent/chord"
)

// Open gives a new, empty store, and a function that carries out ops in order
// and returns once reads see them.
type Open func(t *testing.T) (s chord.Store, apply func(...chord.StoreOp))

// Run checks everything that the comments of chord.Store, chord.StoreOp and
// chord.StoreKind promise.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *subject)
	}{
		{"Empty", testEmpty},
		{"FieldsInOrder", testFieldsInOrder},
		{"FieldsPrefixAndAfter", testFieldsPrefixAndAfter},
		{"FieldsStop", testFieldsStop},
		{"FieldsEntries", testFieldsEntries},
		{"FieldsLimits", testFieldsLimits},
		{"FieldsMany", testFieldsMany},
		{"KeysInRingOrder", testKeysInRingOrder},
		{"KeysArcEnds", testKeysArcEnds},
		{"KeysResume", testKeysResume},
		{"ClassesApart", testClassesApart},
		{"Count", testCount},
		{"MergeWins", testMergeWins},
		{"MergeAgain", testMergeAgain},
		{"MergeNothing", testMergeNothing},
		{"MergeCopies", testMergeCopies},
		{"Drop", testDrop},
		{"Purge", testPurge},
		{"OpsInOrder", testOpsInOrder},
		{"OddNames", testOddNames},
		{"Digest", testDigest},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, class := range []chord.Class{chord.Hard, chord.Soft} {
				t.Run([]string{"Hard", "Soft"}[class], func(t *testing.T) {
					store, apply := open(t)
					c.test(t, &subject{t: t, Store: store, apply: apply, class: class})
				})
			}
		})
	}
}

// subject is a store under test and the class of keys that a case uses.
type subject struct {
	chord.Store
	t     *testing.T
	apply func(...chord.StoreOp)
	class chord.Class
	token uint64
}

// key gives the n-th key of the subject's class.
func (s *subject) key(n int) chord.Key { return keyOf(s.class, fmt.Sprint("key ", n)) }

func keyOf(class chord.Class, rest string) chord.Key {
	if class == chord.Soft {
		return chord.Key("\x81" + rest)
	}
	return chord.Key("\x01" + rest)
}

func (s *subject) merge(key chord.Key, fields ...chord.Field) {
	s.t.Helper()
	s.do(chord.StoreOp{Kind: chord.StoreMerge, Key: key, Merge: fields})
}

func (s *subject) do(ops ...chord.StoreOp) {
	s.t.Helper()
	for i := range ops {
		s.token++
		ops[i].Token = s.token
	}
	s.apply(ops...)
}

func field(name, value string, stamp chord.Stamp) chord.Field {
	return chord.Field{Name: name, Entry: chord.Entry{Value: []byte(value), Stamp: stamp}}
}

func tombstone(name string, stamp chord.Stamp) chord.Field {
	return chord.Field{Name: name, Entry: chord.Entry{Stamp: stamp, Deleted: true}}
}

// fields reads a map; the values are copied, as they are valid only in yield.
func (s *subject) fields(key chord.Key, prefix, after string) []chord.Field {
	s.t.Helper()
	var out []chord.Field
	err := s.Fields(key, prefix, after, func(f chord.Field) bool {
		f.Value = slices.Clone(f.Value)
		out = append(out, f)
		return true
	})
	if err != nil {
		s.t.Fatalf("Fields(%q, %q, %q): %v", key, prefix, after, err)
	}
	return out
}

// wantFields fails the test unless the map shows exactly these fields.
func (s *subject) wantFields(key chord.Key, want ...chord.Field) {
	s.t.Helper()
	if got := s.fields(key, "", ""); show(got) != show(want) {
		s.t.Fatalf("map %q holds\n%swant\n%s", key, show(got), show(want))
	}
}

// show writes fields so that an empty value and no value are the same.
func show(fields []chord.Field) string {
	var b strings.Builder
	for _, f := range fields {
		v := string(f.Value)
		if len(v) > 40 {
			v = fmt.Sprintf("%s… %d bytes", v[:40], len(v))
		}
		fmt.Fprintf(&b, "  %q: %q stamp %d expires %d deleted %v\n", f.Name, v, f.Stamp, f.Expires, f.Deleted)
	}
	return b.String()
}

func names(fields []chord.Field) []string {
	out := []string{}
	for _, f := range fields {
		out = append(out, f.Name)
	}
	return out
}

// keys walks an arc; at most limit keys, 0 for all.
func (s *subject) keys(class chord.Class, from, to chord.ID, limit int) []chord.Key {
	s.t.Helper()
	out := []chord.Key{}
	err := s.Keys(class, from, to, func(k chord.Key) bool {
		out = append(out, k)
		return len(out) != limit
	})
	if err != nil {
		s.t.Fatalf("Keys(%d, %s, %s): %v", class, from.Short(), to.Short(), err)
	}
	return out
}

func (s *subject) wantCount(class chord.Class, keys int, bytes int64) {
	s.t.Helper()
	if k, b := s.Count(class); k != keys || b != bytes {
		s.t.Fatalf("Count(%d) = %d keys, %d bytes; want %d, %d", class, k, b, keys, bytes)
	}
}
