package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chordtorrent/chord"
)

const (
	hardKind = "\x01"
	softKind = "\x81"
)

func TestWritesAreThereAfterReopening(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir, options{})
	st := chord.State{HighStamp: 77, Ring: 3, Known: []chord.Ref{{ID: chord.ID{1, 2}, Addr: "127.0.0.1:8000"}}}
	mustApply(t, db,
		merge(hardKind+"a", field("x", "1", 1), field("y", "2", 1)),
		merge(hardKind+"a", field("x", "old", 0), field("y", "3", 2)),
		merge(hardKind+"b", field("z", strings.Repeat("v", chord.MaxValueBytes), 1)),
		merge(softKind+"s", field("p", "soft", 1)),
		chord.StoreOp{Kind: chord.StoreState, State: &st},
	)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openDB(t, dir, options{})
	if got := read(t, db, hardKind+"a"); got["x"] != "1" || got["y"] != "3" || len(got) != 2 {
		t.Errorf("key a holds %v", got)
	}
	if got := read(t, db, hardKind+"b"); len(got["z"]) != chord.MaxValueBytes {
		t.Errorf("key b holds %d bytes", len(got["z"]))
	}
	if got := read(t, db, softKind+"s"); got["p"] != "soft" {
		t.Errorf("the soft key holds %v after an orderly close", got)
	}
	if got := db.State(); got.HighStamp != 77 || got.Ring != 3 || !slices.Equal(got.Known, st.Known) {
		t.Errorf("state %+v, want %+v", got, st)
	}
	if keys, bytes := db.Count(chord.Hard); keys != 2 || bytes != 2+chord.MaxValueBytes {
		t.Errorf("count %d keys, %d bytes", keys, bytes)
	}
}

func TestCountFollowsEveryKindOfWrite(t *testing.T) {
	for _, kind := range []string{hardKind, softKind} {
		db := openDB(t, t.TempDir(), options{})
		seed := rand.Uint64()
		rnd := rand.New(rand.NewPCG(seed, 1))
		t.Logf("seed %d", seed)
		model := map[chord.Key]map[string]chord.Entry{}
		for i := range 400 {
			key := chord.Key(fmt.Sprintf("%s%d", kind, rnd.IntN(8)))
			name := fmt.Sprint(rnd.IntN(5))
			f := field(name, strings.Repeat("v", rnd.IntN(50)), chord.Stamp(rnd.IntN(200)))
			if model[key] == nil {
				model[key] = map[string]chord.Entry{}
			}
			switch rnd.IntN(5) {
			case 0:
				mustApply(t, db, chord.StoreOp{Kind: chord.StoreDrop, Key: key})
				delete(model, key)
			case 1:
				mustApply(t, db, chord.StoreOp{Kind: chord.StorePurge, Key: key, Purge: []chord.Field{f}})
				if held, ok := model[key][name]; ok && held.Stamp <= f.Stamp {
					delete(model[key], name)
				}
			default:
				mustApply(t, db, merge(key, f))
				if held, ok := model[key][name]; ok {
					model[key][name] = chord.Merge(held, f.Entry)
				} else {
					model[key][name] = f.Entry
				}
			}
			if len(model[key]) == 0 {
				delete(model, key)
			}
			var wantBytes int64
			for _, m := range model {
				for _, e := range m {
					wantBytes += int64(len(e.Value))
				}
			}
			if keys, bytes := db.Count(chord.Key(kind).Class()); keys != len(model) || bytes != wantBytes {
				t.Fatalf("step %d: count %d keys %d bytes, want %d and %d", i, keys, bytes, len(model), wantBytes)
			}
		}
	}
}

