package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/communicator"
)

func TestWhatOneDaemonPublishesAnotherDownloadsAndServes(t *testing.T) {
	h := newHouse(t)
	a, b, c := h.daemon("a"), h.daemon("b"), h.daemon("c")
	path := h.file("disk.img", 3<<20)
	published := h.publish(a, path)
	if published.Copies == 0 || published.Bytes != 3<<20 || !published.New {
		t.Errorf("published %+v", published)
	}
	j := h.add(b, api.AddDownload{Source: "disk.img"})
	j = h.until(b, j.ID, "the download", isServed)
	h.same(path, j.Path)
	if j.InfoHash != published.InfoHash || j.Done != 3<<20 {
		t.Errorf("downloaded %+v", j)
	}
	// The publisher goes; what was downloaded is served.
	h.close(a)
	j = h.add(c, api.AddDownload{Source: "disk.img", Target: filepath.Join(h.dir, "elsewhere") + "/"})
	j = h.until(c, j.ID, "the second download", isServed)
	h.same(path, filepath.Join(h.dir, "elsewhere", "disk.img"))
}

func TestARestartGoesOn(t *testing.T) {
	h := newHouse(t)
	a, b := h.daemon("a"), h.daemon("b")
	first, second := h.file("first", 1<<20), h.file("second", 1<<20)
	h.publish(a, first)
	h.publish(a, second)
	done := h.add(b, api.AddDownload{Source: "first"})
	h.until(b, done.ID, "the download", isServed)
	paused := h.add(b, api.AddDownload{Source: "second", LimitDown: 1, Priority: 3})
	h.must(b.Pause(t.Context(), paused.ID))
	h.close(b)
	h.close(a)

	a, b = h.daemon("a"), h.daemon("b")
	for _, name := range []string{"first", "second"} {
		h.until(a, client.RecordID(client.Published, name, ""), "publications to be served again", isServed)
	}
	h.until(b, done.ID, "the download to be served again", isServed)
	j := h.must(b.Job(t.Context(), paused.ID))
	if j.State != api.Paused || j.Priority != 3 || j.LimitDown != 1 {
		t.Errorf("after the restart: %+v", j)
	}
	none := int64(0)
	h.must(b.Change(t.Context(), paused.ID, api.Change{LimitDown: &none}))
	h.must(b.Resume(t.Context(), paused.ID))
	j = h.until(b, paused.ID, "the paused download", isServed)
	h.same(second, j.Path)
}

