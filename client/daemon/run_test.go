package daemon

import (
	"log/slog"
	"path/filepath"
	"testing"

	"chordtorrent/client"
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

func TestWhatIsServedHasNoReasonToWait(t *testing.T) {
	d := &Daemon{}
	j := &job{saved: saved{ID: "1", State: api.Done, Reason: "no ring in reach"}, tries: 3}
	d.opened(j, &run{}, &client.Publication{Path: "/x", Pieces: 1})
	if j.Reason != "" || j.tries != 0 || j.Path != "/x" {
		t.Errorf("%+v", j)
	}
}

func TestWhatAPersonHasStoppedIsNotFollowed(t *testing.T) {
	followed := func(change func(*job)) bool {
		j := &job{saved: saved{Kind: api.Download, Name: "x", Source: "x", State: api.Done, Follow: true}}
		change(j)
		return j.mayBeOld()
	}
	for what, c := range map[string]struct {
		change func(*job)
		want   bool
	}{
		"one that is done":           {func(*job) {}, true},
		"one that is not followed":   {func(j *job) { j.Follow = false }, false},
		"one that was stopped":       {func(j *job) { j.Quiet = true }, false},
		"one that is paused":         {func(j *job) { j.State = api.Paused }, false},
		"one of a .torrent":          {func(j *job) { j.Source = "/x.torrent" }, false},
		"a publication":              {func(j *job) { j.Kind = api.Publication }, false},
		"one that tries again":       {func(j *job) { j.State = api.Queued }, true},
		"one whose turn is to come":  {func(j *job) { j.State, j.waiting = api.Queued, true }, false},
		"one that fetches":           {func(j *job) { j.State, j.Follow, j.run = api.Queued, false, &run{d: &client.Download{}} }, true},
		"one that looks at the disk": {func(j *job) { j.State, j.run = api.Queued, &run{} }, false},
	} {
		if got := followed(c.change); got != c.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}
