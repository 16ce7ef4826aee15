package storage

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestSymbolicLinksInTheWayAreNamedAndNotFollowed(t *testing.T) {
	src := tree(t, map[string]string{"dir/sub/file": noise(100, 1)})
	l := build(t, src)
	data := make([]byte, 100)
	_, err := openSource(t, l, src).ReadAt(data, 0)
	must(t, err)
	outside := t.TempDir()
	for _, link := range []string{"dir", "dir/sub", "dir/sub/file"} {
		for _, to := range []string{outside, "../..", ".", "dangling", filepath.Join(outside, "victim")} {
			part := t.TempDir()
			must(t, os.MkdirAll(filepath.Join(part, filepath.Dir(link)), 0o755))
			must(t, os.Symlink(to, filepath.Join(part, link)))
			c := openTarget(t, l, part)
			for _, err := range []error{c.WritePiece(0, data), c.Finish(part + ".done")} {
				if !errors.Is(err, ErrSymlink) || !strings.Contains(err.Error(), filepath.Join(part, link)) {
					t.Errorf("%s -> %s: %v", link, to, err)
				}
			}
			if _, err := Verify(context.Background(), c, 1, nil); !errors.Is(err, ErrSymlink) {
				t.Errorf("%s -> %s: verify: %v", link, to, err)
			}
		}
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Fatalf("written outside: %v", left)
	}
}

func TestASymbolicLinkInsteadOfTheTarget(t *testing.T) {
	src := tree(t, map[string]string{"dir/f": "abc", "g": "abc"})
	for _, from := range []string{"dir", "g"} {
		l := build(t, filepath.Join(src, from))
		for _, to := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
			part := filepath.Join(t.TempDir(), "part")
			must(t, os.Symlink(to, part))
			if _, err := OpenTarget(l, part); !errors.Is(err, ErrSymlink) || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v", from, err)
			}
		}
	}
}

// A link that appears after the directory was looked at cannot lead out either.
func TestALinkPlantedLaterDoesNotLeadOut(t *testing.T) {
	src := tree(t, map[string]string{"dir/a": noise(10, 1), "dir/b": noise(10, 2)})
	l := build(t, src, WithPieceLength(10))
	part, outside := t.TempDir(), t.TempDir()
	c := openTarget(t, l, part)
	must(t, c.WritePiece(0, []byte(noise(10, 1))))
	must(t, os.Rename(filepath.Join(part, "dir"), filepath.Join(part, "old")))
	must(t, os.Symlink(outside, filepath.Join(part, "dir")))
	err := c.WritePiece(1, []byte(noise(10, 2)))
	if err == nil || !strings.Contains(err.Error(), filepath.Join(part, "dir/b")) {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Fatalf("written outside: %v", left)
	}
}

func TestThingsInTheWay(t *testing.T) {
	src := tree(t, map[string]string{"dir/f": "abc"})
	l := build(t, src)
	single := build(t, filepath.Join(src, "dir/f"))
	for name, make := range map[string]func(part string) error{
		"file for a directory": func(part string) error { return os.WriteFile(filepath.Join(part, "dir"), nil, 0o644) },
		"directory for a file": func(part string) error { return os.MkdirAll(filepath.Join(part, "dir/f"), 0o755) },
		"pipe for a file": func(part string) error {
			must(t, os.Mkdir(filepath.Join(part, "dir"), 0o755))
			return syscall.Mkfifo(filepath.Join(part, "dir/f"), 0o644)
		},
	} {
		part := t.TempDir()
		must(t, make(part))
		err := openTarget(t, l, part).WritePiece(0, []byte("abc"))
		if err == nil || !strings.Contains(err.Error(), filepath.Join(part, "dir")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OpenTarget(single, t.TempDir()); err == nil {
		t.Error("a directory is the target of a file")
	}
	file := filepath.Join(t.TempDir(), "f")
	must(t, os.WriteFile(file, nil, 0o644))
	if _, err := OpenTarget(l, file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file is the target of a directory: %v", err)
	}
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 256))
	if _, err := OpenTarget(single, long); !errors.Is(err, syscall.ENAMETOOLONG) || !strings.Contains(err.Error(), long) {
		t.Errorf("over-long name: %v", err)
	}
}

