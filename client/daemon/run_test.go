package daemon

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/transfer"
)

// TestWhatAStoppedRunReportsIsLate has a run that was told to end report that it is done:
// by then the job may be about something newer.
func TestWhatAStoppedRunReportsIsLate(t *testing.T) {
	journal, err := openJournal(filepath.Join(t.TempDir(), "jobs.jsonl"), func(entry) {})
	if err != nil {
		t.Fatal(err)
	}
	defer journal.close()
	for before, after := range map[api.State]api.State{api.Queued: api.Queued, api.Cancelled: api.Cancelled, api.Paused: api.Done} {
		d := bareDaemon(journal)
		j := &job{saved: saved{ID: "1", State: before}, run: &run{cancel: func() {}, ended: make(chan struct{}), slot: fetching}}
		d.enter(j)
		d.stop(j)
		got := &fakeServed{stopped: make(chan struct{})}
		d.ended(j, j.run, got, nil)
		if j.State != after || (after == api.Done) != j.Quiet || j.served != nil {
			t.Errorf("%s became %s, quiet %v, serving %v", before, j.State, j.Quiet, j.serving())
		}
		<-got.stopped
		(<-d.asks)() // which is told so
		if j.busy() != nil || d.running != 0 {
			t.Errorf("%s: something is left of it", before)
		}
	}
	d := bareDaemon(journal)
	j := &job{saved: saved{ID: "1", State: api.Queued}, run: &run{cancel: func() {}, ended: make(chan struct{}), slot: fetching}}
	d.enter(j)
	got := &fakeServed{stopped: make(chan struct{})}
	d.ended(j, j.run, got, nil)
	if j.State != api.Done || j.Version != 1 || j.served != served(got) {
		t.Errorf("one that was not stopped: %+v", j.saved)
	}
}

// bareDaemon is one whose loop is the test, with one run under way.
func bareDaemon(journal *journal) *Daemon {
	d := &Daemon{log: slog.New(slog.DiscardHandler), journal: journal, jobs: map[string]*job{}, named: map[string]*job{},
		asks: make(chan func(), 1), running: 1}
	d.queues.taken[fetching] = 1
	return d
}

// fakeServed is something that is served, and failed for a reason.
type fakeServed struct {
	stopped chan struct{}
	failed  func()
	err     error
}

func (f *fakeServed) Status() transfer.Status    { return transfer.Status{} }
func (f *fakeServed) SetLimits(int64, int64)     {}
func (f *fakeServed) AfterFailed(then func())    { f.failed = then }
func (f *fakeServed) ServeErr() error            { return f.err }
func (f *fakeServed) Stop(context.Context) error { close(f.stopped); return nil }

func TestWhatIsServedHasNoReasonToWait(t *testing.T) {
	d := bareDaemon(nil)
	j := &job{saved: saved{ID: "1", State: api.Done, Reason: "no ring in reach"}, tries: 3}
	d.arrived(j, &run{slot: opening}, &fakeServed{})
	if j.Reason != "" || j.tries != 0 || !j.serving() {
		t.Errorf("%+v", j)
	}
}

func TestJobsOfOneNameAreFoundByIt(t *testing.T) {
	d := bareDaemon(nil)
	of := func(name string) (ids string) {
		for j := d.named[name]; j != nil; j = j.namesake {
			ids += j.ID
		}
		return ids
	}
	a, b := &job{saved: saved{ID: "a", Name: "x"}}, &job{saved: saved{ID: "b", Name: "x"}}
	d.enter(a)
	d.enter(b)
	d.enter(&job{saved: saved{ID: "c", Name: "y"}})
	d.enter(&job{saved: saved{ID: "a", Name: "x"}})
	if got := of("x"); got != "ab" {
		t.Errorf("x: %s", got)
	}
	d.drop(b)
	if got := of("x"); got != "a" || d.jobs["a"] == a {
		t.Errorf("x: %s", got)
	}
	d.drop(d.jobs["a"])
	d.drop(d.jobs["a"])
	if len(d.named) != 1 || of("y") != "c" {
		t.Errorf("%v", d.named)
	}
}