func TestKeysWalksTheArcInRingOrder(t *testing.T) {
	for _, kind := range []string{hardKind, softKind} {
		db := openDB(t, t.TempDir(), options{})
		var all []chord.Key
		var ops []chord.StoreOp
		for i := range 3 * batchKeys / 2 {
			key := chord.Key(fmt.Sprintf("%s%d", kind, i))
			all = append(all, key)
			ops = append(ops, merge(key, field("f", "v", 1)))
		}
		mustApply(t, db, ops...)
		class := chord.Key(kind).Class()
		at := func(i int) chord.ID { return chord.HashKey(all[i]) }
		for _, arc := range [][2]chord.ID{
			{{}, {0x80}}, {{0x80}, {}}, {{0xc0}, {0x40}}, {{}, {}}, {{7}, {7}},
			{at(0), at(1)}, {at(1), at(0)}, {at(5), at(5)},
		} {
			var want []chord.Key
			for _, k := range all {
				if chord.InArc(arc[0], chord.HashKey(k), arc[1]) {
					want = append(want, k)
				}
			}
			slices.SortFunc(want, func(a, b chord.Key) int {
				return chord.Distance(arc[0], prev(chord.HashKey(a))).Compare(chord.Distance(arc[0], prev(chord.HashKey(b))))
			})
			got := keysOf(t, db, class, arc[0], arc[1])
			if !slices.Equal(got, want) {
				t.Errorf("class %d arc %s to %s: %d keys, want %d in ring order", class, arc[0].Short(), arc[1].Short(), len(got), len(want))
			}
		}
		first := 0
		if err := db.Keys(class, chord.ID{}, chord.ID{}, func(chord.Key) bool { first++; return first < 3 }); err != nil || first != 3 {
			t.Errorf("a walk that was stopped yielded %d keys, err %v", first, err)
		}
	}
}

// prev is id-1, so that a key whose hash is the arc's begin sorts last.
func prev(id chord.ID) chord.ID {
	one := chord.ID{}
	one[chord.IDBytes-1] = 1
	return chord.Distance(one, id)
}

