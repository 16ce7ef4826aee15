package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
)

// TestAWatchedFileWhoseNameIsTakenComesLater has a download of its name be under way when a
// file is found.
func TestAWatchedFileWhoseNameIsTakenComesLater(t *testing.T) {
	journal, err := openJournal(filepath.Join(t.TempDir(), "jobs.jsonl"), func(entry) {})
	if err != nil {
		t.Fatal(err)
	}
	defer journal.close()
	d := bareDaemon(journal)
	d.ctx = t.Context()
	if d.cfg.Storage, err = client.OpenStorage(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	w := &watcher{d: d, dir: dir, entries: make(map[string]*watched), dirty: make(map[string]time.Time), said: make(map[string]bool)}
	settle := func() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.settle()
		}()
		for {
			select {
			case ask := <-d.asks:
				ask()
			case <-done:
				return
			}
		}
	}
	look, err := w.look("x")
	if err != nil {
		t.Fatal(err)
	}
	w.entries["x"] = &watched{seen: look}
	download := &job{saved: saved{ID: "1", Name: "x", Kind: api.Download, State: api.Queued}}
	d.enter(download)
	id := client.RecordID(client.Published, "x", "")
	w.scan()
	settle()
	if d.jobs[id] != nil || !w.said["x"] {
		t.Fatalf("while the name is taken: %+v", d.jobs[id])
	}
	d.drop(download)
	w.scan()
	settle()
	if j := d.jobs[id]; j == nil || j.State != api.Queued || !j.Watched {
		t.Errorf("afterwards: %+v", j)
	}
	w.scan()
	if len(w.dirty) != 0 {
		t.Error("what is handed over is looked at again")
	}
}
