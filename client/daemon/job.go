package daemon

import (
	"context"
	"sync/atomic"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/transfer"
)

// saved is what is remembered of a job.
type saved struct {
	ID       string    `json:"id"`
	Kind     api.Kind  `json:"kind"`
	Name     string    `json:"name"`
	Source   string    `json:"source"`            // of a download: a name, the path of a .torrent, or a magnet link; of a publication: the path given
	Foreign  bool      `json:"foreign,omitempty"` // the ring does not know it
	Torrent  string    `json:"torrent,omitempty"` // of a publication: the path of the .torrent that it is the content of
	Path     string    `json:"path"`              // absolute: what is, or will be, served
	InfoHash string    `json:"info_hash,omitempty"`
	Bytes    int64     `json:"bytes,omitempty"`
	Got      int64     `json:"got,omitempty"` // bytes that were there when it ran last
	Pieces   int       `json:"pieces,omitempty"`
	Copies   int       `json:"copies,omitempty"`
	State    api.State `json:"state"`              // never Running: that is Queued with a run
	Quiet    bool      `json:"quiet,omitempty"`    // done, but not to be served
	GaveWay  string    `json:"gave_way,omitempty"` // the id of the job that takes its place when that is done, and for which it is quiet then
	Earlier  bool      `json:"earlier,omitempty"`  // of a download, or a stream, that is not done: Storage has an earlier version
	Reason   string    `json:"reason,omitempty"`
	Error    string    `json:"error,omitempty"`
	Hint     string    `json:"hint,omitempty"`
	Code     int       `json:"code,omitempty"` // of Error
	Priority int       `json:"priority,omitempty"`
	Down     int64     `json:"limit_down,omitempty"`
	Up       int64     `json:"limit_up,omitempty"`
	Follow   bool      `json:"follow,omitempty"`
	Watched  bool      `json:"watched,omitempty"`
	Copy     bool      `json:"copy,omitempty"`
	Stream   string    `json:"stream,omitempty"`    // of a publication: what its bytes come from, which a command brings; see bring.go
	Expected int64     `json:"expected,omitempty"`  // how many those are likely to be; 0: not known
	Large    bool      `json:"large,omitempty"`     // of a publication, see isLarge
	Reserve  bool      `json:"reserve,omitempty"`   // preallocate
	AnySpace bool      `json:"any_space,omitempty"` // although there may be no room
	Version  int       `json:"version,omitempty"`
	Added    time.Time `json:"added"`
	Finished time.Time `json:"finished,omitzero"`
}

// about is what one job at a time may work on.
func (s *saved) about() string { return client.Subject(s.Name, s.InfoHash, s.Foreign) }

// otherThan says whether two jobs are about torrents that only bear the same name.
func (s *saved) otherThan(t *saved) bool {
	return s.InfoHash != "" && s.InfoHash != t.InfoHash && (s.Foreign || t.Foreign)
}

// job is one thing that a person asked for. It belongs to the loop.
type job struct {
	saved
	run     *run            // nil: nothing is under way
	served  served          // nil: nothing is; of a job that is not done, an earlier version
	leaving <-chan struct{} // closed when what was served has been let go of; nil: it has
	removal <-chan struct{} // closed when it has been removed, or could not be; nil: it is not to be

	subject  string // what it was about when it was entered
	namesake *job   // the next one about that

	bytes   chan brought // of a publication with a Stream; nil after a restart
	waiting bool         // in a queue of schedule.go
	looked  bool         // whether an earlier version can be served
	due     time.Time
	tries   int // that failed in passing, in a row
	rates   []api.Rate
	moved   bool // the rate was not zero when it was looked at last
}

// served is what is complete and given to others: a client.Publication or client.Download.
// It needs no goroutine: there may be a hundred thousand of them.
type served interface {
	Status() transfer.Status
	SetLimits(down, up int64)
	AfterFailed(f func())
	ServeErr() error
	Stop(ctx context.Context) error
}

// run is one attempt to bring a job further. Its goroutine is carry.
type run struct {
	cancel context.CancelFunc
	ended  chan struct{} // closed when nothing of it is left
	slot   slot
	bytes  <-chan brought // the job's
	stage  atomic.Pointer[stage]
	d      *client.Download // the loop's; nil until it fetches
	// stopped: it was told to end. What it still reports is about a job as it was before.
	stopped bool
}

// stage is how far something is before bytes move over the network.
type stage struct {
	name        client.Stage
	done, total int64
}

func (r *run) onProgress(s client.Stage, done, total int64) { r.stage.Store(&stage{s, done, total}) }

// state is what others see: Queued with a run is Running.
func (j *job) state() api.State {
	if j.State == api.Queued && j.run != nil && j.run.slot != opening {
		return api.Running
	}
	return j.State
}

func (j *job) serving() bool { return j.served != nil || j.run != nil && j.run.d != nil }

// wanted says whether it is to be brought further, or served.
func (j *job) wanted() bool {
	return j.State == api.Queued || (j.State == api.Done && !j.Quiet)
}

// halted says whether a person has stopped it.
func (j *job) halted() bool { return j.State == api.Paused || j.State == api.Done && j.Quiet }

// cancellable says whether it may still be brought to its end, and has not been given up.
func (j *job) cancellable() bool { return j.State != api.Done && j.State != api.Cancelled }

// gaveUp says whether it has ended without being done.
func (j *job) gaveUp() bool { return j.State == api.Failed || j.State == api.Cancelled }

// hasEarlier says whether Storage has a version of a download or a stream, whatever is done next.
func (j *job) hasEarlier() bool { return j.State == api.Done || j.Earlier }

// wantsOpening says whether there is something to serve, and it is not.
func (j *job) wantsOpening() bool {
	if j.served != nil {
		return false
	}
	if j.State == api.Done {
		return !j.Quiet
	}
	return j.Earlier && !j.looked && (j.State == api.Queued || j.State == api.Failed)
}

// wantsRun says whether there is something to do for it now.
func (j *job) wantsRun() bool {
	return j.removal == nil && (j.State == api.Queued || j.wantsOpening())
}

// limit has what is under way keep to the job's limits.
func (j *job) limit() {
	if j.run != nil && j.run.d != nil {
		j.run.d.SetLimits(j.Down, j.Up)
	}
	if j.served != nil {
		j.served.SetLimits(j.Down, j.Up)
	}
}

// busy is closed when a part of what works on the job has ended; nil: nothing does.
func (j *job) busy() <-chan struct{} {
	if j.run != nil {
		return j.run.ended
	}
	return j.leaving
}

func (j *job) busyOrServed() bool { return j.served != nil || j.busy() != nil }

// cancel ends what is under way.
func (j *job) cancel() {
	if j.run != nil {
		j.run.stopped = true
		j.run.cancel()
	}
}

// rateSeconds is how long rates are kept.
const rateSeconds = 120

func (j *job) sampled(down, up int64) {
	if len(j.rates) >= rateSeconds {
		j.rates = append(j.rates[:0], j.rates[1:]...)
	}
	j.rates = append(j.rates, api.Rate{Down: down, Up: up})
	j.moved = down > 0 || up > 0
}
