package client

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A context that has ended already stands for a Ctrl-C at the worst moment.
func TestInterruptedWhileVerifying(t *testing.T) {
	w := newWorld(t)
	path := w.file("v.bin", w.content(800_000))
	half, _ := w.halfSeed(path, "v.bin")
	s := newStorage(t)
	c := w.client(s)
	d := w.start(c, "v.bin", "")
	w.until("half of it", func() bool { return d.Status().BytesDone == half })
	w.stop(d)
	// The journal is gone: what is there has to be read.
	journals, _ := filepath.Glob(filepath.Join(s.Dir(), "journals", "*"))
	for _, j := range journals {
		os.Remove(j)
	}
	ctx, cancel := context.WithCancel(t.Context())
	verified := false
	again, err := c.Download(ctx, DownloadRequest{Source: "v.bin", OnProgress: func(stage Stage, done, total int64) {
		verified = verified || stage == Verifying
		cancel()
	}})
	cancel()
	if err == nil { // all was verified before the end was seen
		w.stop(again)
	}
	if !verified {
		t.Error("nothing was verified")
	}
	if err != nil && !errors.Is(err, ErrInterrupted) {
		t.Errorf("%v", err)
	}
	if r, _, _ := s.record(Downloaded, "v.bin", d.Path); err != nil && r.State != Interrupted {
		t.Errorf("remembered as %s", show(r))
	}
}

func TestADamagedJournalCostsAReadOnly(t *testing.T) {
	w := newWorld(t)
	path := w.file("j.bin", w.content(800_000))
	half, stopHalf := w.halfSeed(path, "j.bin")
	s := newStorage(t)
	d := w.start(w.client(s), "j.bin", "")
	w.until("half of it", func() bool { return d.Status().BytesDone == half })
	w.stop(d)
	stopHalf()
	journals, _ := filepath.Glob(filepath.Join(s.Dir(), "journals", "*.journal"))
	if len(journals) != 1 {
		t.Fatalf("journals: %v", journals)
	}
	write(t, journals[0], "this is no journal")
	w.publish(w.client(newStorage(t)), PublishRequest{Path: path})
	again := w.download(w.client(s), "j.bin", "")
	w.same(path, again.Path)
	if got := again.Status().Downloaded; got > 800_000-half {
		t.Errorf("fetched %d bytes, %d were missing", got, 800_000-half)
	}
}

func TestLingerEndsWhenNobodyFetches(t *testing.T) {
	w := newWorld(t)
	path := w.file("l.bin", w.content(200_000))
	w.publish(w.client(newStorage(t)), PublishRequest{Path: path})
	d := w.download(w.client(newStorage(t)), "l.bin", "")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.Linger(t.Context(), time.Hour)
	}()
	select {
	case <-ended:
	case <-time.After(60 * time.Second):
		t.Error("it waits for peers that are complete")
	}
}

func TestLingerServesWhoStillFetches(t *testing.T) {
	w := newWorld(t)
	path := w.file("w.bin", w.content(500_000))
	half, _ := w.halfSeed(path, "w.bin")
	slow := w.start(w.client(newStorage(t)), "w.bin", "")
	w.until("half of it", func() bool { return slow.Status().BytesDone == half })

	// A second one that has everything meets the first.
	target := write(t, filepath.Join(w.dir, "have"), w.content(500_000))
	d := w.download(w.client(newStorage(t)), "w.bin", target)
	w.until("a peer that fetches", func() bool { return d.Status().PeersWanting > 0 || slow.Status().BytesDone == 500_000 })
	d.Linger(t.Context(), time.Hour)
	w.complete(slow)
	w.same(path, slow.Path)
}
