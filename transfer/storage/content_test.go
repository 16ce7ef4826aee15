package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// sampleTree has what makes trees difficult: empty files, deep directories, odd
// names, pieces that span many files.
func sampleTree(t testing.TB) string {
	dir := tree(t, map[string]string{
		"a":                         noise(100_000, 1),
		"empty":                     "",
		"b/empty too":               "",
		"b/one byte":                "x",
		"b/ü 🎉 name with spaces":    noise(16384, 2),
		"b/c/d/e/f/g/h/i/j/deep":    noise(50_000, 3),
		"b/c/zeros":                 strings.Repeat("\x00", 200_000),
		"b-c":                       noise(7, 4),
		strings.Repeat("n", 200):    noise(3, 5),
		"z/run.sh":                  "#!/bin/sh\n",
		"only/an/empty/one/in/here": "",
	})
	for i := range 300 {
		must(t, os.WriteFile(filepath.Join(dir, "b", fmt.Sprintf("small%03d", i)), []byte(noise(i, uint64(i))), 0o644))
	}
	must(t, os.Chmod(filepath.Join(dir, "z/run.sh"), 0o755))
	return dir
}

func TestATreeArrivesAsItWas(t *testing.T) {
	src := sampleTree(t)
	l := build(t, src)
	from := openSource(t, l, src)
	base := t.TempDir()
	to := openTarget(t, l, filepath.Join(base, "parts", "x.part"))
	copyAll(t, from, to)
	final := filepath.Join(base, "done", "x")
	must(t, to.Finish(final))
	same(t, src, final)
	if to.Path() != final || to.Layout() != l {
		t.Fatal(to.Path())
	}
	// It is still readable, from the new place, and no longer writable.
	have, err := Verify(context.Background(), to, 2, nil)
	if err != nil || !have.All() {
		t.Fatal(err)
	}
	if err := to.WritePiece(0, make([]byte, l.PieceSize(0))); !errors.Is(err, fs.ErrPermission) {
		t.Fatal(err)
	}
	must(t, to.Finish(final)) // already there
	if err := to.Finish(final + "2"); err == nil {
		t.Fatal("finished twice")
	}
}

func TestSingleFilesOfEverySize(t *testing.T) {
	for _, size := range []int{0, 1, 16383, 16384, 16385, 3 * 16384, 100_000} {
		src := filepath.Join(tree(t, map[string]string{"f": noise(size, 1)}), "f")
		l := build(t, src)
		if !l.Single || l.NumPieces() != (size+16383)/16384 {
			t.Fatalf("%+v", l)
		}
		base := t.TempDir()
		to := openTarget(t, l, filepath.Join(base, "new", "f.part"))
		from := openSource(t, l, src)
		copyAll(t, from, to)
		must(t, to.Finish(filepath.Join(base, "f")))
		same(t, src, filepath.Join(base, "f"))
		for _, c := range []*Content{from, to} {
			have, err := Verify(context.Background(), c, 0, nil)
			if err != nil || !have.All() || have.Len() != l.NumPieces() {
				t.Fatalf("%d bytes: %v %v", size, have, err)
			}
		}
	}
}

func TestReadAt(t *testing.T) {
	src := tree(t, map[string]string{"a": "0123", "b": "", "c": "456789"})
	c := openSource(t, build(t, src), src)
	for _, x := range []struct {
		off, n int64
		want   string
		err    error
	}{{0, 10, "0123456789", nil}, {3, 2, "34", nil}, {4, 6, "456789", nil}, {8, 5, "89", io.EOF}, {10, 1, "", io.EOF}, {10, 0, "", nil}} {
		buf := make([]byte, x.n)
		n, err := c.ReadAt(buf, x.off)
		if string(buf[:n]) != x.want || err != x.err {
			t.Errorf("%d+%d: %q %v", x.off, x.n, buf[:n], err)
		}
	}
	if _, err := c.ReadAt(make([]byte, 1), 11); err == nil {
		t.Error("read beyond the end")
	}
	if _, err := c.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("read before the beginning")
	}
}

