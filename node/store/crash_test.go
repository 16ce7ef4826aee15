package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"go.etcd.io/bbolt"

	"chordtorrent/chord"
)

// A crash at a moment is a copy of the file at that moment: whatever was
// confirmed before must be in it.
func TestEveryCommitSurvivesACrashRightAfterIt(t *testing.T) {
	dir, copies := t.TempDir(), t.TempDir()
	var n atomic.Int64
	var db *DB
	db = openDB(t, dir, options{afterCommit: func() {
		copyFile(t, db.path, filepath.Join(copies, fmt.Sprint(n.Add(1)), "ring.db"))
	}})
	const rounds = 25
	for i := range rounds {
		mustApply(t, db, merge(chord.Key(fmt.Sprint(hardKind, i%7)), field(fmt.Sprint(i), strings.Repeat("v", 700*i), 1)))
	}
	for i := range rounds {
		crashed := openDB(t, filepath.Join(copies, fmt.Sprint(i+1)), options{})
		for j := range i + 1 {
			if got := read(t, crashed, chord.Key(fmt.Sprint(hardKind, j%7)))[fmt.Sprint(j)]; len(got) != 700*j {
				t.Fatalf("copy after commit %d has %d bytes of write %d, want %d", i, len(got), j, 700*j)
			}
		}
		if crashed.Damaged() != 0 || crashed.suspect {
			t.Errorf("copy after commit %d counts as damaged", i)
		}
		if err := crashed.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAValueThatDoesNotMatchItsChecksumCountsAsAbsent(t *testing.T) {
	dir := t.TempDir()
	var logged logLines
	db := openDB(t, dir, options{log: logged.logger()})
	mustApply(t, db, merge(hardKind+"k", field("a", "good", 1), field("b", "good", 1)))
	corrupt(t, db, hardKind+"k", "a")
	got, err := readAll(db, hardKind+"k")
	if !errors.Is(err, ErrDamaged) || len(got) != 1 || got["b"] != "good" {
		t.Fatalf("read %v, err %v; want b alone and ErrDamaged", got, err)
	}
	if lines := logged.all(); db.Damaged() == 0 || len(lines) != 1 || !strings.Contains(lines[0], "level=ERROR") {
		t.Errorf("%d damaged, logged %q", db.Damaged(), lines)
	}
	mustApply(t, db, merge(hardKind+"k", field("a", "again", 1)))
	if got := read(t, db, hardKind+"k"); got["a"] != "again" {
		t.Errorf("after the repair: %v", got)
	}
}

func TestDamagedRowsAreNoticedAtOpening(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir, options{})
	mustApply(t, db, merge(hardKind+"k", field("a", "good", 1)), chord.StoreOp{Kind: chord.StoreState, State: &chord.State{Ring: 3, HighStamp: 9, Arcs: []chord.Arc{{}}}})
	corrupt(t, db, hardKind+"k", "a")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openDB(t, dir, options{})
	if db.Damaged() != 1 {
		t.Errorf("%d damaged entries, want 1", db.Damaged())
	}
	if st := db.State(); st.Ring != 3 || len(st.Arcs) != 0 || st.HighStamp != 9 {
		t.Errorf("state %+v: a member with damage must not vouch for its range", st)
	}
}

// corrupt flips a bit of a value behind the store's back.
func corrupt(t *testing.T, db *DB, key chord.Key, name string) {
	t.Helper()
	rk := rowKey(chord.HashKey(key), name)
	err := db.bolt.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(fieldsBucket)
		row := append([]byte(nil), b.Get(rk)...)
		row[len(row)-1] ^= 4
		return b.Put(rk, row)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fill makes a database of several hundred pages and closes it.
func fill(t *testing.T, dir string) (path string, content map[chord.Key]map[string]string) {
	t.Helper()
	db := openDB(t, dir, options{})
	content = map[chord.Key]map[string]string{}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 150 {
		key := chord.Key(fmt.Sprint(hardKind, i))
		content[key] = map[string]string{}
		var fields []chord.Field
		for j := range 1 + rnd.IntN(6) {
			value := strings.Repeat(string(rune('a'+j)), rnd.IntN(3000))
			content[key][fmt.Sprint(j)] = value
			fields = append(fields, field(fmt.Sprint(j), value, 1))
		}
		mustApply(t, db, merge(key, fields...))
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return db.path, content
}

// Whatever happens to the file, opening it does not end the process, and what
// can be read afterwards was written once; what cannot is reported.
func TestADamagedFileIsNeverFatalNeverWrongNeverSilentlyShort(t *testing.T) {
	original, content := fill(t, t.TempDir())
	good, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 3))
	t.Logf("seed %d", seed)
	aside := 0
	for round := range 1000 {
		b := append([]byte(nil), good...)
		what := "flips"
		switch round % 4 {
		case 0:
			b = b[:rnd.IntN(len(b))]
			what = "cut"
		case 1: // in a page's header, where it hurts most
			b[rnd.IntN(len(b)/4096)*4096+rnd.IntN(pageHeader)] ^= 1 << rnd.IntN(8)
		default:
			for range 1 + rnd.IntN(20) {
				b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
			}
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "ring.db"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		var logged logLines
		db := openDB(t, dir, options{log: logged.logger()})
		missing := 0
		reported := db.suspect || db.Damaged() > 0
		for key, fields := range content {
			got, err := readAll(db, key)
			reported = reported || err != nil
			for name, value := range fields {
				switch v, ok := got[name]; {
				case !ok:
					missing++
				case v != value:
					t.Fatalf("round %d (%s): key %q field %s reads a value that was never written", round, what, key, name)
				}
			}
			if len(got) > len(fields) {
				t.Fatalf("round %d (%s): key %q has fields that were never written", round, what, key)
			}
		}
		if missing > 0 && (!reported || len(logged.all()) == 0) {
			t.Fatalf("round %d (%s): %d fields are missing and nobody was told", round, what, missing)
		}
		if kept, _ := filepath.Glob(filepath.Join(dir, "ring.db.damaged-*")); len(kept) > 0 {
			aside++
		}
		mustApply(t, db, merge(hardKind+"new", field("f", "v", 1)))
		if err := db.Close(); err != nil {
			t.Errorf("round %d (%s): %v", round, what, err)
		}
	}
	if aside == 0 {
		t.Error("no file was ever set aside")
	}
}

// A page that says that it has fewer elements than were written would lose
// rows of which nothing else tells.
func TestAPageWithAnotherCountIsDamage(t *testing.T) {
	path, _ := fill(t, t.TempDir())
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := os.Getpagesize()
	reached := reachable(t, path)
	tried := 0
	for _, id := range reached {
		at := id*size + 10
		count := native.Uint16(good[at:])
		for _, wrong := range []uint16{0, count - 1, count + 1} {
			b := append([]byte(nil), good...)
			native.PutUint16(b[at:], wrong)
			bad := filepath.Join(t.TempDir(), "bad.db")
			if err := os.WriteFile(bad, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := checkFile(bad); !errors.Is(err, ErrDamaged) {
				t.Errorf("page %d (of kind %d) with %d elements instead of %d: %v", id, native.Uint16(good[at-2:]), wrong, count, err)
			}
			tried++
		}
	}
	if tried < 100 {
		t.Errorf("%d pages were tried", tried)
	}
}

// reachable gives the pages that the newest transaction reaches, without those
// that continue another.
func reachable(t *testing.T, path string) (ids []int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := checker{file: f, path: path, rows: map[string]int{}}
	meta, valid := c.newestMeta(1 << 30)
	if valid != 2 {
		t.Fatalf("%d metas are valid", valid)
	}
	c.pageSize, c.pages, c.seen = meta.pageSize, meta.pages, make([]bool, meta.pages)
	if err := c.tree(meta.root, nil, nil, c.rootElement); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, pageHeader)
	for id, seen := range c.seen {
		if _, err := f.ReadAt(head, int64(id*c.pageSize)); err != nil {
			t.Fatal(err)
		}
		if seen && native.Uint64(head) == uint64(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// The commit before is there, but the last one is lost, which must be told.
func TestADamagedMetaPageFallsBackToTheCommitBefore(t *testing.T) {
	path, content := fill(t, t.TempDir())
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	newest := int64(0)
	txids := make([]uint64, 2)
	buf := make([]byte, 8)
	for i := range txids {
		if _, err := f.ReadAt(buf, int64(i)*int64(os.Getpagesize())+pageHeader+48); err != nil {
			t.Fatal(err)
		}
		txids[i] = native.Uint64(buf)
	}
	if txids[1] > txids[0] {
		newest = int64(os.Getpagesize())
	}
	if _, err := f.WriteAt([]byte{0xff, 0xff}, newest+pageHeader+20); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	db := openDB(t, filepath.Dir(path), options{})
	if keys, _ := db.Count(chord.Hard); keys < len(content)-1 || !db.suspect || db.Damaged() != 1 {
		t.Errorf("%d keys of %d, suspect %v, %d damaged", keys, len(content), db.suspect, db.Damaged())
	}
}

func TestANewerFormatIsRefusedWithBothNumbers(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir, options{})
	err := db.bolt.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(metaBucket).Put(formatRow, encodeMeta(formatRow, binary.BigEndian.AppendUint32(nil, 9)))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir, nil)
	if err == nil || !strings.Contains(err.Error(), "format 9") || !strings.Contains(err.Error(), "format 1") {
		t.Fatalf("got %v", err)
	}
	if kept, _ := filepath.Glob(filepath.Join(dir, "*.damaged-*")); len(kept) > 0 {
		t.Error("a file of a newer format was set aside")
	}
}

func FuzzSnapshot(f *testing.F) {
	good := appendRecord(nil, softKind+"k", field("name", "value", 3))
	f.Add(append([]byte(snapshotMagic), good...))
	f.Add(append([]byte(snapshotMagic), good[:len(good)-2]...))
	f.Add([]byte(snapshotMagic + "\xff\xff\xff\xff"))
	f.Add([]byte{})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(dir, "soft.snap")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s := newSoftMaps()
		n, err := s.load(path, 0)
		if keys, _ := s.count(); keys > n {
			t.Errorf("%d keys of %d entries, err %v", keys, n, err)
		}
	})
}

// A member whose database is gone must not believe that nothing was ever
// stored in it, whenever it is asked.
func TestALostDatabaseIsNotANewOne(t *testing.T) {
	damaged := func(t *testing.T, dir string) {
		if err := os.WriteFile(filepath.Join(dir, "ring.db"), []byte(strings.Repeat("noise", 5000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		used bool
		do   func(*testing.T, string)
		want int
	}{
		{"a new one", false, func(*testing.T, string) {}, 0},
		{"removed", true, func(*testing.T, string) {}, lostRing},
		{"damaged", false, damaged, lostRing},
		{"set aside before a crash", false, func(t *testing.T, dir string) {
			damaged(t, dir)
			path := filepath.Join(dir, "ring.db")
			if err := os.Rename(path, path+asideSuffix+"x"); err != nil {
				t.Fatal(err)
			}
		}, lostRing},
		{"set aside, then stopped at once", false, func(t *testing.T, dir string) {
			damaged(t, dir)
			db := openDB(t, dir, options{})
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			aside, err := filepath.Glob(filepath.Join(dir, "*"+asideSuffix+"*"))
			if err != nil || len(aside) != 1 {
				t.Fatalf("%v, %v", aside, err)
			}
			if err := os.Remove(aside[0]); err != nil { // by somebody who tidies up
				t.Fatal(err)
			}
		}, lostRing},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := t.TempDir()
			c.do(t, path)
			for range 2 {
				db := openDB(t, path, options{expected: c.used})
				if st := db.State(); st.Ring != c.want || len(st.Arcs) != 0 {
					t.Errorf("state %+v, want ring %d", st, c.want)
				}
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