func TestFinishReplacesNothing(t *testing.T) {
	src := tree(t, map[string]string{"dir/f": "abc"})
	for _, from := range []string{"dir", "dir/f"} {
		l := build(t, filepath.Join(src, from))
		for _, dir := range []bool{false, true} {
			base := t.TempDir()
			part, final := filepath.Join(base, "part"), filepath.Join(base, "final")
			c := openTarget(t, l, part)
			must(t, c.WritePiece(0, []byte("abc")))
			if dir {
				must(t, os.Mkdir(final, 0o755))
			} else {
				must(t, os.WriteFile(final, []byte("mine"), 0o644))
			}
			if err := c.Finish(final); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), final) {
				t.Fatalf("%s onto dir=%v: %v", from, dir, err)
			}
			if got, _ := os.ReadFile(final); !dir && string(got) != "mine" {
				t.Fatal("overwritten")
			}
			must(t, os.RemoveAll(final))
			must(t, c.Finish(final))
			same(t, filepath.Join(src, from), final)
		}
	}
}

func TestRenameByLinkReplacesNothing(t *testing.T) {
	base := tree(t, map[string]string{"f": "new", "d/x": "", "taken": "old"})
	at := func(s string) string { return filepath.Join(base, s) }
	for _, from := range []string{"f", "d"} {
		if err := renameByLink(at(from), at("taken")); !errors.Is(err, os.ErrExist) {
			t.Errorf("%s: %v", from, err)
		}
		must(t, renameByLink(at(from), at(from+"2")))
		if _, err := os.Lstat(at(from)); err == nil {
			t.Errorf("%s is still there", from)
		}
	}
	if err := renameByLink(at("none"), at("other")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestPiecesOfTheWrongSizeAreRefused(t *testing.T) {
	src := filepath.Join(tree(t, map[string]string{"f": noise(20_000, 1)}), "f")
	c := openTarget(t, build(t, src), filepath.Join(t.TempDir(), "part"))
	for _, x := range []struct{ i, n int }{{-1, 16384}, {2, 0}, {0, 16383}, {1, 16384}} {
		if err := c.WritePiece(x.i, make([]byte, x.n)); err == nil {
			t.Errorf("piece %d with %d bytes", x.i, x.n)
		}
	}
}

func TestZerosBecomeHoles(t *testing.T) {
	const size = 4 << 20
	want := []byte(noise(size, 1))
	clear(want[1<<20 : 3<<20])
	clear(want[10_000:12_000]) // too few to bother
	src := filepath.Join(tree(t, map[string]string{"f": string(want)}), "f")
	l := build(t, src, WithPieceLength(size))
	part := filepath.Join(t.TempDir(), "part")
	c := openTarget(t, l, part)
	must(t, c.WritePiece(0, want))
	check := func(what string) {
		t.Helper()
		got, err := os.ReadFile(part)
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Fatalf("%s: other bytes", what)
		}
		must(t, c.Sync())
		if use := diskUse(t, part); use > size*3/4 {
			t.Fatalf("%s: takes %d of %d bytes on disk", what, use, size)
		}
	}
	check("fresh")
	// Where there was something else, the zeros are punched out.
	must(t, c.WritePiece(0, []byte(noise(size, 2))))
	must(t, c.WritePiece(0, want))
	check("over something else")
}

func TestSyncOfManyAndOfEarlierFiles(t *testing.T) {
	src := sampleTree(t)
	l := build(t, src)
	part := filepath.Join(t.TempDir(), "part")
	c := openTarget(t, l, part)
	if !c.synced() {
		t.Fatal("something to sync in a new target")
	}
	copyAll(t, openSource(t, l, src), c)
	if c.synced() {
		t.Fatal("nothing to sync")
	}
	must(t, c.Sync())
	if !c.synced() {
		t.Fatal("not synced")
	}
	must(t, c.Close())
	c = openTarget(t, l, part)
	if c.synced() {
		t.Fatal("what an earlier session left counts as synced")
	}
	must(t, c.Sync())
	if !c.synced() {
		t.Fatal("not synced")
	}
}

func TestAnErrorOfTheDiskNamesTheFile(t *testing.T) {
	src := tree(t, map[string]string{"f": noise(10, 1)})
	l := build(t, src)
	c := openTarget(t, l, filepath.Join(t.TempDir(), "part"))
	// /dev/full, where every write ends as on a full disk, in place of the file.
	c.handles.open = func(int, bool) (*os.File, error) { return os.OpenFile("/dev/full", os.O_RDWR, 0) }
	err := c.WritePiece(0, []byte(noise(10, 1)))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), filepath.Join(c.Path(), "f")) {
		t.Fatal(err)
	}
}

