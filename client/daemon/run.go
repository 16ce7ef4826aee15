package daemon

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/communicator"
)

const (
	// firstPause and maxPause bound the waits between tries of what failed in passing.
	firstPause = time.Second
	maxPause   = 30 * time.Second
	// farewell is how long saying goodbye to the ring may take when a job stops.
	farewell = 3 * time.Second
)

// carry brings a job as far as it goes, until ctx ends: to where it is served. s is the
// job as it was when the run began.
func (d *Daemon) carry(ctx context.Context, j *job, r *run, s saved) {
	defer r.cancel()
	var got served
	var err error
	switch {
	case r.slot == opening:
		got, err = d.open(ctx, r, s)
	case s.Kind == api.Download:
		got, err = d.fetch(ctx, j, r, s)
	default:
		got, err = d.publish(ctx, r, s)
	}
	d.post(func() { d.ended(j, r, got, err) })
}

// fetch downloads. An earlier version is served until that is done.
func (d *Daemon) fetch(ctx context.Context, j *job, r *run, s saved) (served, error) {
	req := client.DownloadRequest{Source: s.Source, Path: s.Path, Preallocate: s.Reserve, AnySpace: s.AnySpace, OnProgress: r.onProgress,
		Replacing: func(subject string) { d.replacing(s.ID, subject) }}
	if s.Foreign {
		req.Name = s.Name
	}
	dl, err := d.c.Download(ctx, req)
	if err != nil {
		return nil, err
	}
	d.post(func() {
		if r.stopped {
			return
		}
		r.d = dl
		j.limit()
		d.identify(j, dl.InfoHash, dl.Foreign)
		j.Bytes, j.Pieces = dl.Bytes, dl.Pieces
		j.Reason, j.tries = "", 0
		d.log.Info("downloading", "name", j.Name, "info_hash", j.InfoHash, "path", j.Path)
		d.save(j)
	})
	select {
	case <-dl.Done():
	case <-ctx.Done():
	}
	got := dl.Status().BytesDone
	d.post(func() { j.Got = got })
	select {
	case <-dl.Done():
		err = dl.Err()
	default:
		err = client.ErrInterrupted
	}
	if err != nil {
		d.leave(dl, s.Name)
		return nil, err
	}
	return dl, nil
}

// publish hashes and registers. An earlier version is served until that is done.
func (d *Daemon) publish(ctx context.Context, r *run, s saved) (served, error) {
	var p *client.Publication
	var err error
	replacing := func(subject string) { d.replacing(s.ID, subject) }
	switch {
	case s.Stream != "":
		p, err = d.publishStream(ctx, r, s, replacing)
	case s.Torrent != "":
		p, err = d.c.Upload(ctx, client.UploadRequest{Path: s.Source, Torrent: s.Torrent, OnProgress: r.onProgress, Replacing: replacing})
	default:
		p, err = d.c.Publish(ctx, client.PublishRequest{Path: s.Source, Name: s.Name, Copy: s.Copy, OnProgress: r.onProgress, Replacing: replacing})
	}
	if err != nil {
		return nil, err // and no p
	}
	return p, nil
}

// open serves what is complete already, also when a later version of it is not.
func (d *Daemon) open(ctx context.Context, r *run, s saved) (served, error) {
	kind, target := client.Published, ""
	if s.Kind == api.Download {
		kind, target = client.Downloaded, s.Path
	}
	rec, known, err := d.cfg.Storage.Record(kind, s.Name, target)
	if err != nil {
		return nil, err
	}
	if !known {
		return nil, fmt.Errorf("%w: Storage does not remember %q any more", communicator.ErrNotFound, s.Name)
	}
	if s.Stream != "" && s.State != api.Done && isTaken(rec, s) {
		return nil, fmt.Errorf("%w: the copy of %q is the new one, which the ring does not know yet", communicator.ErrNotFound, s.Name)
	}
	p, err := d.c.Serve(ctx, rec, r.onProgress)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// leave ends what was fetched or served, and tells the ring so.
func (d *Daemon) leave(s served, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		d.log.Debug("did not end in order", "name", name, "err", err)
	}
}

// ended draws the conclusion from how a run went: got is what there is to serve, nil
// when it came to nothing.
func (d *Daemon) ended(j *job, r *run, got served, err error) {
	d.running--
	d.queues.taken[r.slot]--
	j.run = nil
	close(r.ended)
	switch {
	case got != nil:
		d.arrived(j, r, got)
	case r.slot == opening && j.State != api.Done:
		j.looked = true
		d.log.Debug("an earlier version is not served", "name", j.Name, "err", err)
		err = nil
	case j.Kind == api.Download:
		d.save(j) // with what there is of it
	}
	if err != nil && j.wanted() && !d.ending && !errors.Is(err, client.ErrInterrupted) {
		d.failed(j, err)
	}
	d.wait(j)
	d.changed(j.ID)
}

// failed decides whether to try again.
func (d *Daemon) failed(j *job, err error) {
	problem := api.ProblemOf(err)
	busy, isBusy := errors.AsType[*client.ErrBusy](err)
	switch {
	case isBusy && busy.PID == os.Getpid() && j.State == api.Done:
		j.Quiet, j.Reason = true, "another copy of it is served"
		d.save(j)
	case isBusy || passing(err) || (j.Follow && errors.Is(err, communicator.ErrNotFound)):
		j.tries++
		pause := min(firstPause<<min(j.tries-1, 10), maxPause)
		j.due = time.Now().Add(pause*3/4 + rand.N(pause/2))
		if j.Reason != problem.Error {
			j.Reason = problem.Error
			d.log.Warn("to be tried again", "name", j.Name, "err", err)
		}
	default:
		j.State, j.Reason, j.Error, j.Hint, j.Code, j.Finished = api.Failed, "", problem.Error, problem.Hint, problem.Code, time.Now()
		d.log.Warn("failed", "name", j.Name, "err", err)
		d.save(j)
		d.giveBack(j)
	}
}

// passing says whether an error is one of the ring's or the network's that ends by
// itself.
func passing(err error) bool {
	if _, ok := errors.AsType[*communicator.Degraded](err); ok {
		return true
	}
	return errors.Is(err, communicator.ErrNoRing) || errors.Is(err, communicator.ErrNotReady) ||
		errors.Is(err, communicator.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}
