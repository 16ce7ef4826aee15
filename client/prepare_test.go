package client

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// entries lists everything under a path, directories with a slash.
func entries(t *testing.T, top string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(top, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == top {
			return err
		}
		rel, err := filepath.Rel(top, p)
		if e.IsDir() {
			rel += "/"
		}
		all = append(all, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// An interrupted version has files where the next one has directories, the
// reverse, and directories that the next one lacks.
func TestNothingOfAnInterruptedVersionIsInTheWay(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(w.dir, "src", "tree")
	write(t, filepath.Join(dir, "a/deep/file"), w.content(300_000))
	write(t, filepath.Join(dir, "b"), w.content(300_001))
	write(t, filepath.Join(dir, "gone/with/all"), w.content(300_002))
	write(t, filepath.Join(dir, "kept"), w.content(300_003))
	half, stopHalf := w.halfSeed(dir, "tree")
	s := newStorage(t)
	d := w.start(w.client(s), "tree", "")
	w.until("half of it", func() bool { return d.Status().BytesDone == half })
	w.stop(d)
	stopHalf()
	part := partPath(d.Path)
	// As if pieces of all files had come, and a link had been put there.
	write(t, filepath.Join(part, "b"), "begun")
	write(t, filepath.Join(part, "gone/with/all"), "begun")
	if err := os.Symlink("/", filepath.Join(part, "link")); err != nil {
		t.Fatal(err)
	}

	for _, name := range []string{"a", "b", "gone"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "a"), w.content(200_000))
	write(t, filepath.Join(dir, "b/c/d"), w.content(100_000))
	w.publish(w.client(newStorage(t)), PublishRequest{Path: dir})
	again := w.download(w.client(s), "tree", "")
	w.same(dir, again.Path)
	if got, want := entries(t, again.Path), entries(t, dir); !slices.Equal(got, want) {
		t.Errorf("there is %q, published was %q", got, want)
	}
}

// A process that is killed after it noted the new version, before it removed
// what that lacks, leaves this behind.
func TestAChangeOfVersionThatWasCutOffIsFinished(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(w.dir, "src", "tree")
	write(t, filepath.Join(dir, "a"), w.content(300_000))
	write(t, filepath.Join(dir, "b"), w.content(300_000))
	half, stopHalf := w.halfSeed(dir, "tree")
	s := newStorage(t)
	d := w.start(w.client(s), "tree", "")
	w.until("half of it", func() bool { return d.Status().BytesDone == half })
	w.stop(d)
	stopHalf()
	part := partPath(d.Path)
	if err := os.RemoveAll(filepath.Join(part, "b")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(part, "b/of/before"), "x")
	write(t, filepath.Join(part, "gone/file"), "x")
	w.publish(w.client(newStorage(t)), PublishRequest{Path: dir})
	again := w.download(w.client(s), "tree", "")
	if got, want := entries(t, again.Path), entries(t, dir); !slices.Equal(got, want) {
		t.Errorf("there is %q, published was %q", got, want)
	}
	w.same(dir, again.Path)
}

// Somebody works on the target while its next version is downloaded.
func TestWhatChangedMeanwhileIsNotReplaced(t *testing.T) {
	for what, change := range map[string]func(t *testing.T, path string){
		"an edited file": func(t *testing.T, path string) { write(t, path, "edited by its owner") },
		"a new directory": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(path, "mine"), "edited by its owner")
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			s := newStorage(t)
			c := w.client(s)
			p, err := w.client(newStorage(t)).Publish(t.Context(), PublishRequest{Path: w.file("doc", w.content(1000))})
			if err != nil {
				t.Fatal(err)
			}
			w.stop(w.download(c, "doc", ""))
			w.stop(p)

			v2 := w.file("doc", w.content(600_000))
			half, stopHalf := w.halfSeed(v2, "doc")
			d := w.start(c, "doc", "")
			w.until("half of it", func() bool { return d.Status().BytesDone == half })
			change(t, d.Path)
			before := tree(t, d.Path)
			stopHalf()
			w.meet(d, w.publish(w.client(newStorage(t)), PublishRequest{Path: v2}))
			w.ended(d)
			h, ok := errors.AsType[*Hint](d.Err())
			if !errors.Is(d.Err(), ErrTargetExists) || !strings.Contains(d.Err().Error(), d.Path) || !ok || !strings.Contains(h.Next, partPath(d.Path)) {
				t.Fatalf("ended with %v", d.Err())
			}
			w.stop(d)
			if after := tree(t, d.Path); show(after) != show(before) {
				t.Errorf("there is %s", show(after))
			}

			// As the hint says.
			if err := os.Rename(d.Path, d.Path+".mine"); err != nil {
				t.Fatal(err)
			}
			again := w.download(c, "doc", "")
			w.same(v2, again.Path)
			if got := again.Status().Downloaded; got != 0 {
				t.Errorf("fetched %d bytes again", got)
			}
		})
	}
}

func TestWhatAppearedMeanwhileIsNotReplaced(t *testing.T) {
	w := newWorld(t)
	path := w.file("doc", w.content(600_000))
	half, stopHalf := w.halfSeed(path, "doc")
	d := w.start(w.client(newStorage(t)), "doc", "")
	w.until("half of it", func() bool { return d.Status().BytesDone == half })
	write(t, d.Path, "mine")
	stopHalf()
	w.meet(d, w.publish(w.client(newStorage(t)), PublishRequest{Path: path}))
	w.ended(d)
	h, ok := errors.AsType[*Hint](d.Err())
	if !errors.Is(d.Err(), ErrTargetExists) || !ok || !strings.Contains(h.Next, partPath(d.Path)) {
		t.Errorf("ended with %v", d.Err())
	}
	if b, err := os.ReadFile(d.Path); err != nil || string(b) != "mine" {
		t.Errorf("there is %q, %v", b, err)
	}
}