func TestManyWritersAndReadersAtOnce(t *testing.T) {
	src := sampleTree(t)
	l := build(t, src)
	from := openSource(t, l, src)
	to := openTarget(t, l, filepath.Join(t.TempDir(), "part"))
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; i < l.NumPieces(); i += 4 {
				buf := make([]byte, l.PieceSize(i))
				if _, err := from.ReadAt(buf, int64(i)*l.PieceLength); err != nil {
					t.Error(err)
				}
				if err := to.WritePiece(i, buf); err != nil {
					t.Error(err)
				}
				spans, release, err := to.Spans(int64(i)*l.PieceLength, l.PieceSize(i))
				if err != nil {
					t.Error(err)
					continue
				}
				if readSpans(t, spans) != string(buf) {
					t.Errorf("piece %d: other bytes", i)
				}
				release()
			}
		})
	}
	wg.Wait()
	must(t, to.Finish(filepath.Join(t.TempDir(), "done")))
	same(t, src, to.Path())
}

// What is reserved takes its blocks, reads as zeros, and pieces of zeros stay as they
// are; a file that is too large for the disk is an error by name.
func TestPreallocate(t *testing.T) {
	dir := tree(t, map[string]string{"d/a": noise(100_000, 1), "d/b": string(make([]byte, 200_000)), "d/empty": ""})
	l := build(t, filepath.Join(dir, "d"))
	c, err := OpenTarget(l, filepath.Join(dir, "t.part"))
	must(t, err)
	defer c.Close()
	if err := c.Preallocate(); errors.Is(err, errors.ErrUnsupported) {
		return // on this file system there is nothing to see
	} else if err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	must(t, syscall.Stat(filepath.Join(c.Path(), "a"), &st))
	if st.Blocks*512 < 100_000 || st.Size != 100_000 {
		t.Errorf("a has %d bytes in %d blocks", st.Size, st.Blocks)
	}
	have, err := Verify(t.Context(), c, 1, nil)
	must(t, err)
	for i := range l.NumPieces() {
		zero := int64(i)*l.PieceLength >= 100_000
		if have.Get(i) != zero {
			t.Errorf("piece %d: right %v", i, have.Get(i))
		}
	}

	huge := &Layout{Name: "huge", PieceLength: 16 << 20, Total: 1 << 50, Single: true, Files: []File{{Path: "huge", Length: 1 << 50}}}
	h, err := OpenTarget(huge, filepath.Join(dir, "huge.part"))
	if err != nil {
		return // no file may be so long here
	}
	defer h.Close()
	if err := h.Preallocate(); err == nil || !strings.Contains(err.Error(), "huge.part") {
		t.Errorf("a petabyte: %v", err)
	}
}
