package daemon_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/client/daemon"
	"chordtorrent/client/daemontest"
	"chordtorrent/communicator"
	"chordtorrent/communicator/ringtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatOneDaemonPublishesAnotherDownloadsAndServes(t *testing.T) {
	h := daemontest.New(t)
	a, b, c := h.Daemon("a"), h.Daemon("b"), h.Daemon("c")
	path := h.File("disk.img", 3<<20)
	published := h.Publish(a, path)
	if published.Copies == 0 || published.Bytes != 3<<20 || !published.New {
		t.Errorf("published %+v", published)
	}
	j := h.Add(b, api.AddDownload{Source: "disk.img"})
	j = h.Until(b, j.ID, "the download", daemontest.IsServed)
	h.Same(path, j.Path)
	if j.InfoHash != published.InfoHash || j.Done != 3<<20 || len(j.From) != 1 || j.From[0].Bytes != 3<<20 || len(j.From[0].PeerID) != 40 {
		t.Errorf("downloaded %+v", j)
	}
	// The publisher goes; what was downloaded is served.
	h.Close(a)
	j = h.Add(c, api.AddDownload{Source: "disk.img", Target: filepath.Join(h.Dir, "elsewhere") + "/"})
	j = h.Until(c, j.ID, "the second download", daemontest.IsServed)
	h.Same(path, filepath.Join(h.Dir, "elsewhere", "disk.img"))
}

func TestARestartGoesOn(t *testing.T) {
	h := daemontest.New(t)
	a, b := h.Daemon("a"), h.Daemon("b")
	first, second := h.File("first", 1<<20), h.File("second", 1<<20)
	h.Publish(a, first)
	h.Publish(a, second)
	done := h.Add(b, api.AddDownload{Source: "first"})
	h.Until(b, done.ID, "the download", daemontest.IsServed)
	paused := h.Add(b, api.AddDownload{Source: "second", LimitDown: 1, Priority: 3})
	h.Must(b.Pause(t.Context(), paused.ID))
	h.Close(b)
	h.Close(a)

	a, b = h.Daemon("a"), h.Daemon("b")
	for _, name := range []string{"first", "second"} {
		h.Until(a, client.RecordID(client.Published, name, ""), "publications to be served again", daemontest.IsServed)
	}
	h.Until(b, done.ID, "the download to be served again", daemontest.IsServed)
	j := h.Must(b.Job(t.Context(), paused.ID))
	if j.State != api.Paused || j.Priority != 3 || j.LimitDown != 1 {
		t.Errorf("after the restart: %+v", j)
	}
	none := int64(0)
	h.Must(b.Change(t.Context(), paused.ID, api.Change{LimitDown: &none}))
	h.Must(b.Resume(t.Context(), paused.ID))
	j = h.Until(b, paused.ID, "the paused download", daemontest.IsServed)
	h.Same(second, j.Path)
}

