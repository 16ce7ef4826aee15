package client

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
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
	if r, _, _ := s.Record(Downloaded, "v.bin", d.Path); err != nil && r.State != Interrupted {
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

func TestAnInterruptedDirectoryDropsWhatTheNewVersionLacks(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(w.dir, "src", "tree")
	write(t, filepath.Join(dir, "a/kept"), w.content(400_000))
	gone := write(t, filepath.Join(dir, "b/gone"), w.content(300_000))
	half, stopHalf := w.halfSeed(dir, "tree")
	s := newStorage(t)
	d := w.start(w.client(s), "tree", "")
	w.until("half of it", func() bool { return d.Status().BytesDone == half })
	w.stop(d)
	stopHalf()
	write(t, filepath.Join(partPath(d.Path), "b/gone"), "as if it had begun")
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "c/new"), "new")
	w.publish(w.client(newStorage(t)), PublishRequest{Path: dir})
	w.same(dir, w.download(w.client(s), "tree", "").Path)
}

func TestADirectoryBecomesAFile(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(w.dir, "src", "thing")
	write(t, filepath.Join(dir, "a"), w.content(400_000))
	write(t, filepath.Join(dir, "b"), w.content(400_000))
	half, stopHalf := w.halfSeed(dir, "thing")
	s := newStorage(t)
	d := w.start(w.client(s), "thing", "")
	w.until("half of it", func() bool { return d.Status().BytesDone == half })
	w.stop(d)
	stopHalf()
	file := w.file("other", w.content(1000))
	w.publish(w.client(newStorage(t)), PublishRequest{Path: file, Name: "thing"})
	w.same(file, w.download(w.client(s), "thing", "").Path)
}

func TestSymbolicLinksInTheWayLeadNowhere(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(w.dir, "src", "tree")
	write(t, filepath.Join(dir, "a"), w.content(400_000))
	write(t, filepath.Join(dir, "sub/b"), w.content(400_000))
	half, stopHalf := w.halfSeed(dir, "tree")
	outside := filepath.Join(w.dir, "outside")
	if err := os.Mkdir(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	s := newStorage(t)
	c := w.client(s)
	d := w.start(c, "tree", "")
	w.until("half of it", func() bool { return d.Status().BytesDone == half })
	w.stop(d)
	stopHalf()
	w.publish(w.client(newStorage(t)), PublishRequest{Path: dir})

	sub := filepath.Join(partPath(d.Path), "sub")
	if err := os.RemoveAll(sub); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, sub); err != nil {
		t.Fatal(err)
	}
	again, err := c.Download(t.Context(), DownloadRequest{Source: "tree"})
	if err == nil {
		<-again.Done()
		err = again.Err()
		w.stop(again)
	}
	if err == nil || !strings.Contains(err.Error(), "sub") {
		t.Errorf("a link inside the partial data: %v", err)
	}

	for _, at := range []string{"link", "link2.part"} {
		if err := os.Symlink(outside+"/file", filepath.Join(w.dir, at)); err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(w.dir, strings.TrimSuffix(at, ".part"))
		if _, err := c.Download(t.Context(), DownloadRequest{Source: "tree", Target: target}); err == nil || !strings.Contains(err.Error(), at) {
			t.Errorf("a link at %s: %v", at, err)
		}
	}
	if left := tree(t, outside); len(left) != 0 {
		t.Errorf("written outside: %v", left)
	}
}

func TestServingADownloadEndsWhenItsFileChanges(t *testing.T) {
	w := newWorld(t)
	p := w.publish(w.client(newStorage(t)), PublishRequest{Path: w.file("c.bin", w.content(300_000))})
	d := w.download(w.client(newStorage(t)), "c.bin", "")
	if d.ServeErr() != nil || d.Took() <= 0 {
		t.Errorf("%v after %v", d.ServeErr(), d.Took())
	}
	w.stop(p)
	write(t, d.Path, "edited")
	w.start(w.client(newStorage(t)), "c.bin", "")
	select {
	case <-d.Failed():
	case <-time.After(60 * time.Second):
		t.Fatal("still served")
	}
	if d.ServeErr() == nil {
		t.Error("without a reason")
	}
}

// Of a new version only what is new is fetched, wherever the earlier one is: at the
// target that it replaces, or elsewhere.
func TestANewVersionTakesOverWhatItShares(t *testing.T) {
	w := newWorld(t)
	content := w.content(800_000)
	path := w.file("n.bin", content)
	publisher := w.client(newStorage(t))
	p := w.publish(publisher, PublishRequest{Path: path})
	s := newStorage(t)
	c := w.client(s)
	first := w.download(c, "n.bin", "")
	w.stop(first)
	p.Stop(t.Context())

	changed := append([]byte("new in front, of the same length as it was"), content[42:]...)
	copy(changed[400_000:], "and in the middle")
	write(t, path, string(changed))
	w.publish(w.client(newStorage(t)), PublishRequest{Path: path})
	second := w.download(c, "n.bin", "")
	w.same(path, second.Path)
	if got := second.Status().Downloaded; got == 0 || got > 3*16<<10 {
		t.Errorf("fetched %d bytes, where two pieces of 16 KiB have changed", got)
	}
	w.stop(second)

	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	copy(changed[600_000:], "a third version")
	write(t, path, string(changed))
	w.publish(w.client(newStorage(t)), PublishRequest{Path: path})
	third := w.download(c, "n.bin", elsewhere)
	w.same(path, third.Path)
	if got := third.Status().Downloaded; got == 0 || got > 2*16<<10 {
		t.Errorf("fetched %d bytes, where one piece of 16 KiB has changed", got)
	}
}