func readSpans(t testing.TB, spans []Span) string {
	t.Helper()
	var out []byte
	for _, s := range spans {
		b := make([]byte, s.Len)
		_, err := s.File.ReadAt(b, s.Off)
		must(t, err)
		out = append(out, b...)
	}
	return string(out)
}

func TestSpans(t *testing.T) {
	src := sampleTree(t)
	l := build(t, src)
	c := openSource(t, l, src)
	whole := make([]byte, l.Total)
	_, err := c.ReadAt(whole, 0)
	must(t, err)
	for off := int64(0); off < l.Total; off += 5000 {
		n := min(l.Total-off, 20_000)
		spans, release, err := c.Spans(off, n)
		must(t, err)
		if got := readSpans(t, spans); got != string(whole[off:off+n]) || len(spans) > maxSpans {
			t.Fatalf("%d+%d: %d spans, wrong bytes", off, n, len(spans))
		}
		release()
		release()
	}
	if _, _, err := c.Spans(l.Total-1, 2); err == nil {
		t.Fatal("spans beyond the end")
	}
	if n := len(c.handles.byFile); n > maxOpen {
		t.Fatalf("%d files are open", n)
	}
}

func TestSpansOutliveEvictionCloseAndRename(t *testing.T) {
	src := sampleTree(t)
	l := build(t, src)
	base := t.TempDir()
	c := openTarget(t, l, filepath.Join(base, "part"))
	copyAll(t, openSource(t, l, src), c)
	spans, release, err := c.Spans(0, 1000)
	must(t, err)
	want := readSpans(t, spans)
	for i := range l.Files { // pushes everything else out
		h, err := c.handles.acquire(i, true)
		must(t, err)
		c.handles.release(h)
	}
	must(t, c.Finish(filepath.Join(base, "done")))
	must(t, c.Close())
	if readSpans(t, spans) != want {
		t.Fatal("other bytes")
	}
	release()
	if _, err := spans[0].File.Stat(); err == nil {
		t.Fatal("still open after the last release")
	}
	if _, _, err := c.Spans(0, 1000); !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
}

func TestNoMoreFilesAreOpenThanAllowed(t *testing.T) {
	src := sampleTree(t)
	l := build(t, src)
	c := openSource(t, l, src)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range l.Files {
				h, err := c.handles.acquire((i*7+w*50)%len(l.Files), false)
				if err != nil {
					t.Error(err)
					return
				}
				c.handles.release(h)
			}
		})
	}
	wg.Wait()
	if n := len(c.handles.byFile); n != maxOpen || c.handles.idle.Len() != n {
		t.Fatalf("%d open, %d idle", n, c.handles.idle.Len())
	}
}

func TestAChangedSourceIsNotServed(t *testing.T) {
	for name, change := range map[string]func(p string) error{
		"appended":  func(p string) error { return os.WriteFile(p, []byte(noise(40_001, 1)), 0o644) },
		"truncated": func(p string) error { return os.Truncate(p, 10) },
		"same size": func(p string) error { return os.WriteFile(p, []byte(noise(40_000, 9)), 0o644) },
	} {
		src := tree(t, map[string]string{"a": noise(40_000, 1), "dir/b": noise(40_000, 1)})
		l := build(t, src)
		c := openSource(t, l, src)
		buf := make([]byte, 10)
		_, err := c.ReadAt(buf, 0)
		must(t, err)
		must(t, c.Check())
		must(t, change(filepath.Join(src, "a")))
		wants := func(err error) {
			t.Helper()
			if !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), filepath.Join(src, "a")) {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err = c.ReadAt(buf, 0)
		wants(err)
		_, _, err = c.Spans(39_999, 2)
		wants(err)
		wants(c.Check())
		if _, err := c.ReadAt(buf, 50_000); err != nil {
			t.Errorf("%s: the other file: %v", name, err)
		}
		if name != "same size" {
			_, err = OpenSource(l, src)
			wants(err)
		}
	}
}

func TestWhatWasHashedIsWhatIsServed(t *testing.T) {
	src := filepath.Join(tree(t, map[string]string{"f": noise(1000, 1)}), "f")
	l, _, _, err := Build(context.Background(), src, "", 1, nil)
	must(t, err)
	must(t, os.WriteFile(src, []byte(noise(1000, 2)), 0o644))
	if _, err := OpenSource(l, src); !errors.Is(err, ErrChanged) {
		t.Fatal(err)
	}
}

