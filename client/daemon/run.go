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

// carry brings a job as far as it goes, until ctx ends. s is the job as it was when
// the run began.
func (d *Daemon) carry(ctx context.Context, j *job, r *run, s saved) {
	defer r.cancel()
	var err error
	switch {
	case s.State == api.Done:
		err = d.serve(ctx, j, r, s)
	case s.Kind == api.Download:
		err = d.fetch(ctx, j, r, s)
	default:
		err = d.publish(ctx, j, r, s)
	}
	d.post(func() { d.ended(j, r, err) })
}

// fetch downloads, then serves.
func (d *Daemon) fetch(ctx context.Context, j *job, r *run, s saved) error {
	req := client.DownloadRequest{Source: s.Source, Path: s.Path, Preallocate: s.Reserve, AnySpace: s.AnySpace, OnProgress: r.onProgress}
	if s.Foreign {
		req.Name = s.Name
	}
	dl, err := d.c.Download(ctx, req)
	if err != nil {
		return err
	}
	defer d.leave(dl, s.Name)
	d.post(func() {
		if r.stopped {
			return
		}
		r.d = dl
		j.limit()
		j.InfoHash, j.Bytes, j.Pieces, j.Foreign = hexOf(dl.InfoHash[:]), dl.Bytes, dl.Pieces, dl.Foreign
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
	default:
		return client.ErrInterrupted
	}
	if dl.Err() != nil {
		return dl.Err()
	}
	d.post(func() { d.complete(j, r) })
	select {
	case <-ctx.Done():
		return nil
	case <-dl.Failed():
		return dl.ServeErr()
	}
}

// publish hashes and registers, then serves.
func (d *Daemon) publish(ctx context.Context, j *job, r *run, s saved) error {
	var p *client.Publication
	var err error
	if s.Torrent != "" {
		p, err = d.c.Upload(ctx, client.UploadRequest{Path: s.Source, Torrent: s.Torrent, OnProgress: r.onProgress})
	} else {
		p, err = d.c.Publish(ctx, client.PublishRequest{Path: s.Source, Name: s.Name, Copy: s.Copy, OnProgress: r.onProgress})
	}
	if err != nil {
		return err
	}
	defer d.leave(p, s.Name)
	d.post(func() {
		d.opened(j, r, p)
		d.complete(j, r)
	})
	return d.attend(ctx, p)
}

// serve serves what was complete when the run began.
func (d *Daemon) serve(ctx context.Context, j *job, r *run, s saved) error {
	kind, target := client.Published, ""
	if s.Kind == api.Download {
		kind, target = client.Downloaded, s.Path
	}
	rec, known, err := d.cfg.Storage.Record(kind, s.Name, target)
	if err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("%w: Storage does not remember %q any more", communicator.ErrNotFound, s.Name)
	}
	p, err := d.c.Serve(ctx, rec, r.onProgress)
	if err != nil {
		return err
	}
	defer d.leave(p, s.Name)
	d.post(func() {
		d.opened(j, r, p)
		d.settle(r)
		d.changed(j.ID)
	})
	return d.attend(ctx, p)
}

// attend waits until what is served is to be served no longer, or cannot be.
func (d *Daemon) attend(ctx context.Context, p *client.Publication) error {
	select {
	case <-ctx.Done():
		return nil
	case <-p.Failed():
		return p.Err()
	}
}

// leave ends what was fetched or served, and tells the ring so.
func (d *Daemon) leave(s interface{ Stop(context.Context) error }, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		d.log.Debug("did not end in order", "name", name, "err", err)
	}
}

// opened notes what is served.
func (d *Daemon) opened(j *job, r *run, p *client.Publication) {
	if r.stopped {
		return
	}
	r.p = p
	j.limit()
	j.Path, j.InfoHash, j.Bytes, j.Pieces = p.Path, hexOf(p.InfoHash[:]), p.Bytes, p.Pieces
	if p.Copies > 0 {
		j.Copies = p.Copies
	}
	j.Reason, j.tries = "", 0
}

// complete notes that all is there.
func (d *Daemon) complete(j *job, r *run) {
	if r.stopped && j.State != api.Paused {
		return // for something newer, or for good
	}
	switch j.State {
	case api.Queued:
		j.State = api.Done
	case api.Paused: // in the moment it was done
		j.State, j.Quiet = api.Done, true
	}
	j.Reason, j.Error, j.Hint = "", "", ""
	j.Version++
	j.Finished = time.Now()
	d.settle(r)
	d.save(j)
}

// ended draws the conclusion from how a run went.
func (d *Daemon) ended(j *job, r *run, err error) {
	d.running--
	d.queues.taken[r.slot]--
	j.run = nil
	close(r.ended)
	if !r.done && j.Kind == api.Download {
		d.save(j) // with what there is of it
	}
	if err != nil && j.wantsRun() && !d.ending && !errors.Is(err, client.ErrInterrupted) {
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
		j.State, j.Reason, j.Error, j.Hint, j.Finished = api.Failed, "", problem.Error, problem.Hint, time.Now()
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
