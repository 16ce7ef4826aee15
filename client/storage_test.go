package client

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func newStorage(t *testing.T) *Storage {
	t.Helper()
	s, err := OpenStorage(filepath.Join(t.TempDir(), "Storage"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDefaultStorageDir(t *testing.T) {
	t.Setenv("HOME", "/home/someone")
	t.Setenv("XDG_DATA_HOME", "/data")
	t.Setenv(StorageEnv, "/mine")
	for _, step := range []struct{ unset, want string }{
		{"", "/mine"},
		{StorageEnv, "/data/chordtorrent/Storage"},
		{"XDG_DATA_HOME", "/home/someone/.local/share/chordtorrent/Storage"},
	} {
		if step.unset != "" {
			t.Setenv(step.unset, "")
		}
		if got, err := DefaultStorageDir(); err != nil || got != step.want {
			t.Errorf("without %s: %q, %v, want %q", step.unset, got, err, step.want)
		}
	}
}

func TestFileNamesFitAndAreUnique(t *testing.T) {
	long := strings.Repeat("ä", 127)
	names := []string{"a", ".hidden", "with space", long, long + "x", strings.Repeat("n", 255), strings.Repeat("n", 248)}
	// The replacement of a long name is itself a possible name.
	names = append(names, strings.TrimSuffix(fileNameFor(long, ".torrent"), ".torrent"))
	seen := map[string]string{}
	for _, name := range names {
		file := fileNameFor(name, ".torrent")
		if len(file) > maxBase || !strings.HasSuffix(file, ".torrent") || strings.ContainsRune(file, '\uFFFD') {
			t.Errorf("%q is kept as %q (%d bytes)", name, file, len(file))
		}
		if other, taken := seen[file]; taken {
			t.Errorf("%q and %q share %q", name, other, file)
		}
		seen[file] = name
	}
	if got := fileNameFor("plain.iso", ".torrent"); got != "plain.iso.torrent" {
		t.Errorf("an ordinary name is kept as %q", got)
	}
}

func TestSameNameTwiceNamesThePid(t *testing.T) {
	s := newStorage(t)
	lock, err := s.lockName("x.iso", "publish", false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.lockName("x.iso", "download", false)
	busy, ok := errors.AsType[*ErrBusy](err)
	if !ok || busy.PID != os.Getpid() || busy.What != "x.iso" || busy.Doing != "publish" {
		t.Fatalf("second lock: %#v", err)
	}
	if other, err := s.lockName("y.iso", "download", false); err != nil {
		t.Error(err)
	} else {
		other.Release()
	}
	lock.Release()
	again, err := s.lockName("x.iso", "download", false)
	if err != nil {
		t.Fatal(err)
	}
	again.Release()
	left, err := os.ReadDir(filepath.Join(s.Dir(), "locks"))
	if err != nil || len(left) != 0 {
		t.Errorf("lock files left behind: %v, %v", left, err)
	}
}

func TestLocksExcludeUnderContention(t *testing.T) {
	s := newStorage(t)
	var mu sync.Mutex
	holders, rounds := 0, 0
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				lock, err := WaitLock(t.Context(), filepath.Join(s.dir, "locks", "one.lock"))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				holders++
				if holders != 1 {
					t.Errorf("%d holders at once", holders)
				}
				mu.Unlock()
				mu.Lock()
				holders--
				rounds++
				mu.Unlock()
				lock.Release()
			}
		})
	}
	wg.Wait()
	if rounds != 400 {
		t.Errorf("%d rounds", rounds)
	}
}

func TestWaitLockEndsWithItsContext(t *testing.T) {
	s := newStorage(t)
	path := filepath.Join(s.dir, "locks", "one.lock")
	lock, err := WaitLock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := WaitLock(ctx, path); err == nil {
		t.Error("taken twice")
	}
}

