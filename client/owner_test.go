package client

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// interrupted leaves half of a download behind.
func (w *world) interrupted(c *Client, path, name, target string) *Download {
	w.t.Helper()
	half, stopHalf := w.halfSeed(path, name)
	defer stopHalf()
	d := w.start(c, name, target)
	w.until("half of it", func() bool { return d.Status().BytesDone == half })
	w.stop(d)
	return d
}

// refused makes sure that a download says that something is in its way and
// leaves that as it is.
func (w *world) refused(c *Client, name, target string) {
	w.t.Helper()
	part := partPath(target)
	before := show(tree(w.t, part))
	d, err := c.Download(w.t.Context(), DownloadRequest{Source: name, Target: target})
	if err == nil {
		w.stop(d)
	}
	if !errors.Is(err, ErrTargetExists) {
		w.t.Errorf("%v", err)
	}
	if after := show(tree(w.t, part)); after != before {
		w.t.Errorf("%s is not what it was", part)
	}
}

func TestACompleteDownloadIsNotThePartialDataOfAnother(t *testing.T) {
	w := newWorld(t)
	s := newStorage(t)
	c := w.client(s)
	target := filepath.Join(w.dir, "a")
	w.interrupted(c, w.file("a", w.content(600_000)), "a", target)
	if err := os.Remove(target + ".part"); err != nil {
		t.Fatal(err)
	}
	other := w.file("a.part", w.content(500_000))
	w.publish(w.client(newStorage(t)), PublishRequest{Path: other})
	w.stop(w.download(c, "a.part", target+".part"))
	w.refused(c, "a", target)

	// The inode may be the one that the partial data had.
	r, _, err := s.Record(Downloaded, "a", target)
	if err != nil || r.PartInode == 0 {
		t.Fatalf("remembered %s, %v", show(r), err)
	}
	info, err := os.Lstat(target + ".part")
	if err != nil {
		t.Fatal(err)
	}
	r.PartInode = inodeOf(info)
	if err := s.saveRecord(r); err != nil {
		t.Fatal(err)
	}
	w.refused(c, "a", target)
}

// A name may be that of the partial data of another, which stays what it is.
func TestTheTargetIsThePartialDataOfAnother(t *testing.T) {
	w := newWorld(t)
	c := w.client(newStorage(t))
	target := filepath.Join(w.dir, "a")
	w.interrupted(c, w.file("a", w.content(600_000)), "a", target)
	w.publish(w.client(newStorage(t)), PublishRequest{Path: w.file("a.part", w.content(500_000))})
	d, err := c.Download(t.Context(), DownloadRequest{Source: "a.part", Target: target + ".part"})
	if err == nil {
		w.stop(d)
	}
	if !errors.Is(err, ErrTargetExists) || !strings.Contains(err.Error(), `what has come of "a"`) {
		t.Errorf("the target is partial data: %v", err)
	}
}

func TestAFileOfItsOwnerIsNotPartialData(t *testing.T) {
	w := newWorld(t)
	c := w.client(newStorage(t))
	target := filepath.Join(w.dir, "a")
	w.interrupted(c, w.file("a", w.content(600_000)), "a", target)
	// Made before the other goes, so that it has another inode.
	mine := write(t, filepath.Join(w.dir, "mine"), "my own notes")
	if err := os.Rename(mine, target+".part"); err != nil {
		t.Fatal(err)
	}
	w.refused(c, "a", target)

	tree := filepath.Join(w.dir, "src", "tree")
	write(t, filepath.Join(tree, "x"), w.content(300_000))
	write(t, filepath.Join(tree, "y"), w.content(300_000))
	target = filepath.Join(w.dir, "t")
	w.interrupted(c, tree, "tree", target)
	write(t, filepath.Join(w.dir, "own", "notes"), "my own notes")
	if err := errors.Join(os.Rename(target+".part", target+".moved"), os.Rename(filepath.Join(w.dir, "own"), target+".part")); err != nil {
		t.Fatal(err)
	}
	w.refused(c, "tree", target)
}

func TestThePartialDataOfALaterDownloadIsNotOurs(t *testing.T) {
	w := newWorld(t)
	s := newStorage(t)
	c := w.client(s)
	target := filepath.Join(w.dir, "a")
	first := w.interrupted(c, w.file("one", w.content(600_000)), "one", target)
	if err := os.Remove(target + ".part"); err != nil {
		t.Fatal(err)
	}
	w.interrupted(c, w.file("two", w.content(500_000)), "two", target)
	r, _, err := s.Record(Downloaded, "one", first.Path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(target + ".part")
	if err != nil {
		t.Fatal(err)
	}
	r.PartInode = inodeOf(info)
	if err := s.saveRecord(r); err != nil {
		t.Fatal(err)
	}
	w.refused(c, "one", target)
}

// A crash comes between making the partial data and noting its inode, or the
// file system has other inode numbers now: it is continued all the same.
func TestPartialDataWithoutAKnownInode(t *testing.T) {
	for what, prepare := range map[string]func(t *testing.T, part string){
		"as it was left": func(t *testing.T, part string) {},
		"nothing was written": func(t *testing.T, part string) {
			if err := errors.Join(os.Truncate(part, 0), os.Truncate(part, 600_000)); err != nil {
				t.Fatal(err)
			}
		},
		"no length yet": func(t *testing.T, part string) {
			if err := os.Truncate(part, 0); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			s := newStorage(t)
			c := w.client(s)
			path := w.file("a", w.content(600_000))
			target := filepath.Join(w.dir, "a")
			w.interrupted(c, path, "a", target)
			prepare(t, target+".part")
			r, _, err := s.Record(Downloaded, "a", target)
			if err != nil {
				t.Fatal(err)
			}
			r.PartInode = 0
			if err := s.saveRecord(r); err != nil {
				t.Fatal(err)
			}
			w.publish(w.client(newStorage(t)), PublishRequest{Path: path})
			w.same(path, w.download(c, "a", target).Path)
		})
	}
}