func TestCommandsWorkIsTakenOver(t *testing.T) {
	h := daemontest.New(t)
	path := h.File("x", 1<<20)
	s, err := client.OpenStorage(filepath.Join(h.Dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	ring := communicator.New(h.Ring, netip.MustParseAddr("127.0.0.1"))
	defer ring.Close()
	c := client.New(client.Config{Storage: s, Ring: ring})
	p, err := c.Publish(t.Context(), client.PublishRequest{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Stop(t.Context()), c.Close()); err != nil {
		t.Fatal(err)
	}
	h.Until(h.Daemon("a"), client.RecordID(client.Published, "x", ""), "the command's publication to be served", daemontest.IsServed)
	j := h.Add(h.Daemon("b"), api.AddDownload{Source: "x"})
	if j.State != api.Queued && j.State != api.Running {
		t.Errorf("added %+v", j)
	}
}

func TestTheQueue(t *testing.T) {
	h := daemontest.New(t)
	a, b := h.Daemon("a"), h.Daemon("b")
	for _, name := range []string{"one", "two", "three"} {
		h.Publish(a, h.File(name, 1<<20))
	}
	if err := b.SetSettings(t.Context(), api.Settings{MaxDownloads: 1, LimitDown: 1000}); err != nil {
		t.Fatal(err)
	}
	one := h.Add(b, api.AddDownload{Source: "one"})
	h.Until(b, one.ID, "the first to run", daemontest.Is(api.Running))
	two := h.Add(b, api.AddDownload{Source: "two"})
	three := h.Add(b, api.AddDownload{Source: "three", Priority: 1})
	jobs, err := b.Jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range []string{one.ID, three.ID, two.ID} {
		if jobs[i].ID != id {
			t.Errorf("number %d in the queue is %q", i, jobs[i].Name)
		}
	}
	if j := h.Must(b.Job(t.Context(), three.ID)); j.State != api.Queued {
		t.Errorf("beside the only one that may run: %+v", j)
	}
	// Pausing the first makes room for the one of the highest priority.
	h.Must(b.Pause(t.Context(), "one"))
	h.Until(b, three.ID, "the next one to run", daemontest.Is(api.Running))
	if err := b.SetSettings(t.Context(), api.Settings{MaxDownloads: 1}); err != nil {
		t.Fatal(err)
	}
	h.Until(b, two.ID, "the last one", daemontest.IsServed)
	if err := b.SetSettings(t.Context(), api.Settings{MaxDownloads: 0}); !errors.Is(err, client.ErrUsage) {
		t.Errorf("no downloads at a time: %v", err)
	}
}

func TestCancelRetryRemove(t *testing.T) {
	h := daemontest.New(t)
	a, b := h.Daemon("a"), h.Daemon("b")
	path := h.File("x", 1<<20)
	h.Publish(a, path)
	j := h.Add(b, api.AddDownload{Source: "x", LimitDown: 1000})
	h.Until(b, j.ID, "some of it", func(j api.Job) bool { return j.Stage == "downloading" })
	if j := h.Must(b.Cancel(t.Context(), j.ID, true)); j.State != api.Cancelled || j.Done != 0 || j.RateDown != 0 || j.Peers != 0 || j.Serving {
		t.Errorf("cancelled, without its data: %+v", j)
	}
	if _, err := os.Stat(j.Path + ".part"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the partial data after a cancel that discards: %v", err)
	}
	if got := h.Must(b.Job(t.Context(), j.ID)); got.State != api.Cancelled {
		t.Errorf("cancelled: %+v", got)
	}
	if _, err := b.Resume(t.Context(), j.ID); !errors.Is(err, client.ErrUsage) {
		t.Errorf("resuming what was cancelled: %v", err)
	}
	none := int64(0)
	h.Must(b.Change(t.Context(), j.ID, api.Change{LimitDown: &none}))
	h.Must(b.Retry(t.Context(), j.ID))
	h.Until(b, j.ID, "the retried download", daemontest.IsServed)
	h.Same(path, j.Path)

	if err := b.Remove(t.Context(), "x", true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(j.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file after a removal that discards: %v", err)
	}
	_, err := b.Job(t.Context(), j.ID)
	if !errors.Is(err, daemon.ErrNoJob) || api.CodeOf(err) != api.CodeNotFound {
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
	h := daemontest.New(t)
	a, b := h.Daemon("a"), h.Daemon("b")
	_, err := b.AddDownload(t.Context(), api.AddDownload{Source: "nothing"})
	if api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("a name that is not there: %v", err)
	}
	path := h.File("x", 1<<20)
	h.Publish(a, path)
	// Something else is at the target.
	target := h.File("target", 10)
	j := h.Add(b, api.AddDownload{Source: "x", Target: target})
	j = h.Until(b, j.ID, "the failure", daemontest.Is(api.Failed))
	h.Mentions(errors.New(j.Error), target)
	if j.Hint == "" {
		t.Error("no hint")
	}
	if err := os.Remove(target); err != nil {
		t.Fatal(err)
	}
	h.Must(b.Retry(t.Context(), j.ID))
	h.Until(b, j.ID, "the retried download", daemontest.IsServed)
	h.Same(path, target)
	// The data changes under a publication.
	if err := os.WriteFile(path, []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.Close(a)
	a = h.Daemon("a")
	id := client.RecordID(client.Published, "x", "")
	j = h.Until(a, id, "the change to be noticed", daemontest.Is(api.Failed))
	h.Mentions(errors.New(j.Error), "changed")
	if j.Code != api.CodeMismatch {
		t.Errorf("a change has the code %d", j.Code)
	}
	h.Must(a.Retry(t.Context(), id)) // which publishes it as it is now
	j = h.Until(a, id, "the new version", daemontest.IsServed)
	if j.Bytes != 5 || j.Code != 0 {
		t.Errorf("published again: %+v", j)
	}
}

func TestFollowingANameMovesToItsNewVersions(t *testing.T) {
	h := daemontest.New(t)
	a, b := h.Daemon("a"), h.Daemon("b")
	// It waits for what is not there yet.
	j := h.Add(b, api.AddDownload{Source: "x", Follow: true})
	path := h.File("x", 1<<20)
	h.Publish(a, path)
	j = h.Until(b, j.ID, "the first version", daemontest.IsServed)
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
	j = h.Until(b, j.ID, "the second version", func(j api.Job) bool { return daemontest.IsServed(j) && j.InfoHash != first })
	h.Same(path, j.Path)
	if j.Fetched > 64<<10 || j.Version != 2 {
		t.Errorf("one byte has changed, and %d bytes were fetched, version %d", j.Fetched, j.Version)
	}
}

func TestASecondCopyIsMadeOfTheFirst(t *testing.T) {
	h := daemontest.New(t)
	a := h.Daemon("a")
	path := h.File("x", 1<<20)
	first := h.Publish(a, path)
	j := h.Add(a, api.AddDownload{Source: "x", Target: filepath.Join(h.Dir, "copy")})
	j = h.Until(a, j.ID, "the copy", daemontest.IsServed)
	h.Same(path, j.Path)
	if j.Fetched != 0 {
		t.Errorf("%d bytes of what is here were fetched", j.Fetched)
	}
	if first = h.Must(a.Job(t.Context(), first.ID)); first.State != api.Done || first.Serving {
		t.Errorf("the first copy: %+v", first)
	}
	// Asked for again, it is there.
	again := h.Add(a, api.AddDownload{Source: "x", Target: filepath.Join(h.Dir, "copy")})
	if again.ID != j.ID || !daemontest.IsServed(again) {
		t.Errorf("asked for again: %+v", again)
	}
	// When the second is removed, or a third fails, the one before is served again.
	if err := a.Remove(t.Context(), j.ID, true); err != nil {
		t.Fatal(err)
	}
	h.Until(a, first.ID, "the first copy to be served again", daemontest.IsServed)
	third := h.Add(a, api.AddDownload{Source: "x", Target: h.File("in the way", 10)})
	h.Until(a, third.ID, "the failure", daemontest.Is(api.Failed))
	h.Until(a, first.ID, "the first copy to be served again", daemontest.IsServed)
}

func TestAPublicationIsNotReplacedByAnotherBeforeItIsDone(t *testing.T) {
	h := daemontest.New(t)
	a := h.Daemon("a")
	first, second := h.File("first/x", 1<<20), h.File("second/x", 1000)
	answers := make(chan struct{})
	h.Ring.Intercept(func(int, any) *ringtest.Fault {
		return &ringtest.Fault{Before: func(ctx context.Context) {
			select {
			case <-answers:
			case <-ctx.Done():
			}
		}}
	})
	j := h.Must(a.AddPublication(t.Context(), api.AddPublication{Path: first}))
	_, err := a.AddPublication(t.Context(), api.AddPublication{Path: second})
	h.Mentions(err, `"x" is taken`, first)
	// The same once more is no other.
	h.Must(a.AddPublication(t.Context(), api.AddPublication{Path: first}))
	close(answers)
	j = h.Until(a, j.ID, "the first one", daemontest.IsServed)
	if j.Path != first || j.Bytes != 1<<20 {
		t.Errorf("published %+v", j)
	}
	// When it is done, the next one is a new version.
	j = h.Must(a.AddPublication(t.Context(), api.AddPublication{Path: second}))
	j = h.Until(a, j.ID, "the second one", func(j api.Job) bool { return daemontest.IsServed(j) && j.Path == second })
	if j.Bytes != 1000 {
		t.Errorf("published %+v", j)
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
	if err := api.Announce(dir, api.Address{URL: "http://127.0.0.1:1", Token: "t", PID: os.Getpid()}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.Claim(dir); !errors.Is(err, api.ErrRunning) {
		t.Errorf("a second daemon: %v", err)
	}
	if r, err := api.Find(dir); err != nil || r == nil || r.PID != os.Getpid() {
		t.Errorf("found %v, %v", r, err)
	}
	release()
	if err := os.WriteFile(filepath.Join(dir, "daemon.json"), []byte(`{"url":"http://127.0.0.1:1","pid":8}`), 0o600); err != nil { // of one that was killed
		t.Fatal(err)
	}
	if r, err := api.Find(dir); r != nil || err != nil {
		t.Errorf("after its end: found %v, %v", r, err)
	}
}