func TestClientIDIsAssignedOnce(t *testing.T) {
	s := newStorage(t)
	var mu sync.Mutex
	assigned := 0
	assign := func(_ context.Context, have uint64) (uint64, error) {
		if have != 0 {
			return have, nil
		}
		mu.Lock()
		defer mu.Unlock()
		assigned++
		return uint64(100 + assigned), nil
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if id, err := s.refreshClientID(t.Context(), assign); err != nil || id != 101 {
				t.Errorf("id %d, %v", id, err)
			}
		})
	}
	wg.Wait()
	if assigned != 1 {
		t.Errorf("%d ids were assigned", assigned)
	}
	if id, err := s.ClientID(); err != nil || id != 101 {
		t.Errorf("kept: %d, %v", id, err)
	}
}

func TestClientIDIsKeptWhenTheAddressIsRefused(t *testing.T) {
	s := newStorage(t)
	refused := errors.New("refused")
	id, err := s.refreshClientID(t.Context(), func(context.Context, uint64) (uint64, error) { return 7, refused })
	if id != 7 || !errors.Is(err, refused) {
		t.Errorf("%d, %v", id, err)
	}
	if id, err := s.ClientID(); err != nil || id != 7 {
		t.Errorf("kept: %d, %v", id, err)
	}
}

func TestDamagedClientIDSaysSo(t *testing.T) {
	s := newStorage(t)
	path := filepath.Join(s.Dir(), "client.json")
	if err := os.WriteFile(path, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ClientID(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
}

func TestRecords(t *testing.T) {
	s := newStorage(t)
	at := time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	two := Record{ID: RecordID(Downloaded, "x", "/t/x"), Kind: Downloaded, Name: "x", State: Done, Path: "/t/x", Started: at.Add(time.Hour)}
	one := Record{ID: RecordID(Published, "x", ""), Kind: Published, Name: "x", State: Running, Path: "/p/x", Started: at}
	for _, r := range []Record{two, one} {
		if err := s.saveRecord(r); err != nil {
			t.Fatal(err)
		}
	}
	damaged := s.recordPath(RecordID(Downloaded, "broken", "/t"))
	if err := os.WriteFile(damaged, []byte(`{"id":`), 0o644); err != nil {
		t.Fatal(err)
	}
	all, err := s.Records()
	if err != nil || len(all) != 2 || all[0] != one || all[1] != two {
		t.Errorf("records: %+v, %v", all, err)
	}
	if all, err = s.RecordsBut(func(id string) bool { return id == one.ID }); err != nil || len(all) != 1 || all[0] != two {
		t.Errorf("records but one: %+v, %v", all, err)
	}
	if r, ok, err := s.Record(Published, "x", ""); err != nil || !ok || r != one {
		t.Errorf("one record: %+v, %v, %v", r, ok, err)
	}
	if _, ok, err := s.Record(Downloaded, "x", "/elsewhere"); err != nil || ok {
		t.Errorf("another target has a record: %v, %v", ok, err)
	}
	if _, ok, err := s.Record(Downloaded, "broken", "/t"); err != nil || ok {
		t.Errorf("damaged record: %v, %v", ok, err)
	}
	if _, err := os.Stat(damaged + ".damaged"); err != nil {
		t.Errorf("damaged record not set aside: %v", err)
	}
}

func TestStorageInTheWay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStorage(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("%v", err)
	}
}

func TestReplaceFile(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	check := func(name, want string) {
		t.Helper()
		if b, err := os.ReadFile(at(name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	replaceWith := func(name, content string) {
		t.Helper()
		if err := ReplaceFile(at(name), []byte(content)); err != nil {
			t.Error(err)
		}
	}
	replaceWith("new", "1")
	check("new", "1")

	// A hard link shows whether the file was written to or replaced.
	write(t, at("old"), "before")
	if err := errors.Join(os.Chmod(at("old"), 0o640), os.Link(at("old"), at("same")), os.Symlink("old", at("link"))); err != nil {
		t.Fatal(err)
	}
	replaceWith("link", "after")
	check("old", "after")
	check("same", "before")
	if info, err := os.Lstat(at("link")); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link: %v, %v", info, err)
	}
	if info, err := os.Stat(at("old")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file: %v, %v", info, err)
	}

	if err := ReplaceFile(os.DevNull, []byte("x")); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "no/such/directory"} {
		if err := ReplaceFile(at(bad), nil); err == nil || !strings.Contains(err.Error(), at(bad)) || strings.Contains(err.Error(), ".tmp") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if left, _ := filepath.Glob(at(".tmp*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}
