package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/communicator"
)

// ErrNoJob means that the daemon has no such job. It is a communicator.ErrNotFound.
var ErrNoJob error = noJob{}

type noJob struct{}

func (noJob) Error() string        { return "no such job" }
func (noJob) Is(target error) bool { return target == communicator.ErrNotFound }

// leastPrefix is how much of an id is enough to name a job.
const leastPrefix = 4

// find is the job with this id, the beginning of an id, or the name, if there is only
// one, or only one that can be meant: that fits, unless fits is nil.
func (d *Daemon) find(id string, fits func(j *job) bool) (*job, error) {
	if j := d.jobs[id]; j != nil {
		return j, nil
	}
	var all, fitting []*job
	for _, j := range d.jobs {
		if j.Name == id || (len(id) >= leastPrefix && strings.HasPrefix(j.ID, id)) {
			all = append(all, j)
			if fits != nil && fits(j) {
				fitting = append(fitting, j)
			}
		}
	}
	switch {
	case len(all) == 0:
		return nil, &client.Hint{Err: fmt.Errorf("%w %q", ErrNoJob, id), Next: "btclient downloads shows what there is"}
	case len(all) == 1:
		return all[0], nil
	case len(fitting) == 1:
		return fitting[0], nil
	}
	return nil, &client.Hint{Err: fmt.Errorf("%w: %q is the beginning or the name of several jobs", client.ErrUsage, id),
		Next: "btclient downloads shows the ids"}
}

// with has the loop carry out f on a job, see find, and gives the job as it is then.
func (d *Daemon) with(ctx context.Context, id string, fits func(j *job) bool, f func(j *job) error) (api.Job, error) {
	var l look
	err := d.tryUnlessRemoved(ctx, func() error {
		j, err := d.find(id, fits)
		if err == nil {
			err = j.stays()
		}
		if err == nil {
			err = f(j)
		}
		if err == nil {
			l = d.look(j)
		}
		return err
	})
	if err != nil {
		return api.Job{}, err
	}
	return l.view(false), nil
}

// beingRemoved is why nothing can be done about a job now.
type beingRemoved struct{ over <-chan struct{} }

func (e *beingRemoved) Error() string { return "the job is being removed" }

// stays is a beingRemoved, unless the job is to stay.
func (j *job) stays() error {
	if j.removal != nil {
		return &beingRemoved{j.removal}
	}
	return nil
}

