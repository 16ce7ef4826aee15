package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"chordtorrent/client"
	"chordtorrent/client/api"
)

// errEnded ends the watching of a job that has come to its end.
var errEnded = errors.New("it has ended")

// watchJob shows a job of the daemon until it has ended, and gives it as it is then.
// When ctx ends before, the daemon goes on with it.
func (a *app) watchJob(ctx context.Context, r *api.Remote, j api.Job) (api.Job, error) {
	var mu sync.Mutex
	asked := j
	a.startMeter(j.Name, func() sample {
		mu.Lock()
		defer mu.Unlock()
		s := sample{state: j.Stage, done: j.Done, total: j.Bytes, rate: -1, peers: j.Peers, note: j.Reason}
		if j.Stage == downloading {
			s.rate = j.RateDown
		}
		if s.state == "" {
			s.state = string(j.State)
		}
		return s
	})
	defer a.meterStop()
	err := r.Follow(ctx, func(e api.Event) error {
		switch {
		case e.Removed == j.ID:
			return fmt.Errorf("job %s was removed", j.ID)
		case e.Job == nil || e.Job.ID != j.ID:
			return nil
		case replaced(asked, *e.Job):
			return &client.Hint{Err: fmt.Errorf("%q was published, and then something else under the same name", j.Name),
				Next: "btclient show prints the versions of a name"}
		}
		mu.Lock()
		j = *e.Job
		mu.Unlock()
		if j.State.Ended() || j.State == api.Paused {
			return errEnded
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return j, &client.Hint{Err: fmt.Errorf("%w: the daemon goes on with %q", client.ErrInterrupted, j.Name),
			Next: "btclient pause " + j.ID[:8] + " stops it there, btclient downloads shows how far it is"}
	case !errors.Is(err, errEnded):
		return j, err
	}
	return j, verdict(j)
}

// replaced says whether what a person asked to be published is done, and the job is about
// a later one by now.
func replaced(asked, now api.Job) bool {
	later := now.Version - asked.Version
	return asked.Kind == api.Publication && (later > 1 || later == 1 && !now.State.Ended() && now.State != api.Paused)
}

// verdict is how a job has ended, as an error.
func verdict(j api.Job) error {
	switch j.State {
	case api.Done:
		return nil
	case api.Failed:
		return &api.Failure{Problem: api.Problem{Error: j.Error, Hint: j.Hint, Code: cmp.Or(j.Code, api.CodeFailed)}}
	case api.Paused:
		return &client.Hint{Err: fmt.Errorf("%q was paused", j.Name), Next: "btclient resume " + j.ID[:8] + " goes on with it"}
	}
	return fmt.Errorf("%q was %s", j.Name, j.State)
}

// servesOn says so to whoever asked for a time to serve, which is not the daemon's.
func (a *app) servesOn(stay staying) {
	if stay.asked() {
		fmt.Fprintln(a.console, "btclient: the daemon serves on, whatever --seed-for and --seed-until say: btclient pause ends that")
	}
}

// publishThere has the daemon publish.
func (a *app) publishThere(ctx context.Context, r *api.Remote, all []api.AddPublication) error {
	for _, add := range all {
		var j api.Job
		if err := r.Do(ctx, "POST", "/publications", add, &j); err != nil {
			return a.interruptedOr(ctx, err)
		}
		j, err := a.watchJob(ctx, r, j)
		if err != nil {
			return err
		}
		if err := a.publishedThere(ctx, r, j); err != nil {
			return err
		}
	}
	return nil
}

// publishedThere tells scripts that the daemon serves something.
func (a *app) publishedThere(ctx context.Context, r *api.Remote, j api.Job) error {
	var st api.Status
	if err := r.Do(ctx, "GET", "/status", nil, &st); err != nil { // its port is open now
		return a.interruptedOr(ctx, err)
	}
	e := publishedEvent{Event: "published", Name: j.Name, InfoHash: j.InfoHash, Bytes: j.Bytes, Pieces: j.Pieces, Copies: j.Copies,
		Path: j.Path, Port: uint16(st.Port), PeerID: st.PeerID}
	a.out.line(e.String(), e)
	if a.progressMode == progressBar {
		fmt.Fprintf(a.console, "served by %v\n", r)
	}
	return nil
}

// streamThere has the daemon publish what this command reads and sends to it.
func (a *app) streamThere(ctx context.Context, r *api.Remote, from *client.Stream, p publishing) error {
	a.servesOn(p.stay)
	var j api.Job
	add := api.AddPublication{Stream: from.From, Name: p.name, Size: max(from.Size, 0), AnySpace: p.anySpace}
	if err := r.Do(ctx, "POST", "/publications", add, &j); err != nil {
		return a.interruptedOr(ctx, err)
	}
	bringing, end := context.WithCancel(ctx)
	read := &reading{from: from.Reader}
	brought := make(chan struct{})
	go func() {
		defer close(brought)
		if err := r.Bring(bringing, j.ID, read); err != nil {
			a.log.Debug("the bytes were not all taken", "name", p.name, "err", err) // the job says why
		}
	}()
	j, err := a.watchJob(ctx, r, j)
	end()
	switch {
	case ctx.Err() != nil:
		return beginsAnew(fmt.Errorf("%w: %q was not published", client.ErrInterrupted, p.name))
	case err == nil:
		<-brought
		return a.publishedThere(ctx, r, j)
	}
	if readErr := read.failed(); readErr != nil {
		err = fmt.Errorf("reading %s: %w", from.From, readErr) // of which the daemon knows only that it ended
	}
	return err
}

// reading remembers why no more could be read, and where.
type reading struct {
	from io.Reader
	mu   sync.Mutex
	at   int64
	err  error
}

func (r *reading) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at += int64(n); err != nil && err != io.EOF && r.err == nil {
		r.err = fmt.Errorf("at byte %d: %w", r.at, err)
	}
	return n, err
}

func (r *reading) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// downloadThere has the daemon download.
func (a *app) downloadThere(ctx context.Context, r *api.Remote, req api.AddDownload, hook string) error {
	switch {
	case !r.Elsewhere():
		if err := absolute(&req); err != nil {
			return err
		}
	case req.Target != "" && !filepath.IsAbs(req.Target):
		return usageError(fmt.Errorf("the target %q is to be on the daemon's machine, and is not absolute", req.Target), "btclient download")
	}
	var j api.Job
	if err := r.Do(ctx, "POST", "/downloads", req, &j); err != nil {
		return a.interruptedOr(ctx, err)
	}
	j, err := a.watchJob(ctx, r, j)
	if err != nil {
		return err
	}
	e := downloadedEvent{Event: "downloaded", Name: j.Name, Path: j.Path, InfoHash: j.InfoHash, Bytes: j.Bytes}
	a.out.line(e.String(), e)
	if a.out.json {
		var whole api.Job // with its sources
		if err := r.Do(ctx, "GET", api.JobPath(j.ID), nil, &whole); err != nil {
			return a.interruptedOr(ctx, err)
		}
		from := whole.From
		if from == nil {
			from = []api.From{}
		}
		a.out.object(doneEvent{Event: "done", Name: j.Name, Path: j.Path, InfoHash: j.InfoHash, Bytes: j.Bytes,
			Seconds: j.Finished.Sub(j.Added.Time).Seconds(), Fetched: j.Fetched, From: from})
	}
	if hook == "" {
		return nil
	}
	return client.RunHook(ctx, hook, client.Completed{Name: j.Name, Path: j.Path, InfoHash: j.InfoHash}, a.console)
}

// absolute has the paths of a request mean the same to a daemon of this machine, which
// stands in another directory.
func absolute(req *api.AddDownload) error {
	if req.Target != "" && req.Target != "-" {
		abs, err := filepath.Abs(req.Target)
		if err != nil {
			return err
		}
		if strings.HasSuffix(req.Target, "/") {
			abs += "/"
		}
		req.Target = abs
	}
	if strings.ContainsRune(req.Source, '/') || strings.HasSuffix(strings.ToLower(req.Source), ".torrent") {
		if abs, err := filepath.Abs(req.Source); err == nil && isFile(abs) {
			req.Source = abs
		}
	}
	return nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
