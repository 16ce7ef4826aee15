package daemon

import (
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"sync"
	"time"

	"chordtorrent/client/api"
)

// sampleEvery is how often the speed of what runs is looked at, servingEvery that of
// what is served, which only those ask for who are watching.
const (
	sampleEvery  = time.Second
	servingEvery = 5 * time.Second
)

// Subscription tells of jobs that have changed. However slow its reader is, what
// waits for it is one note per job.
type Subscription struct {
	d    *Daemon
	wake chan struct{}

	mu    sync.Mutex
	dirty map[string]struct{}
}

// justNow is how long ago something may have ended to be recent.
const justNow = 30 * time.Second

// Subscribe begins with a note of every job, or with recent of those that are not done
// or have ended just now. Close it when it is not read any more.
func (d *Daemon) Subscribe(ctx context.Context, recent bool) (*Subscription, error) {
	s := &Subscription{d: d, wake: make(chan struct{}, 1), dirty: make(map[string]struct{})}
	err := d.do(ctx, func() {
		for id, j := range d.jobs {
			if !recent || !j.state().Ended() || time.Since(j.Finished) < justNow {
				s.note(id)
			}
		}
		d.subs[s] = struct{}{}
		d.sample()
	})
	return s, err
}

func (s *Subscription) note(id string) {
	s.mu.Lock()
	s.dirty[id] = struct{}{}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Next blocks until jobs have changed, and gives them as they are now, and the ids of
// those that are gone; or until ctx or the daemon ends.
func (s *Subscription) Next(ctx context.Context) (jobs []api.Job, gone []string, err error) {
	select {
	case <-s.wake:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-s.d.ctx.Done():
		return nil, nil, ErrClosed
	}
	s.mu.Lock()
	ids := slices.Sorted(maps.Keys(s.dirty))
	clear(s.dirty)
	s.mu.Unlock()
	if jobs, gone, err = s.d.views(ctx, ids); err != nil {
		for _, id := range ids {
			s.note(id) // to be told the next time
		}
	}
	return jobs, gone, err
}

// Close ends it.
func (s *Subscription) Close() {
	s.d.post(func() { delete(s.d.subs, s) })
}

// changed tells who wants to know that something about a job is different.
func (d *Daemon) changed(id string) {
	for s := range d.subs {
		s.note(id)
	}
}

// sample has the speed of what runs looked at, again and again as long as something
// does or somebody watches.
func (d *Daemon) sample() {
	if d.sampling {
		return
	}
	d.sampling = true
	d.side.Go(func() {
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		last := time.Now()
		for {
			select {
			case now := <-tick.C:
				all := now.Sub(last) >= servingEvery
				if all {
					last = now
				}
				if !d.sampled(all) {
					return
				}
			case <-d.ctx.Done():
				return
			}
		}
	})
}

// sampled is one look; false when there is nothing more to look at.
func (d *Daemon) sampled(all bool) (more bool) {
	var looks []look
	err := d.do(d.ctx, func() {
		watched := len(d.subs) > 0
		for _, j := range d.jobs {
			if j.run != nil || j.served != nil && (j.moved || all && watched) {
				looks = append(looks, d.look(j))
			}
		}
		more = watched || len(looks) > 0
		d.sampling = more
	})
	if err != nil || len(looks) == 0 {
		return more && err == nil
	}
	views := make([]api.Job, len(looks))
	for i, l := range looks {
		views[i] = l.view(false)
	}
	err = d.do(d.ctx, func() {
		for _, v := range views {
			j := d.jobs[v.ID]
			if j == nil {
				continue
			}
			if v.Stage == "downloading" {
				j.Got = v.Done
			}
			if moved := j.moved; v.RateDown > 0 || v.RateUp > 0 || moved || v.State == api.Running {
				j.sampled(v.RateDown, v.RateUp)
				d.changed(v.ID)
			}
		}
	})
	return err == nil
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }
