package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"chordtorrent/chord"
)

const pageSize, metaPages = 4096, 2

// torn gives what a crash may leave of a commit: a file before and after it, in
// the order in which bbolt writes. Of the data pages, which come first, some are there
// and one up to any byte; or all are, and the meta page is up to any byte.
func torn(rnd *rand.Rand, before, after []byte, meta bool) []byte {
	b := append(bytes.Clone(before), make([]byte, max(0, len(after)-len(before)))...)
	if !meta && rnd.IntN(3) == 0 {
		b = b[:len(before)] // not even grown
	}
	var changed []int
	for at := metaPages * pageSize; at+pageSize <= len(b); at += pageSize {
		if !bytes.Equal(b[at:at+pageSize], after[at:at+pageSize]) {
			changed = append(changed, at)
		}
	}
	rnd.Shuffle(len(changed), func(i, j int) { changed[i], changed[j] = changed[j], changed[i] })
	last := len(changed)
	if !meta && last > 0 {
		last = rnd.IntN(last)
		copy(b[changed[last]:][:rnd.IntN(pageSize)], after[changed[last]:])
	}
	for _, at := range changed[:last] {
		copy(b[at:at+pageSize], after[at:])
	}
	for at := 0; meta && at < metaPages*pageSize; at += pageSize {
		if !bytes.Equal(b[at:at+pageSize], after[at:at+pageSize]) {
			copy(b[at:at+rnd.IntN(pageSize+1)], after[at:])
		}
	}
	return b
}

// TestACrashAtAnyByteOfACommit leaves a part of a commit on the disk. What was
// confirmed before is there, and the commit itself is there whole or not at all.
func TestACrashAtAnyByteOfACommit(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 4))
	t.Logf("seed %d", seed)
	dir, copies := t.TempDir(), t.TempDir()
	var n atomic.Int64
	file := func(i int) string { return filepath.Join(copies, fmt.Sprint(i), "ring.db") }
	var db *DB
	db = openDB(t, dir, options{afterCommit: func() { copyFile(t, db.path, file(int(n.Add(1)))) }})
	const commits, tries = 16, 12
	for i := range commits { // each writes two maps, and takes a part of one before away
		mustApply(t, db,
			merge(chord.Key(fmt.Sprint(hardKind, "a", i)), field("f", strings.Repeat("v", 900*i), 1)),
			merge(chord.Key(fmt.Sprint(hardKind, "b")), field("f", strings.Repeat("w", 300*i), chord.Stamp(i+1))))
	}
	contents := func(db *DB) (list []string) {
		for _, key := range keysOf(t, db, chord.Hard, chord.ID{}, chord.ID{}) {
			for name, value := range read(t, db, key) {
				list = append(list, fmt.Sprintf("%q %s %d", string(key), name, len(value)))
			}
		}
		slices.Sort(list)
		return list
	}
	opened := func(text []byte, meta bool) []string {
		at := filepath.Join(t.TempDir(), "ring.db")
		if err := os.WriteFile(at, text, 0o600); err != nil {
			t.Fatal(err)
		}
		var logged logLines
		db := openDB(t, filepath.Dir(at), options{log: logged.logger()})
		// A torn meta page looks like one that was damaged later, with a commit that was
		// confirmed: the member does not vouch for what it holds, which is safe.
		if !meta && (db.Damaged() != 0 || db.suspect) {
			t.Errorf("counts as damaged: %q", logged.all())
		}
		list := contents(db)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		return list
	}
	taken := 0
	for i := 1; i < commits; i++ {
		before, err := os.ReadFile(file(i))
		if err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(file(i + 1))
		if err != nil {
			t.Fatal(err)
		}
		was, is := opened(before, false), opened(after, false)
		for try := range tries {
			meta := try%2 == 1
			switch got := opened(torn(rnd, before, after, meta), meta); {
			case slices.Equal(got, was):
			case meta && slices.Equal(got, is):
				taken++
			default:
				t.Fatalf("commit %d, try %d: %q is neither %q nor %q", i, try, got, was, is)
			}
		}
	}
	if taken == 0 {
		t.Error("no torn meta page was whole enough: the test does not reach the end of a commit")
	}
}