// TestAJobIsFoundByWhatItTurnedOutToBeAbout has a job of a .torrent with trackers begin when
// the ring that knew it is gone.
func TestAJobIsFoundByWhatItTurnedOutToBeAbout(t *testing.T) {
	journal, err := openJournal(filepath.Join(t.TempDir(), "jobs.jsonl"), func(entry) {})
	if err != nil {
		t.Fatal(err)
	}
	defer journal.close()
	d := bareDaemon(journal)
	namesake := &job{saved: saved{ID: "1", Name: "x", State: api.Done}, served: &fakeServed{}}
	j := &job{saved: saved{ID: "2", Name: "x", State: api.Queued}}
	d.enter(namesake)
	d.enter(j)
	if err := d.makeWay(j.saved); err != nil || namesake.GaveWay != "2" {
		t.Fatalf("%+v, %v", namesake.saved, err)
	}
	infoHash := [20]byte{1}
	d.identify(j, infoHash, true)
	if namesake.GaveWay != "" || d.named["x"] != namesake || namesake.namesake != nil {
		t.Errorf("what only bears the name: %+v", namesake.saved)
	}
	if found := d.named[client.Subject("x", hexOf(infoHash[:]), true)]; found != j || d.jobs["2"] != j {
		t.Errorf("by its info hash there is %+v", found)
	}
	other := saved{ID: "3", Name: "y", InfoHash: hexOf(infoHash[:]), Foreign: true}
	if err := d.makeWay(other); err == nil {
		t.Error("two jobs fetch one torrent")
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

// TestWhatIsAskedForDuringARemovalComesAfterIt has a download be asked for anew while the one
// before is being removed.
func TestWhatIsAskedForDuringARemovalComesAfterIt(t *testing.T) {
	journal, err := openJournal(filepath.Join(t.TempDir(), "jobs.jsonl"), func(entry) {})
	if err != nil {
		t.Fatal(err)
	}
	defer journal.close()
	s, err := client.OpenStorage(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d := bareDaemon(journal)
	d.cfg.Storage = s
	again := saved{ID: "12345678", Kind: api.Download, Name: "x", Path: "/x", State: api.Queued}
	old := again
	old.State, old.Version = api.Done, 3
	d.enter(&job{saved: old})
	removed, added := make(chan error, 1), make(chan error, 1)
	go func() { removed <- d.Remove(t.Context(), again.ID, false) }()
	(<-d.asks)() // it has begun
	go func() {
		_, err := d.add(t.Context(), again, nil)
		added <- err
	}()
	for range 2 { // one of each, and the removal has one more
		(<-d.asks)()
	}
	for done := 0; done < 2; {
		select {
		case ask := <-d.asks:
			ask()
		case err := <-removed:
			if err != nil {
				t.Fatal(err)
			}
			removed = nil
			done++
		case err := <-added:
			if err != nil {
				t.Fatal(err)
			}
			added = nil
			done++
		}
	}
	if j := d.jobs[again.ID]; j == nil || j.State != api.Queued || j.Version != 0 || !j.waiting {
		t.Errorf("what was asked for: %+v", j)
	}
}

func TestAJobIsMeantByItsNameIfItIsTheOnlyOneThatCanBe(t *testing.T) {
	d := bareDaemon(nil)
	for id, state := range map[string]api.State{"queued": api.Queued, "paused": api.Paused, "failed": api.Failed, "gone": api.Cancelled} {
		d.enter(&job{saved: saved{ID: id, Name: "x", State: state}})
	}
	d.enter(&job{saved: saved{ID: "quiet", Name: "x", State: api.Done, Quiet: true}})
	d.enter(&job{saved: saved{ID: "alone", Name: "y", State: api.Done}})
	meant := func(name string, fits func(*job) bool) string {
		j, err := d.find(name, fits)
		if err != nil {
			return err.Error()
		}
		return j.ID
	}
	several := client.ErrUsage.Error() + `: "x" is the beginning or the name of several jobs`
	for _, c := range []struct {
		fits      func(*job) bool
		want      string
		want2     string // without the first one
		whichever string
	}{
		{(*job).wanted, "queued", several, "queued"},
		{(*job).halted, several, "quiet", "paused"},
		{(*job).gaveUp, several, "gone", "failed"},
		{(*job).cancellable, several, several, "queued"},
		{nil, several, several, "queued"},
	} {
		if got := meant("x", c.fits); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
		j := d.jobs[c.whichever]
		d.drop(j)
		if got := meant("x", c.fits); got != c.want2 {
			t.Errorf("without %s: %s, want %s", c.whichever, got, c.want2)
		}
		d.enter(j)
	}
	// An only one is meant, whatever it can do.
	if got := meant("y", (*job).gaveUp); got != "alone" {
		t.Error(got)
	}
}

func TestANameIsSpokenForByWhatIsDone(t *testing.T) {
	now := time.Now()
	of := func(s api.State, ago time.Duration) api.Job {
		return api.Job{State: s, Finished: api.Time{Time: now.Add(-ago)}}
	}
	for _, c := range []struct {
		a, b api.Job
		want bool
	}{
		{of(api.Done, time.Hour), of(api.Failed, 0), true},
		{of(api.Cancelled, 0), of(api.Done, time.Hour), false},
		{of(api.Done, 0), of(api.Done, time.Hour), true},
		{of(api.Running, 0), of(api.Done, 0), true},
		{of(api.Done, 0), of(api.Paused, 0), false},
	} {
		if got := saysMore(c.a, c.b); got != c.want {
			t.Errorf("%s before %s: %v", c.a.State, c.b.State, got)
		}
	}
}
