package daemon_test

import (
	"os"
	"path/filepath"
	"testing"

	"chordtorrent/client/api"
	"chordtorrent/client/daemon"
	"chordtorrent/client/daemontest"
)

// versions is a name of which there are two versions, in a house where b follows it.
type versions struct {
	*daemontest.House
	a, b        *daemon.Daemon
	path        string // of what a publishes
	torrent     string // of the first version
	first       string // a copy of that
	job, newest string // of b; the info hash of the second version
}

// twoVersions gives b the first one, lets something happen, and publishes the second.
func twoVersions(t *testing.T, between func(v *versions)) *versions {
	h := daemontest.New(t)
	v := &versions{House: h, a: h.Daemon("a"), b: h.Daemon("b"), path: h.File("x", 1<<20)}
	h.Publish(v.a, v.path)
	v.job = h.Add(v.b, api.AddDownload{Source: "x", Follow: true}).ID
	j := h.Until(v.b, v.job, "the first version", daemontest.IsServed)
	keep := func(from, to string) string {
		t.Helper()
		b, err := os.ReadFile(from)
		if err == nil {
			to = filepath.Join(h.Dir, to)
			err = os.WriteFile(to, b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return to
	}
	v.first = keep(j.Path, "first version")
	v.torrent = keep(h.Parts(v.b).Client.Storage().TorrentPath("x"), "first.torrent")
	between(v)
	if err := os.Rename(h.File("other content", 1<<20+7), v.path); err != nil {
		t.Fatal(err)
	}
	v.newest = h.Publish(v.a, v.path).InfoHash
	return v
}

// fetchFirst has a new Storage download the first version, which b alone can give.
func (v *versions) fetchFirst(t *testing.T, storage string) {
	t.Helper()
	c := v.Daemon(storage)
	j := v.Add(c, api.AddDownload{Source: v.torrent, Target: filepath.Join(v.Dir, storage+"-x")})
	j = v.Until(c, j.ID, "the first version in "+storage, daemontest.IsServed)
	v.Same(v.first, j.Path)
	if j.Fetched != 1<<20 {
		t.Errorf("%d bytes were fetched", j.Fetched)
	}
	v.Close(c)
}

func TestAnEarlierVersionIsServedWhileTheNextIsFetched(t *testing.T) {
	v := twoVersions(t, func(v *versions) {
		if err := v.a.SetSettings(t.Context(), api.Settings{LimitUp: 1, MaxDownloads: 3}); err != nil {
			t.Fatal(err)
		}
	})
	fetching := func(j api.Job) bool {
		return j.State == api.Running && j.InfoHash == v.newest && j.Serving
	}
	v.Until(v.b, v.job, "the second version to be under way", fetching)
	v.fetchFirst(t, "c")
	// Also after a restart.
	v.Close(v.b)
	v.b = v.Daemon("b")
	v.Until(v.b, v.job, "the second version to be under way again", fetching)
	v.fetchFirst(t, "d")
	if err := v.a.SetSettings(t.Context(), api.Settings{MaxDownloads: 3}); err != nil {
		t.Fatal(err)
	}
	j := v.Until(v.b, v.job, "the second version", func(j api.Job) bool { return daemontest.IsServed(j) && j.InfoHash == v.newest })
	v.Same(v.path, j.Path)
	// From now on b serves that alone.
	v.Close(v.a)
	e := v.Daemon("e")
	j = v.Add(e, api.AddDownload{Source: "x"})
	j = v.Until(e, j.ID, "the second version from b", daemontest.IsServed)
	v.Same(v.path, j.Path)
}

func TestAnEarlierVersionIsServedWhenTheNextFails(t *testing.T) {
	var blocked string
	v := twoVersions(t, func(v *versions) {
		j := v.Must(v.b.Job(t.Context(), v.job))
		blocked = j.Path + ".part"
		if err := os.WriteFile(blocked, []byte("somebody else's"), 0o644); err != nil {
			t.Fatal(err)
		}
	})
	failed := func(j api.Job) bool { return j.State == api.Failed && j.Serving }
	v.Until(v.b, v.job, "the failure", failed)
	v.fetchFirst(t, "c")
	v.Close(v.b)
	v.b = v.Daemon("b")
	v.Until(v.b, v.job, "the first version after a restart", failed)
	v.fetchFirst(t, "d")
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	v.Must(v.b.Retry(t.Context(), v.job))
	j := v.Until(v.b, v.job, "the second version", daemontest.IsServed)
	v.Same(v.path, j.Path)
	if j.InfoHash != v.newest {
		t.Errorf("%+v", j)
	}
}

// What a person has served again meanwhile gives way all the same.
func TestAnotherCopyGivesWayWhenTheNewOneIsThere(t *testing.T) {
	h := daemontest.New(t)
	a, b := h.Daemon("a"), h.Daemon("b")
	old := h.Publish(a, h.File("a/x", 1<<20))
	if err := b.SetSettings(t.Context(), api.Settings{LimitUp: 1, MaxDownloads: 3}); err != nil {
		t.Fatal(err)
	}
	path := h.File("b/x", 1<<20+7)
	h.Publish(b, path)
	j := h.Add(a, api.AddDownload{Source: "x", Target: filepath.Join(h.Dir, "new")})
	h.Until(a, j.ID, "the download", func(j api.Job) bool { return j.Stage == "downloading" })
	if old = h.Must(a.Job(t.Context(), old.ID)); !daemontest.IsServed(old) {
		t.Errorf("while the new one is fetched: %+v", old)
	}
	h.Must(a.Pause(t.Context(), old.ID))
	h.Must(a.Resume(t.Context(), old.ID))
	h.Until(a, old.ID, "the old one again", daemontest.IsServed)
	if err := b.SetSettings(t.Context(), api.Settings{MaxDownloads: 3}); err != nil {
		t.Fatal(err)
	}
	j = h.Until(a, j.ID, "the new one", daemontest.IsServed)
	h.Same(path, j.Path)
	if old = h.Must(a.Job(t.Context(), old.ID)); old.State != api.Done || old.Serving {
		t.Errorf("afterwards: %+v", old)
	}
}