func TestFieldsPageByPrefixAndAfter(t *testing.T) {
	for _, kind := range []string{hardKind, softKind} {
		key := chord.Key(kind + "k")
		db := openDB(t, t.TempDir(), options{})
		var names []string
		var fields []chord.Field
		for i := range 2*batchFields + 7 {
			names = append(names, fmt.Sprintf("%c/%04d", 'a'+rune(i%3), i))
			fields = append(fields, field(names[i], "v", 1))
		}
		names = append(names, "b")
		fields = append(fields, field("b", "v", 1))
		mustApply(t, db, merge(key, fields...))
		slices.Sort(names)
		for _, q := range []struct{ prefix, after string }{{"", ""}, {"b", ""}, {"b/", ""}, {"", "b/0100"}, {"b/", "b/0100"}, {"b/", "a"}, {"b/", "c"}, {"zz", ""}} {
			var got []string
			if err := db.Fields(key, q.prefix, q.after, func(f chord.Field) bool { got = append(got, f.Name); return true }); err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, n := range names {
				if strings.HasPrefix(n, q.prefix) && n > q.after {
					want = append(want, n)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("kind %q prefix %q after %q: got %d names, want %d", kind, q.prefix, q.after, len(got), len(want))
			}
		}
	}
}

func TestReadsMayNestInsideReads(t *testing.T) {
	db := openDB(t, t.TempDir(), options{})
	for i := range 20 {
		mustApply(t, db, merge(chord.Key(fmt.Sprint(hardKind, i)), field("f", "v", 1)))
	}
	stop, writes := make(chan struct{}), make(chan struct{})
	go func() { // makes the map grow meanwhile
		defer close(writes)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				done := make(chan struct{})
				op := merge(chord.Key(fmt.Sprint(hardKind, "w", i)), field("f", strings.Repeat("v", 200<<10), 1))
				op.Token = 1
				db.Apply([]chord.StoreOp{op}, func(uint64, error) { close(done) })
				<-done
			}
		}
	}()
	for range 30 {
		err := db.Keys(chord.Hard, chord.ID{}, chord.ID{}, func(k chord.Key) bool {
			return db.Fields(k, "", "", func(chord.Field) bool { return true }) == nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	close(stop)
	<-writes
}

// The values of a read inside another do not disturb those of the outer one.
func TestValuesAreValidDuringTheCall(t *testing.T) {
	db := openDB(t, t.TempDir(), options{})
	const fields = 3 * batchFields
	key := func(i int) chord.Key { return chord.Key(fmt.Sprint(hardKind, i)) }
	value := func(k, i int) string { return strings.Repeat(fmt.Sprint(k, i, ","), 300) }
	for k := range 2 {
		var all []chord.Field
		for i := range fields {
			all = append(all, field(fmt.Sprintf("%03d", i), value(k, i), 1))
		}
		mustApply(t, db, merge(key(k), append(all, field("empty", "", 1))...))
	}
	walk := func(k int, look func(i int, v []byte)) {
		i := 0
		err := db.Fields(key(k), "", "", func(f chord.Field) bool {
			if f.Name == "empty" {
				return len(f.Value) == 0
			}
			look(i, f.Value)
			i++
			return true
		})
		if err != nil || i != fields {
			t.Errorf("%d fields, %v", i, err)
		}
	}
	walk(0, func(i int, v []byte) {
		if i%100 == 0 {
			walk(1, func(j int, w []byte) {
				if string(w) != value(1, j) {
					t.Errorf("inner field %d is not what was written", j)
				}
			})
		}
		if string(v) != value(0, i) {
			t.Errorf("field %d is not what was written", i)
		}
	})
}

func TestOpsThatQueueDuringACommitShareTheNext(t *testing.T) {
	gate, entered := make(chan struct{}), make(chan struct{}, 100)
	db := openDB(t, t.TempDir(), options{afterCommit: func() { entered <- struct{}{}; <-gate }})
	var all sync.WaitGroup
	put := func(i int) {
		all.Add(1)
		op := merge(chord.Key(fmt.Sprint(hardKind, i)), field("f", "v", 1))
		op.Token = 1
		db.Apply([]chord.StoreOp{op}, func(_ uint64, err error) {
			if err != nil {
				t.Error(err)
			}
			all.Done()
		})
	}
	put(0)
	<-entered
	for i := range 50 {
		put(i + 1)
	}
	close(gate)
	all.Wait()
	if got := db.Commits().Commits; got != 2 {
		t.Errorf("%d commits, want 2: one op, then fifty together", got)
	}
}

func TestARepeatedMergeTouchesNoDisk(t *testing.T) {
	db := openDB(t, t.TempDir(), options{})
	op := merge(hardKind+"k", field("f", "v", 3))
	mustApply(t, db, op)
	before, err := os.Stat(db.path)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		mustApply(t, db, op, merge(hardKind+"k", field("f", "older", 2)))
	}
	after, err := os.Stat(db.path)
	if err != nil {
		t.Fatal(err)
	}
	if !before.ModTime().Equal(after.ModTime()) {
		t.Error("merging what is held already wrote to the file")
	}
}

func TestASecondOpenerIsToldWhoHoldsTheDirectory(t *testing.T) {
	dir := t.TempDir()
	openDB(t, dir, options{})
	_, err := Open(dir, nil)
	var locked *LockedError
	if !errors.Is(err, ErrLocked) || !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Fatalf("got %v, want ErrLocked with pid %d", err, os.Getpid())
	}
	for _, part := range []string{fmt.Sprint(os.Getpid()), dir, "--data-dir"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not mention %q", err, part)
		}
	}
}

func TestTheDirectoryIsFreeAfterItsHolderDied(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=TestHelperHoldsDirectory")
	child.Env = append(os.Environ(), "STORE_TEST_HOLD="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := out.Read(b); err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir, nil)
	if want := fmt.Sprintf("pid %d", child.Process.Pid); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want it to name %s", err, want)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
	openDB(t, dir, options{})
}

// TestHelperHoldsDirectory is the child of the test above.
func TestHelperHoldsDirectory(t *testing.T) {
	dir := os.Getenv("STORE_TEST_HOLD")
	if dir == "" {
		return
	}
	if _, err := LockDir(dir); err != nil {
		t.Fatal(err)
	}
	fmt.Println("held")
	select {}
}

func TestAnUnwritableDirectorySaysWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(filepath.Join(file, "dir"), nil)
	if err == nil || !strings.Contains(err.Error(), "--data-dir") {
		t.Errorf("got %v", err)
	}
}

func TestExpiredSoftEntriesAreNotLoaded(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir, options{})
	now := time.Now()
	short, long, forever := field("short", "1", 1), field("long", "2", 1), field("forever", "3", 1)
	short.Expires, long.Expires = now.Add(time.Second).UnixMilli(), now.Add(time.Hour).UnixMilli()
	mustApply(t, db, merge(softKind+"k", short, long, forever), merge(softKind+"gone", short))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openDB(t, dir, options{now: func() time.Time { return now.Add(time.Minute) }})
	if got := read(t, db, softKind+"k"); len(got) != 2 || got["long"] != "2" || got["forever"] != "3" {
		t.Errorf("loaded %v", got)
	}
	if keys, bytes := db.Count(chord.Soft); keys != 1 || bytes != 2 {
		t.Errorf("count %d keys, %d bytes", keys, bytes)
	}
}

func TestSoftKeysAreSnapshottedWhileRunning(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		db := openDB(t, dir, options{snapshotEvery: time.Minute})
		mustApply(t, db, merge(softKind+"k", field("f", "v", 1)))
		<-time.After(time.Minute + 1) // on the bubble's clock
		synctest.Wait()
		if err := db.Abandon(); err != nil {
			t.Fatal(err)
		}
	})
	db := openDB(t, dir, options{})
	if got := read(t, db, softKind+"k"); got["f"] != "v" {
		t.Errorf("after a crash the soft key holds %v", got)
	}
}

func TestAnUnchangedSnapshotIsNotWrittenAgain(t *testing.T) {
	s := newSoftMaps()
	s.apply(merge(softKind+"k", field("f", "v", 1)))
	path := filepath.Join(t.TempDir(), "soft.snap")
	for range 2 {
		if err := s.save(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := s.save(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was written though nothing had changed: %v", err)
	}
	s.apply(merge(softKind+"k", field("f", "w", 2)))
	if err := s.save(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestApplyAfterCloseIsRefused(t *testing.T) {
	db := openDB(t, t.TempDir(), options{})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []chord.Key{hardKind, softKind} {
		if err := apply(t, db, merge(kind+"k", field("f", "v", 1))); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	}
}

func TestAFullDiskRefusesWritesAndServesReads(t *testing.T) {
	dir := t.TempDir()
	db := openDB(t, dir, options{maxFileBytes: 64 << 10})
	mustApply(t, db, merge(hardKind+"small", field("f", "v", 1)))
	err := apply(t, db, merge(hardKind+"big", field("f", strings.Repeat("v", 200<<10), 1)))
	if err == nil || !strings.Contains(err.Error(), db.path) || !strings.Contains(err.Error(), "maximum size") {
		t.Fatalf("got %v, want an error that names the file and the cause", err)
	}
	if db.Trouble() == nil {
		t.Error("the store does not tell of its trouble")
	}
	mustApply(t, db, merge(hardKind+"small", field("f", "v", 1))) // held already: writes nothing
	if db.Trouble() == nil {
		t.Error("what needs no disk has ended the trouble with it")
	}
	if got := read(t, db, hardKind+"small"); got["f"] != "v" {
		t.Errorf("reads: %v", got)
	}
	if got := read(t, db, hardKind+"big"); len(got) != 0 {
		t.Error("a refused write can be read")
	}
	if keys, _ := db.Count(chord.Hard); keys != 1 {
		t.Errorf("count %d keys, want 1", keys)
	}
	// It recovers by itself as soon as there is space for what is asked.
	mustApply(t, db, merge(hardKind+"small", field("f", "w", 2)))
	if err := db.commits.troubled(time.Now()); err == nil {
		t.Error("a small write that found room has ended the trouble at once")
	}
	if err := db.commits.troubled(time.Now().Add(troubleFor)); err != nil {
		t.Errorf("a while after a write that went through: %v", err)
	}
}
