package daemon

import (
	"cmp"
	"context"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/transfer"
)

// look is a job as it was at a moment, and what can tell more. Made by the loop, read
// elsewhere: asking an engine may take its time.
type look struct {
	job    api.Job
	d      *client.Download // that is under way
	served served
	stage  *stage
	rates  []api.Rate
}

func (d *Daemon) look(j *job) look {
	l := look{served: j.served, job: api.Job{
		ID: j.ID, Kind: j.Kind, Name: j.Name, Path: j.Path, InfoHash: j.InfoHash, State: j.state(), Serving: j.serving(),
		Bytes: j.Bytes, Pieces: j.Pieces, Reason: j.Reason, Error: j.Error, Hint: j.Hint, Code: j.Code,
		Priority: j.Priority, LimitDown: j.Down, LimitUp: j.Up, Follow: j.Follow, Copies: j.Copies, Watched: j.Watched,
		New:   j.Finished.After(d.visited) && (j.State == api.Done || j.State == api.Failed),
		Added: api.Time{Time: j.Added}, Finished: api.Time{Time: j.Finished}, Version: j.Version,
	}}
	if l.job.Done = j.Got; j.State == api.Done {
		l.job.Done = j.Bytes
	}
	if j.run != nil {
		l.d, l.stage = j.run.d, j.run.stage.Load()
	}
	return l
}

// view asks the engine for the rest.
func (l look) view(detailed bool) api.Job {
	job := l.job
	var st transfer.Status
	switch {
	case l.d != nil:
		st = l.d.Status()
		job.Done, job.Bytes = st.BytesDone, st.BytesTotal
		if job.State != api.Running {
			return job // its run is about to end: nothing moves any more
		}
	case l.stage != nil && job.State == api.Running:
		job.Stage, job.Done, job.Bytes = string(l.stage.name), l.stage.done, l.stage.total
		return job
	case job.State == api.Running:
		job.Stage = "starting"
		return job
	case l.served != nil:
		st = l.served.Status()
	default:
		return job
	}
	job.RateDown, job.RateUp = int64(st.RateDown), int64(st.RateUp)
	job.Fetched, job.Uploaded, job.Peers = st.Downloaded, st.Uploaded, len(st.Peers)
	if job.State == api.Running {
		job.Stage = "downloading"
		job.Reason = cmp.Or(st.Reason, job.Reason)
		if left := job.Bytes - job.Done; st.RateDown >= 1 && left > 0 && len(st.Peers) > 0 {
			if sec := int64(float64(left)/st.RateDown + 0.5); sec < longestETA {
				job.ETA = &sec
			}
		}
	}
	if detailed {
		l.detail(&job, st)
	}
	return job
}

// longestETA is the longest time left that is told, in seconds: nobody believes months.
const longestETA = 30 * 24 * 3600

// haveRuns is how many runs of pieces a job is told in.
const haveRuns = 256

func (l look) detail(job *api.Job, st transfer.Status) {
	job.Rates = l.rates
	d := l.d
	if d == nil {
		d, _ = l.served.(*client.Download)
	}
	if d != nil {
		for _, share := range d.Shares(haveRuns) {
			job.Have = append(job.Have, int(share))
		}
	}
	for _, s := range st.From {
		job.From = append(job.From, api.From{Addr: s.Where(), PeerID: hexOf(s.PeerID[:]), Bytes: s.Bytes})
	}
	for _, p := range st.Peers {
		percent := 100.0
		if job.Pieces > 0 {
			percent = 100 * float64(p.Pieces) / float64(job.Pieces)
		}
		job.Swarm = append(job.Swarm, api.Peer{Addr: p.Where(), Client: p.Client, Percent: percent,
			RateDown: int64(p.RateDown), RateUp: int64(p.RateUp), Encrypted: p.Encrypted})
	}
}

// Jobs gives all jobs, those that run first, then those that wait in the order of
// their turns, then paused ones, then the others, the latest first.
func (d *Daemon) Jobs(ctx context.Context) ([]api.Job, error) {
	all, _, err := d.Page(ctx, func(api.Job) bool { return true }, 0, math.MaxInt)
	return all, err
}