// tryUnlessRemoved is try for what waits until a job that is being removed is gone: whatever
// would be done to it before would go with it.
func (d *Daemon) tryUnlessRemoved(ctx context.Context, f func() error) error {
	for {
		err := d.try(ctx, f)
		removed, ok := errors.AsType[*beingRemoved](err)
		if !ok {
			return err
		}
		select {
		case <-removed.over:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Pause stops a job, and serving it, until Resume.
func (d *Daemon) Pause(ctx context.Context, id string) (api.Job, error) {
	return d.with(ctx, id, (*job).wanted, func(j *job) error {
		switch j.State {
		case api.Queued:
			j.State = api.Paused
		case api.Done:
			j.Quiet, j.GaveWay = true, ""
		case api.Paused:
			return nil
		default:
			return ended(j, "there is nothing to pause")
		}
		j.Reason = ""
		d.unwait(j)
		d.stop(j)
		d.log.Info("paused", "name", j.Name, "id", j.ID)
		d.save(j)
		return nil
	})
}

// Resume goes on with what was paused, and serves again what was not to be served.
func (d *Daemon) Resume(ctx context.Context, id string) (api.Job, error) {
	return d.with(ctx, id, (*job).halted, func(j *job) error {
		switch j.State {
		case api.Paused:
			j.State = api.Queued
		case api.Done:
			j.Quiet, j.GaveWay = false, ""
		case api.Queued:
			j.due = time.Time{} // now
		default:
			return ended(j, "retry begins again")
		}
		j.Reason = ""
		d.unwait(j)
		d.wait(j)
		d.log.Info("resumed", "name", j.Name, "id", j.ID)
		d.save(j)
		return nil
	})
}

// Retry begins again what failed or was cancelled. What is there is used.
func (d *Daemon) Retry(ctx context.Context, id string) (api.Job, error) {
	return d.with(ctx, id, (*job).gaveUp, func(j *job) error {
		if !j.gaveUp() {
			return fmt.Errorf("%w: %q is %s: only what failed or was cancelled is tried again", client.ErrUsage, j.Name, j.state())
		}
		s := j.saved
		s.State = api.Queued
		if err := d.makeWay(s); err != nil {
			return err
		}
		j.State, j.Quiet, j.Reason, j.Error, j.Hint, j.Code, j.Finished = api.Queued, false, "", "", "", 0, time.Time{}
		j.due, j.tries = time.Time{}, 0
		d.wait(j)
		d.log.Info("tried again", "name", j.Name, "id", j.ID)
		d.save(j)
		return nil
	})
}

func ended(j *job, what string) error {
	return fmt.Errorf("%w: %q is %s: %s", client.ErrUsage, j.Name, j.State, what)
}

// Cancel ends what is not done, and with discard removes what there is of its data.
// It blocks until nothing works on it any more.
func (d *Daemon) Cancel(ctx context.Context, id string, discard bool) (api.Job, error) {
	halted, err := d.halt(ctx, id, (*job).cancellable, func(j *job) error {
		if j.State == api.Done {
			return ended(j, "btclient remove takes it out of the list")
		}
		j.State, j.Reason, j.Error, j.Hint, j.Code, j.Finished = api.Cancelled, "", "", "", 0, time.Now()
		d.log.Info("cancelled", "name", j.Name, "id", j.ID)
		d.save(j)
		return nil
	})
	discard = err == nil && discard && halted.Kind == api.Download
	if discard {
		err = d.cfg.Storage.Discard(halted.Name, halted.Path, false)
	}
	gone := discard && err == nil
	d.post(func() { // now that it has let go of the name
		j := d.jobs[halted.ID]
		if j == nil || j.State != api.Cancelled {
			return
		}
		d.giveBack(j)
		if gone {
			j.Got = 0
			d.save(j)
		}
	})
	if err != nil {
		return api.Job{}, err
	}
	return d.with(ctx, halted.ID, nil, func(*job) error { return nil })
}

// Remove takes a job out of the list, ending it if need be; what was published stays
// in the ring. With discard what was downloaded is removed from the disk, if it is as
// the download left it; published files stay. It blocks until nothing works on it any
// more.
func (d *Daemon) Remove(ctx context.Context, id string, discard bool) error {
	over := make(chan struct{})
	var removed *job
	defer func() {
		if removed != nil {
			d.post(func() {
				removed.removal = nil
				d.wait(removed)
			})
		}
		close(over)
	}()
	job, err := d.halt(ctx, id, nil, func(j *job) error {
		if j.State != api.Done {
			j.State = api.Cancelled
		}
		j.Quiet = true
		removed, j.removal = j, over
		d.save(j) // as it is if what follows fails
		return nil
	})
	if err != nil {
		return err
	}
	if job.Kind == api.Download && discard {
		err = d.cfg.Storage.Discard(job.Name, job.Path, true)
	}
	if rmErr := os.Remove(d.torrentPath(job.ID)); !errors.Is(rmErr, fs.ErrNotExist) {
		err = errors.Join(err, rmErr)
	}
	if err != nil {
		return err
	}
	if err := d.cfg.Storage.Forget(job.ID); err != nil {
		return err
	}
	return d.do(ctx, func() {
		d.giveBack(removed)
		d.drop(removed)
		d.log.Info("removed", "name", job.Name, "id", job.ID)
		d.write(entry{Gone: job.ID})
		d.changed(job.ID)
	})
}

// halt changes a job so that it does not run, and waits until it does not.
func (d *Daemon) halt(ctx context.Context, id string, fits func(j *job) bool, change func(j *job) error) (api.Job, error) {
	var halted *job
	job, err := d.with(ctx, id, fits, func(j *job) error {
		if err := change(j); err != nil {
			return err
		}
		halted = j
		d.unwait(j)
		d.stop(j)
		return nil
	})
	if err != nil {
		return job, err
	}
	return job, d.await(ctx, func() <-chan struct{} { return halted.busy() })
}

// Unpublish takes a name out of the ring, and what this daemon serves of it from the
// list. Data stays.
func (d *Daemon) Unpublish(ctx context.Context, name string) error {
	err := d.c.Unpublish(ctx, name)
	if err != nil && !errors.Is(err, communicator.ErrNotFound) {
		return err
	}
	id := client.RecordID(client.Published, name, "")
	_, stopErr := d.halt(ctx, id, nil, func(j *job) error {
		j.State, j.Reason, j.Finished = api.Cancelled, "unpublished", time.Now()
		d.save(j)
		return nil
	})
	if errors.Is(stopErr, ErrNoJob) {
		stopErr = nil
	} else if err != nil {
		return stopErr // the ring had lost it before, and now it is gone here too
	}
	return errors.Join(err, stopErr)
}
