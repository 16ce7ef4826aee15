package daemon

import (
	"log/slog"
	"path/filepath"
	"testing"

	"chordtorrent/client/api"
)

// TestWhatAStoppedRunReportsIsLate has a run that was told to end report that it is done:
// by then the job may be about something newer.
func TestWhatAStoppedRunReportsIsLate(t *testing.T) {
	journal, err := openJournal(filepath.Join(t.TempDir(), "jobs.jsonl"), func(entry) {})
	if err != nil {
		t.Fatal(err)
	}
	defer journal.close()
	d := &Daemon{log: slog.New(slog.DiscardHandler), journal: journal, jobs: map[string]*job{}}
	for before, after := range map[api.State]api.State{api.Queued: api.Queued, api.Cancelled: api.Cancelled, api.Paused: api.Done} {
		j := &job{saved: saved{ID: "1", State: before}, run: &run{cancel: func() {}}}
		d.jobs["1"] = j
		j.stop()
		d.complete(j, j.run)
		if j.State != after || (after == api.Done) != j.Quiet {
			t.Errorf("%s became %s, quiet %v", before, j.State, j.Quiet)
		}
	}
	j := &job{saved: saved{ID: "1", State: api.Queued}, run: &run{cancel: func() {}}}
	d.complete(j, j.run)
	if j.State != api.Done || j.Version != 1 {
		t.Errorf("one that was not stopped: %+v", j.saved)
	}
}