func TestSourcesOfTheWrongKind(t *testing.T) {
	src := tree(t, map[string]string{"dir/f": "abc", "g": "abc"})
	single, multi := build(t, filepath.Join(src, "g")), build(t, filepath.Join(src, "dir"))
	pipe := filepath.Join(src, "pipe")
	must(t, syscall.Mkfifo(pipe, 0o644))
	for _, c := range []struct {
		l    *Layout
		path string
	}{{single, filepath.Join(src, "dir")}, {multi, filepath.Join(src, "g")}, {single, pipe}, {single, filepath.Join(src, "none")}, {multi, filepath.Join(src, "none")}} {
		if _, err := OpenSource(c.l, c.path); err == nil || !strings.Contains(err.Error(), c.path) {
			t.Errorf("%s: %v", c.path, err)
		}
	}
}

// Links are made when everything is there, relative, so that the directory can be moved.
func TestLinksAreMadeAtTheEnd(t *testing.T) {
	l := &Layout{Name: "n", PieceLength: 4, Total: 4, Files: []File{{Path: "lib/x.1", Length: 4}}, Pieces: make([]byte, 20),
		Links: []Link{{"lib/x", "lib/x.1"}, {"deep/er/all", "lib"}, {"top", "lib/x.1"}}}
	base := t.TempDir()
	c := openTarget(t, l, filepath.Join(base, "part"))
	must(t, c.WritePiece(0, []byte("data")))
	must(t, os.Symlink("x.1", filepath.Join(base, "part", "lib", "x"))) // of a run that was killed
	must(t, c.Finish(filepath.Join(base, "done")))
	for _, name := range []string{"lib/x", "deep/er/all/x.1", "top"} {
		if b, err := os.ReadFile(filepath.Join(base, "done", name)); err != nil || string(b) != "data" {
			t.Errorf("%s: %q %v", name, b, err)
		}
	}
	if to, err := os.Readlink(filepath.Join(base, "done", "deep/er/all")); err != nil || to != "../../lib" {
		t.Errorf("%q %v", to, err)
	}
	c = openTarget(t, l, filepath.Join(base, "other"))
	must(t, os.WriteFile(filepath.Join(base, "other", "top"), nil, 0o644))
	if err := c.Finish(filepath.Join(base, "done too")); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "top") {
		t.Error(err)
	}
}

func TestPadding(t *testing.T) {
	// Two files, aligned to pieces of 4 by padding that is named alike.
	l := &Layout{Name: "n", PieceLength: 4, Total: 10, Files: []File{
		{Path: "a", Length: 3}, {Path: ".pad/1", Length: 1, Offset: 3, Pad: true},
		{Path: "b", Length: 3, Offset: 4}, {Path: ".pad/1", Length: 1, Offset: 7, Pad: true},
		{Path: "c", Length: 2, Offset: 8},
	}, Pieces: make([]byte, 60)}
	must(t, checkClashes(l))
	base := t.TempDir()
	c := openTarget(t, l, filepath.Join(base, "part"))
	for i, s := range []string{"abc\x00", "def\x00", "gh"} {
		must(t, c.WritePiece(i, []byte(s)))
	}
	must(t, c.Finish(filepath.Join(base, "done")))
	same(t, tree(t, map[string]string{"a": "abc", "b": "def", "c": "gh"}), filepath.Join(base, "done"))
	spans, release, err := c.Spans(1, 8)
	must(t, err)
	defer release()
	if got := readSpans(t, spans); got != "bc\x00def\x00g" {
		t.Fatalf("%q", got)
	}
	_, err = Verify(context.Background(), c, 1, nil)
	must(t, err)
	must(t, c.Check())
	if _, err := c.Fingerprint(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	if _, err := c.ReadAt(buf, 0); err != nil || !bytes.Equal(buf, []byte("abc\x00def\x00gh")) {
		t.Fatalf("%q %v", buf, err)
	}
}
