package client

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"chordtorrent/communicator"
)

// alone is a client of a Storage that knows no ring, as one of another process.
func (w *world) alone(dir string) *Client {
	w.t.Helper()
	s, err := OpenStorage(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	ring := NoRing()
	w.t.Cleanup(func() { ring.Close() })
	c := New(Config{Storage: s, Ring: ring, Log: slog.New(slog.NewTextHandler(testWriter{w.t}, nil))})
	w.t.Cleanup(func() { c.Close() })
	return c
}

// fromStorage downloads from Storage alone.
func (w *world) fromStorage(c *Client, name, target string) (*Download, error) {
	d, err := c.Download(w.t.Context(), DownloadRequest{Source: name, Target: target, From: c.Storage().FromStorage()})
	if err != nil {
		return nil, err
	}
	w.complete(d)
	if st := d.Status(); st.Downloaded != 0 || len(st.Peers) != 0 {
		w.t.Errorf("%+v", st)
	}
	w.stop(d)
	return d, nil
}

// What Storage has can be had without anybody, also while only a part of a later version is
// there.
func TestFromStorageAlone(t *testing.T) {
	w := newWorld(t)
	path := w.file("disk", w.content(3_000_000))
	pub := w.publish(w.client(newStorage(t)), PublishRequest{Path: path})
	s := newStorage(t)
	here := w.alone(s.Dir())
	out := filepath.Join(w.dir, "out")
	if _, err := w.fromStorage(here, "disk", out); !errors.Is(err, communicator.ErrNotFound) {
		t.Fatalf("from an empty Storage: %v", err)
	}
	c := w.client(s)
	first := w.download(c, "disk", "")
	w.stop(first)
	if _, err := w.fromStorage(here, "disk", out); err != nil {
		t.Fatal(err)
	}
	w.same(path, out)
	w.stop(pub)

	next := w.file("next", w.content(3_000_001))
	half, stopHalf := w.halfSeed(next, "disk")
	defer stopHalf()
	d := w.start(c, "disk", "")
	w.until("half of the next version", func() bool { return d.Status().BytesDone >= half })
	held, err := here.Storage().Held("disk")
	if err != nil || held.InfoHash != first.InfoHash || held.Path != first.Path {
		t.Errorf("held while the next one comes: %+v, %v", held, err)
	}
	w.stop(d)
	again := filepath.Join(w.dir, "again")
	if _, err := w.fromStorage(here, "disk", again); err != nil {
		t.Fatal(err)
	}
	w.same(path, again)
	// What has changed is found out, and nothing is where it was to go.
	for _, p := range []string{first.Path, out, again} {
		b := []byte(w.content(3_000_000))
		b[1_500_000]++
		write(t, p, string(b))
	}
	last := filepath.Join(w.dir, "last")
	if _, err := w.fromStorage(here, "disk", last); !errors.Is(err, ErrMismatch) {
		t.Errorf("from what was changed: %v", err)
	}
	if _, err := os.Lstat(last); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is at its place: %v", err)
	}
	if all, err := here.Storage().AllHeld(); err != nil || len(all) != 1 || all[0].Name != "disk" {
		t.Errorf("held in all: %+v, %v", all, err)
	}
}
