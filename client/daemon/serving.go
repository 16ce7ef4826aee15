package daemon

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
)

// arrived notes what there is to serve, unless it is wanted no longer.
func (d *Daemon) arrived(j *job, r *run, got served) {
	wanted := !r.stopped
	switch {
	case r.slot == opening:
	case wanted && j.State == api.Queued:
		d.complete(j)
	case j.State == api.Paused: // in the moment it was done
		d.complete(j)
		j.Quiet = true
	}
	if !wanted {
		d.save(j)
		d.dismiss(j, got)
		return
	}
	d.dismiss(j, j.served)
	j.served = got
	j.limit()
	got.AfterFailed(func() { d.post(func() { d.servedNoMore(j, got) }) })
	if p, published := got.(*client.Publication); published && j.State == api.Done {
		d.identify(j, p.InfoHash, p.Foreign)
		j.Path, j.Bytes, j.Pieces = p.Path, p.Bytes, p.Pieces
		if p.Copies > 0 {
			j.Copies = p.Copies
		}
	}
	if j.State == api.Done {
		j.Reason, j.tries = "", 0
	}
	if r.slot != opening {
		d.save(j)
	}
}

// complete notes that all is there.
func (d *Daemon) complete(j *job) {
	j.State, j.Earlier = api.Done, false
	j.Reason, j.Error, j.Hint, j.Code = "", "", "", 0
	j.Version++
	j.Finished = time.Now()
}

// servedNoMore is told when something can be served no longer.
func (d *Daemon) servedNoMore(j *job, what served) {
	if j.served != what || d.ending {
		return
	}
	err := what.ServeErr()
	j.served = nil
	d.dismiss(j, what)
	if j.State == api.Done && j.wanted() {
		d.failed(j, err)
	}
	d.changed(j.ID)
}

// dismiss lets go of something that is served no longer; the job waits for that.
func (d *Daemon) dismiss(j *job, what served) {
	if what == nil {
		return
	}
	if j.served == what {
		j.served = nil
	}
	d.running++
	name, before, left := j.Name, j.leaving, make(chan struct{})
	j.leaving = left
	go func() {
		if before != nil {
			<-before
		}
		d.leave(what, name)
		d.post(func() {
			d.running--
			close(left)
			if j.leaving == left {
				j.leaving = nil
				d.wait(j)
			}
		})
	}()
}

// stop ends what is under way for a job, and serving it.
func (d *Daemon) stop(j *job) {
	j.cancel()
	d.dismiss(j, j.served)
}

// farewells is how many are taken leave of at a time when the daemon ends, perFarewell
// how much longer that may take for each.
const (
	farewells   = 64
	perFarewell = 100 * time.Microsecond
)

// stopAll ends everything. Whoever the ring could not be told of in time expires there.
func (d *Daemon) stopAll() {
	var all []served
	for _, j := range d.jobs {
		j.cancel()
		if j.served != nil {
			all = append(all, j.served)
			j.served = nil
		}
	}
	most := farewell + time.Duration(len(all))*perFarewell
	ctx, cancel := context.WithTimeout(context.Background(), most)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(farewells, len(all)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
				if err := all[i].Stop(ctx); err != nil {
					d.log.Debug("did not end in order", "err", err)
				}
			}
		})
	}
	d.running++
	go func() {
		wg.Wait()
		cancel()
		d.post(func() { d.running-- })
	}()
}

// replacing ends what is served of a subject that the job with an id is about to have in
// something newer, and waits for that.
func (d *Daemon) replacing(id, subject string) {
	ctx := context.Background() // the loop is there as long as the run that asks
	err := d.do(ctx, func() {
		if j := d.jobs[id]; j != nil {
			d.dismiss(j, j.served)
		}
		for j := d.named[subject]; j != nil; j = j.namesake {
			switch {
			case j.ID == id:
			case j.GaveWay == id || j.State == api.Done && j.busyOrServed():
				j.GaveWay, j.Quiet, j.Earlier, j.Reason = id, true, false, "replaced by a later job of that name"
				d.unwait(j)
				d.stop(j)
				d.save(j)
			}
		}
	})
	if err != nil {
		return
	}
	_ = d.await(ctx, func() <-chan struct{} {
		if j := d.jobs[id]; j != nil && j.leaving != nil {
			return j.leaving
		}
		for j := d.named[subject]; j != nil; j = j.namesake {
			if j.GaveWay == id && j.busy() != nil {
				return j.busy()
			}
		}
		return nil
	})
}

// await blocks as long as busy, which the loop calls, gives a channel that is not closed.
func (d *Daemon) await(ctx context.Context, busy func() <-chan struct{}) error {
	for {
		var left <-chan struct{}
		if err := d.do(ctx, func() { left = busy() }); err != nil || left == nil {
			return err
		}
		select {
		case <-left:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
