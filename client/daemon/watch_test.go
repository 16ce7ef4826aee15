package daemon_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/client/daemon"
	"chordtorrent/client/daemontest"
	"chordtorrent/communicator"
)

func published(name string) string { return client.RecordID(client.Published, name, "") }

func mkdir(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWatchingAFolder(t *testing.T) {
	h := daemontest.New(t)
	a, b := h.Daemon("a"), h.Daemon("b")
	dir := mkdir(t, filepath.Join(h.Dir, "in"))
	h.File("in/before", 1000)
	if err := a.Watch(dir); err != nil {
		t.Fatal(err)
	}
	// What is there, what comes, and a folder as one name.
	h.Until(a, published("before"), "what was there", daemontest.IsServed)
	path := h.File("in/after", 2000)
	h.File("in/folder/one", 1000)
	h.File("in/folder/sub/two", 1000)
	h.Until(a, published("after"), "what came", daemontest.IsServed)
	h.Until(a, published("folder"), "the folder", func(j api.Job) bool { return daemontest.IsServed(j) && j.Bytes == 2000 })
	j := h.Add(b, api.AddDownload{Source: "after"})
	h.Until(b, j.ID, "the download", daemontest.IsServed)

	// What changes is a new version.
	if err := os.WriteFile(path, []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	h.Until(a, published("after"), "the change", func(j api.Job) bool { return daemontest.IsServed(j) && j.Bytes == 5 })
	h.File("in/folder/sub/three", 1)
	h.Until(a, published("folder"), "the change below", func(j api.Job) bool { return daemontest.IsServed(j) && j.Bytes == 2001 })

	// What goes is unpublished; what is left alone stays.
	if err := os.RemoveAll(filepath.Join(dir, "folder")); err != nil {
		t.Fatal(err)
	}
	h.Gone(a, published("folder"))
	ring := h.Parts(a).Ring
	if _, err := ring.Versions(t.Context(), "folder"); !errors.Is(err, communicator.ErrNotFound) {
		t.Errorf("a removed folder: %v", err)
	}
	if v, err := ring.Versions(t.Context(), "after"); err != nil || len(v) != 2 {
		t.Errorf("a changed file: %v, %v", v, err)
	}

	// While the daemon is off, too.
	h.Close(a)
	if err := os.Remove(filepath.Join(dir, "before")); err != nil {
		t.Fatal(err)
	}
	h.File("in/late", 10)
	a = h.Daemon("a")
	if err := a.Watch(dir); err != nil {
		t.Fatal(err)
	}
	h.Until(a, published("late"), "what came while it was off", daemontest.IsServed)
	h.Gone(a, published("before"))
	h.Until(a, published("after"), "what stayed", daemontest.IsServed)
}

func TestWhatIsBeingWrittenWaits(t *testing.T) {
	h := daemontest.New(t)
	a := h.Daemon("a")
	dir := mkdir(t, filepath.Join(h.Dir, "in"))
	f, err := os.Create(filepath.Join(dir, "open"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("half"); err != nil {
		t.Fatal(err)
	}
	link := func(name string) {
		t.Helper()
		if err := os.Symlink(h.File("outside", 10), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("link before")
	if err := a.Watch(dir); err != nil {
		t.Fatal(err)
	}
	// Hidden and partial files and links never come, the open one not yet: when what is made
	// after them is there, they have been looked at.
	link("link")
	for _, name := range []string{".hidden", "x.part", "x~", "closed"} {
		h.File("in/"+name, 10)
	}
	h.Until(a, published("closed"), "the closed file", daemontest.IsServed)
	for _, name := range []string{".hidden", "x.part", "x~", "link before", "link", "open"} {
		if _, err := a.Job(t.Context(), published(name)); !errors.Is(err, daemon.ErrNoJob) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := f.WriteString(" and whole"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	h.Until(a, published("open"), "the file that was open", func(j api.Job) bool { return daemontest.IsServed(j) && j.Bytes == 14 })
}

func TestWhatAPersonDidIsLeftAlone(t *testing.T) {
	h := daemontest.New(t)
	a := h.Daemon("a")
	dir := mkdir(t, filepath.Join(h.Dir, "in"))
	h.File("in/out", 1000)
	if err := a.Watch(dir); err != nil {
		t.Fatal(err)
	}
	path := h.File("in/moved", 1000)
	again := h.File("in/again", 1000)
	for _, name := range []string{"out", "moved", "again"} {
		h.Until(a, published(name), "the publication", daemontest.IsServed)
	}
	// What somebody has published from elsewhere is not the folder's any more; what was
	// published from it by hand is.
	elsewhere := h.File("elsewhere/moved", 2000)
	h.Publish(a, again)
	h.Must(a.AddPublication(t.Context(), api.AddPublication{Path: elsewhere}))
	h.Until(a, published("moved"), "the one from elsewhere", func(j api.Job) bool { return daemontest.IsServed(j) && j.Path == elsewhere })
	if err := errors.Join(os.Remove(path), os.Remove(again)); err != nil {
		t.Fatal(err)
	}
	h.Gone(a, published("again"))
	h.File("in/later", 10)
	h.Until(a, published("later"), "what came afterwards", daemontest.IsServed)
	if j := h.Must(a.Job(t.Context(), published("moved"))); !daemontest.IsServed(j) || j.Bytes != 2000 {
		t.Errorf("what was published from elsewhere: %+v", j)
	}

	// What was taken out stays out until it changes, also over a restart.
	if err := a.Unpublish(t.Context(), "out"); err != nil {
		t.Fatal(err)
	}
	h.Close(a)
	a = h.Daemon("a")
	h.File("in/last", 10)
	if err := a.Watch(dir); err != nil {
		t.Fatal(err)
	}
	h.Until(a, published("last"), "what came afterwards", daemontest.IsServed)
	if j := h.Must(a.Job(t.Context(), published("out"))); j.State != api.Cancelled {
		t.Errorf("what was taken out: %+v", j)
	}
	h.File("in/out", 3000)
	h.Until(a, published("out"), "the change", func(j api.Job) bool { return daemontest.IsServed(j) && j.Bytes == 3000 })
}

func TestManyFilesAtOnce(t *testing.T) {
	h := daemontest.New(t)
	a := h.Daemon("a")
	dir := mkdir(t, filepath.Join(h.Dir, "in"))
	if err := a.Watch(dir); err != nil {
		t.Fatal(err)
	}
	const n = 200
	for i := range n {
		h.File(fmt.Sprintf("in/%03d", i), 100+i)
	}
	for i := range n {
		h.Until(a, published(fmt.Sprintf("%03d", i)), "the publication", daemontest.IsServed)
	}
	if err := a.Watch(filepath.Join(dir, "000")); !errors.Is(err, client.ErrUsage) {
		t.Errorf("watching a file: %v", err)
	}
}