func TestCommandsWorkIsTakenOver(t *testing.T) {
	h := newHouse(t)
	path := h.file("x", 1<<20)
	s, err := client.OpenStorage(filepath.Join(h.dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	ring := communicator.New(h.ring, loopback)
	defer ring.Close()
	c := client.New(client.Config{Storage: s, Ring: ring})
	p, err := c.Publish(t.Context(), client.PublishRequest{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Stop(t.Context()), c.Close()); err != nil {
		t.Fatal(err)
	}
	h.until(h.daemon("a"), client.RecordID(client.Published, "x", ""), "the command's publication to be served", isServed)
	j := h.add(h.daemon("b"), api.AddDownload{Source: "x"})
	if j.State != api.Queued && j.State != api.Running {
		t.Errorf("added %+v", j)
	}
}

func TestTheQueue(t *testing.T) {
	h := newHouse(t)
	a, b := h.daemon("a"), h.daemon("b")
	for _, name := range []string{"one", "two", "three"} {
		h.publish(a, h.file(name, 1<<20))
	}
	if err := b.SetSettings(t.Context(), api.Settings{MaxDownloads: 1, LimitDown: 1000}); err != nil {
		t.Fatal(err)
	}
	one := h.add(b, api.AddDownload{Source: "one"})
	h.until(b, one.ID, "the first to run", is(api.Running))
	two := h.add(b, api.AddDownload{Source: "two"})
	three := h.add(b, api.AddDownload{Source: "three", Priority: 1})
	jobs, err := b.Jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range []string{one.ID, three.ID, two.ID} {
		if jobs[i].ID != id {
			t.Errorf("number %d in the queue is %q", i, jobs[i].Name)
		}
	}
	if j := h.must(b.Job(t.Context(), three.ID)); j.State != api.Queued {
		t.Errorf("beside the only one that may run: %+v", j)
	}
	// Pausing the first makes room for the one of the highest priority.
	h.must(b.Pause(t.Context(), "one"))
	h.until(b, three.ID, "the next one to run", is(api.Running))
	if err := b.SetSettings(t.Context(), api.Settings{MaxDownloads: 1}); err != nil {
		t.Fatal(err)
	}
	h.until(b, two.ID, "the last one", isServed)
	if err := b.SetSettings(t.Context(), api.Settings{MaxDownloads: 0}); !errors.Is(err, client.ErrUsage) {
		t.Errorf("no downloads at a time: %v", err)
	}
}

func TestCancelRetryRemove(t *testing.T) {
	h := newHouse(t)
	a, b := h.daemon("a"), h.daemon("b")
	path := h.file("x", 1<<20)
	h.publish(a, path)
	j := h.add(b, api.AddDownload{Source: "x", LimitDown: 1000})
	h.until(b, j.ID, "some of it", func(j api.Job) bool { return j.Stage == "downloading" })
	h.must(b.Cancel(t.Context(), j.ID, true))
	if _, err := os.Stat(j.Path + ".part"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the partial data after a cancel that discards: %v", err)
	}
	if got := h.must(b.Job(t.Context(), j.ID)); got.State != api.Cancelled {
		t.Errorf("cancelled: %+v", got)
	}
	if _, err := b.Resume(t.Context(), j.ID); !errors.Is(err, client.ErrUsage) {
		t.Errorf("resuming what was cancelled: %v", err)
	}
	none := int64(0)
	h.must(b.Change(t.Context(), j.ID, api.Change{LimitDown: &none}))
	h.must(b.Retry(t.Context(), j.ID))
	h.until(b, j.ID, "the retried download", isServed)
	h.same(path, j.Path)

	if err := b.Remove(t.Context(), "x", true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(j.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file after a removal that discards: %v", err)
	}
	_, err := b.Job(t.Context(), j.ID)
	if !errors.Is(err, ErrNoJob) || api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("after the removal: %v", err)
	}
	// What was published stays when its job is removed.
	if err := a.Remove(t.Context(), "x", true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestWhatFailsSaysWhy(t *testing.T) {
	h := newHouse(t)
	a, b := h.daemon("a"), h.daemon("b")
	_, err := b.AddDownload(t.Context(), api.AddDownload{Source: "nothing"})
	if api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("a name that is not there: %v", err)
	}
	path := h.file("x", 1<<20)
	h.publish(a, path)
	// Something else is at the target.
	target := h.file("target", 10)
	j := h.add(b, api.AddDownload{Source: "x", Target: target})
	j = h.until(b, j.ID, "the failure", is(api.Failed))
	h.mentions(errors.New(j.Error), target)
	if j.Hint == "" {
		t.Error("no hint")
	}
	if err := os.Remove(target); err != nil {
		t.Fatal(err)
	}
	h.must(b.Retry(t.Context(), j.ID))
	h.until(b, j.ID, "the retried download", isServed)
	h.same(path, target)
	// The data changes under a publication.
	if err := os.WriteFile(path, []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.close(a)
	a = h.daemon("a")
	id := client.RecordID(client.Published, "x", "")
	j = h.until(a, id, "the change to be noticed", is(api.Failed))
	h.mentions(errors.New(j.Error), "changed")
	h.must(a.Retry(t.Context(), id)) // which publishes it as it is now
	j = h.until(a, id, "the new version", isServed)
	if j.Bytes != 5 {
		t.Errorf("published again: %+v", j)
	}
}

func TestFollowingANameMovesToItsNewVersions(t *testing.T) {
	h := newHouse(t)
	a, b := h.daemon("a"), h.daemon("b")
	// It waits for what is not there yet.
	j := h.add(b, api.AddDownload{Source: "x", Follow: true})
	path := h.file("x", 1<<20)
	h.publish(a, path)
	h.must(b.Resume(t.Context(), j.ID))
	j = h.until(b, j.ID, "the first version", isServed)
	first := j.InfoHash
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)-1]++
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := a.AddPublication(t.Context(), api.AddPublication{Path: path}); err != nil {
		t.Fatal(err)
	}
	j = h.until(b, j.ID, "the second version", func(j api.Job) bool { return isServed(j) && j.InfoHash != first })
	h.same(path, j.Path)
	if j.Fetched > 64<<10 || j.Version != 2 {
		t.Errorf("one byte has changed, and %d bytes were fetched, version %d", j.Fetched, j.Version)
	}
}

func TestADaemonPerStorage(t *testing.T) {
	dir := t.TempDir()
	if _, err := client.OpenStorage(dir); err != nil {
		t.Fatal(err)
	}
	if r, err := api.Find(dir); r != nil || err != nil {
		t.Errorf("found %v, %v", r, err)
	}
	release, err := api.Claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := api.Announce(dir, api.Address{URL: "http://127.0.0.1:1", Token: "t", PID: 7}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.Claim(dir); !errors.Is(err, api.ErrRunning) {
		t.Errorf("a second daemon: %v", err)
	}
	if r, err := api.Find(dir); err != nil || r == nil || r.PID != 7 {
		t.Errorf("found %v, %v", r, err)
	}
	release()
	if r, err := api.Find(dir); r != nil || err != nil {
		t.Errorf("after its end: found %v, %v", r, err)
	}
}