// Page gives a part of the jobs that are to be kept, in the order of Jobs, and how many
// those are. keep sees what the daemon itself knows of a job: no speeds, no peers.
func (d *Daemon) Page(ctx context.Context, keep func(api.Job) bool, offset, limit int) (jobs []api.Job, total int, err error) {
	var looks []look
	err = d.do(ctx, func() {
		for _, j := range d.jobs {
			if l := d.look(j); keep(l.job) {
				looks = append(looks, l)
			}
		}
	})
	if err != nil {
		return nil, 0, err
	}
	slices.SortFunc(looks, func(a, b look) int { return inOrder(a.job, b.job) })
	total = len(looks)
	from := min(offset, total)
	looks = looks[from : from+min(limit, total-from)]
	jobs = make([]api.Job, len(looks))
	for i, l := range looks {
		jobs[i] = l.view(false)
	}
	return jobs, total, nil
}

// Named gives, for each of these names that has some, the job that says most about it, as far
// as the daemon itself knows it: one that is under way, else one that is done.
func (d *Daemon) Named(ctx context.Context, names []string) (map[string]api.Job, error) {
	found := make(map[string]api.Job)
	err := d.do(ctx, func() {
		wanted := make(map[string]bool, len(names))
		for _, n := range names {
			wanted[n] = true
		}
		for _, j := range d.jobs {
			if !wanted[j.Name] {
				continue
			}
			if known, ok := found[j.Name]; !ok || saysMore(d.look(j).job, known) {
				found[j.Name] = d.look(j).job
			}
		}
	})
	return found, err
}

func saysMore(a, b api.Job) bool {
	if a.State.Ended() && b.State.Ended() && (a.State == api.Done) != (b.State == api.Done) {
		return a.State == api.Done
	}
	return inOrder(a, b) < 0
}

func inOrder(a, b api.Job) int {
	switch {
	case a.State.Rank() != b.State.Rank():
		return a.State.Rank() - b.State.Rank()
	case a.State.Ended():
		return cmp.Or(-a.Finished.Compare(b.Finished.Time), strings.Compare(a.ID, b.ID))
	}
	return cmp.Or(-cmp.Compare(a.Priority, b.Priority), a.Added.Compare(b.Added.Time), strings.Compare(a.ID, b.ID))
}

// Job gives one job with all there is to tell. ErrNoJob when there is none.
func (d *Daemon) Job(ctx context.Context, id string) (api.Job, error) {
	var l look
	err := d.try(ctx, func() error {
		j, err := d.find(id, nil)
		if err == nil {
			l = d.look(j)
			l.rates = slices.Clone(j.rates)
		}
		return err
	})
	if err != nil {
		return api.Job{}, err
	}
	return l.view(true), nil
}

// views gives some jobs, and those of the ids that there is no job of.
func (d *Daemon) views(ctx context.Context, ids []string) (jobs []api.Job, gone []string, err error) {
	var looks []look
	err = d.do(ctx, func() {
		for _, id := range ids {
			if j := d.jobs[id]; j != nil {
				looks = append(looks, d.look(j))
			} else {
				gone = append(gone, id)
			}
		}
	})
	for _, l := range looks {
		jobs = append(jobs, l.view(false))
	}
	return jobs, gone, err
}

// Status tells about the daemon as a whole.
func (d *Daemon) Status(ctx context.Context) (api.Status, error) {
	id := d.c.PeerID()
	st := api.Status{PID: os.Getpid(), Storage: d.cfg.Storage.Dir(), Port: int(d.c.Port()), PeerID: hexOf(id[:]),
		Ring: d.ring.Connected()}
	var looks []look
	err := d.do(ctx, func() {
		st.Settings, st.Jobs, st.Active = d.settings, len(d.jobs), d.queues.taken[fetching]
		for _, j := range d.jobs {
			if j.serving() {
				st.Serving++
			}
			if j.run != nil || j.served != nil && j.moved {
				looks = append(looks, d.look(j))
			}
		}
	})
	for _, l := range looks {
		job := l.view(false)
		st.RateDown += job.RateDown
		st.RateUp += job.RateUp
	}
	return st, err
}

// Content gives what a complete or running job's files can be read from: a Download
// that is under way, or else the path of what is complete.
func (d *Daemon) Content(ctx context.Context, id string) (dl *client.Download, found api.Job, err error) {
	err = d.try(ctx, func() error {
		j, err := d.find(id, nil)
		if err != nil {
			return err
		}
		found = d.look(j).job
		if j.run != nil {
			dl = j.run.d
		}
		return nil
	})
	return dl, found, err
}

// Visit is called when a person looks at what has ended; what ends from now on is new
// then. It gives the time of the last visit.
func (d *Daemon) Visit(ctx context.Context) (last time.Time, err error) {
	err = d.do(ctx, func() {
		last = d.visited
		d.visited = time.Now()
		d.write(entry{Visited: &d.visited})
	})
	return last, err
}
