package daemon

import (
	"context"
	"sync"
	"time"

	"chordtorrent/client/api"
)

const (
	// followEvery is how often the ring is asked whether a name stands for something
	// newer, followPace how far apart such questions are when there are many names.
	followEvery = 3 * time.Second
	followPace  = 50 * time.Millisecond
	// followAtOnce is how many questions are under way at a time.
	followAtOnce = 8
)

// follow looks for newer versions of what is being downloaded by name, and of what is
// to be kept the newest, until the daemon ends.
func (d *Daemon) follow() {
	timer := time.NewTimer(followEvery)
	defer timer.Stop()
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-timer.C:
		}
		var followed []saved
		err := d.do(d.ctx, func() {
			for _, j := range d.jobs {
				if j.mayBeOld() {
					followed = append(followed, j.saved)
				}
			}
		})
		if err != nil {
			return
		}
		d.askForNewer(followed)
		timer.Reset(max(followEvery, time.Duration(len(followed))*followPace))
	}
}

// mayBeOld says whether a newer version would be fetched in place of what a job has.
func (j *job) mayBeOld() bool {
	if j.Kind != api.Download || j.Source != j.Name {
		return false // of a .torrent there is one version
	}
	switch {
	case j.state() == api.Running:
		return j.run.d != nil
	case j.State == api.Queued:
		return j.Follow && j.run == nil && !j.waiting // it tries again later
	}
	return j.Follow && j.State == api.Done && !j.Quiet // what a person has stopped stays so
}

func (d *Daemon) askForNewer(followed []saved) {
	var wg sync.WaitGroup
	defer wg.Wait()
	turns := make(chan struct{}, followAtOnce)
	for _, s := range followed {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			ctx, cancel := context.WithTimeout(d.ctx, 5*time.Second)
			defer cancel()
			versions, err := d.ring.Versions(ctx, s.Name)
			if err != nil {
				return // what cannot be asked now is asked again
			}
			if newest := hexOf(versions[0].InfoHash[:]); newest != s.InfoHash {
				d.post(func() { d.renew(s, newest) })
			}
		})
	}
}

// renew has a job fetch the newer version, or the first one; what both share is taken
// from the old one.
func (d *Daemon) renew(s saved, newest string) {
	j := d.jobs[s.ID]
	if j == nil || j.removal != nil || j.InfoHash != s.InfoHash || (j.State != api.Queued && j.State != api.Done) {
		return
	}
	d.log.Info("a newer version is in the ring", "name", j.Name, "info_hash", newest)
	j.Earlier, j.looked = j.hasEarlier(), false // it is served until the newer one is there
	j.State, j.Quiet, j.Reason = api.Queued, false, "a newer version is in the ring"
	d.unwait(j)
	j.cancel()
	j.due = time.Time{}
	d.wait(j)
	d.save(j)
}
