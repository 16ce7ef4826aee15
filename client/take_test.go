package client

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"
)

func (w *world) take(c *Client, name string, src io.Reader) (*Publication, error) {
	w.t.Helper()
	p, err := c.Publish(w.t.Context(), PublishRequest{Name: name, Stream: &Stream{Reader: src, From: "standard input", Size: -1}})
	if err == nil {
		w.t.Cleanup(func() { w.stop(p) })
	}
	return p, err
}

// taken is what take has published as "image".
func (w *world) taken(c *Client, src io.Reader) *Publication {
	w.t.Helper()
	p, err := w.take(c, "image", src)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) nothingLeft(s *Storage) {
	w.t.Helper()
	if left, err := os.ReadDir(s.incomingDir()); err != nil || len(left) > 0 {
		w.t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAStreamIsPublishedFromACopy(t *testing.T) {
	w := newWorld(t)
	s := newStorage(t)
	c := w.client(s)
	first, second := w.content(300_000), w.content(400_000)
	p := w.taken(c, strings.NewReader(first))
	d := w.download(w.client(newStorage(t)), "image", filepath.Join(w.dir, "got"))
	w.same(p.Path, d.Path)
	w.stop(p)
	// A later one takes its place.
	p = w.taken(c, strings.NewReader(second))
	if got := tree(t, p.Path)["."]; got != second {
		t.Error("the copy is not what came")
	}
	w.stop(p)
	// What somebody has changed is theirs.
	write(t, p.Path, "mine")
	if _, err := w.take(c, "image", strings.NewReader(first)); !errors.Is(err, ErrTargetExists) {
		t.Errorf("got %v", err)
	}
	w.nothingLeft(s)
}

// The kernel tells of a device that is pulled out that it ends there.
func TestADeviceThatEndsEarlyIsNotPublished(t *testing.T) {
	w := newWorld(t)
	s := newStorage(t)
	c := w.client(s)
	p := w.taken(c, strings.NewReader("before"))
	w.stop(p)
	publish := func() error {
		stream, closer, err := OpenDevice(filepath.Join(w.dir, "src", "disk"), false)
		if err != nil {
			t.Fatal(err)
		}
		defer closer.Close()
		if err := os.Truncate(stream.From, 200_000); err != nil {
			t.Fatal(err)
		}
		p, err := c.Publish(t.Context(), PublishRequest{Name: "image", Stream: stream})
		if err == nil {
			w.stop(p)
		}
		return err
	}
	w.file("disk", w.content(300_000))
	if err := publish(); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "at byte 200000") {
		t.Errorf("got %v", err)
	}
	if got := tree(t, p.Path)["."]; got != "before" {
		t.Errorf("the copy has %d bytes", len(got))
	}
	if err := publish(); err != nil { // of its size by now
		t.Error(err)
	}
	w.nothingLeft(s)
}

func TestAStreamThatBreaksOffLeavesWhatWas(t *testing.T) {
	w := newWorld(t)
	s := newStorage(t)
	c := w.client(s)
	p := w.taken(c, strings.NewReader("before"))
	w.stop(p)
	broken := io.MultiReader(strings.NewReader(w.content(100_000)), iotest.ErrReader(unix.EIO))
	if _, err := w.take(c, "image", broken); !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), "read standard input at byte 100000") {
		t.Errorf("got %v", err)
	}
	if _, err := w.take(c, "image", strings.NewReader("")); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("got %v", err)
	}
	if got := tree(t, p.Path)["."]; got != "before" {
		t.Errorf("the copy is %q", got)
	}
	w.nothingLeft(s)
	rec, _, err := s.Record(Published, "image", "")
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Serve(t.Context(), rec, nil)
	if err != nil {
		t.Fatalf("what was before is not served: %v", err)
	}
	w.stop(again)
}

// A process that is killed between the steps in which a copy comes to its place leaves it
// there or not, and the next one goes on in both cases.
func TestACopyIsOursWhereverAKillCameBetween(t *testing.T) {
	w := newWorld(t)
	s := newStorage(t)
	c := w.client(s)
	dst := filepath.Join(s.FilesDir(), "image")
	for _, there := range []bool{false, true} {
		write(t, dst, "copied")
		fp, err := fingerprintOf(dst)
		if err != nil {
			t.Fatal(err)
		}
		if !there {
			_ = os.Remove(dst)
		}
		rec := Record{ID: RecordID(Published, "image", ""), Kind: Published, Name: "image", State: Interrupted, Path: dst, Copy: true, Fingerprint: "older", Incoming: fp.digest}
		if err := s.saveRecord(rec); err != nil {
			t.Fatal(err)
		}
		p, err := w.take(c, "image", strings.NewReader("anew"))
		if err != nil {
			t.Fatalf("with the copy there %v: %v", there, err)
		}
		w.stop(p)
	}
}

// The copy before may have been one of a directory.
func TestAStreamTakesThePlaceOfADirectory(t *testing.T) {
	w := newWorld(t)
	s := newStorage(t)
	c := w.client(s)
	w.file("image/sub/a", "a")
	w.file("image/b", "b")
	w.stop(w.publish(c, PublishRequest{Path: filepath.Join(w.dir, "src", "image"), Copy: true}))
	p := w.taken(c, strings.NewReader("one file"))
	if got := tree(t, p.Path)["."]; got != "one file" {
		t.Errorf("the copy is %q", got)
	}
	w.stop(p)
	w.nothingLeft(s)
	// What cannot come to its place leaves what was there.
	dst := filepath.Dir(write(t, filepath.Join(s.FilesDir(), "other", "a"), "a"))
	if err := moveInto(filepath.Join(s.incomingDir(), "none"), dst); err == nil {
		t.Error("nothing was moved")
	}
	if got := tree(t, dst)["a"]; got != "a" {
		t.Errorf("what was there is %v", tree(t, dst))
	}
	w.nothingLeft(s)
}

func TestWhatKilledProcessesLeftIsSweptAway(t *testing.T) {
	s := newStorage(t)
	left := write(t, filepath.Join(s.incomingDir(), "left"), "half")
	dir := filepath.Dir(write(t, filepath.Join(s.incomingDir(), "left.old", "a"), "an earlier copy"))
	held, err := s.incoming()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	folder, err := s.incomingFolder()
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	write(t, filepath.Join(folder.Name(), "copy"), "half")
	if _, err := OpenStorage(s.Dir()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{left, dir} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("what nobody works on is still there: %s", path)
		}
	}
	for _, path := range []string{held.Name(), filepath.Join(folder.Name(), "copy")} {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("what somebody works on is gone: %v", err)
		}
	}
}

func TestADeviceIsReadFromBeginToEnd(t *testing.T) {
	w := newWorld(t)
	s := newStorage(t)
	content := w.content(200_000)
	from, closer, err := OpenDevice(w.file("disk", content), false)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	if from.Size != 200_000 {
		t.Errorf("it has %d bytes", from.Size)
	}
	p, err := w.client(s).Publish(t.Context(), PublishRequest{Name: "image", Stream: from})
	if err != nil {
		t.Fatal(err)
	}
	if got := tree(t, p.Path)["."]; got != content {
		t.Error("the copy differs")
	}
	w.stop(p)
	from.Size = 1 << 60
	if _, err := w.client(s).Publish(t.Context(), PublishRequest{Name: "huge", Stream: from}); !errors.Is(err, ErrNoSpace) {
		t.Errorf("got %v", err)
	}
}
