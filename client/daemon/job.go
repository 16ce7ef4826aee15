package daemon

import (
	"context"
	"sync/atomic"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
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
	GaveWay  string    `json:"gave_way,omitempty"` // the id of the job for which it is quiet; empty: a person wants it so
	Reason   string    `json:"reason,omitempty"`
	Error    string    `json:"error,omitempty"`
	Hint     string    `json:"hint,omitempty"`
	Priority int       `json:"priority,omitempty"`
	Down     int64     `json:"limit_down,omitempty"`
	Up       int64     `json:"limit_up,omitempty"`
	Follow   bool      `json:"follow,omitempty"`
	Watched  bool      `json:"watched,omitempty"`
	Copy     bool      `json:"copy,omitempty"`
	Large    bool      `json:"large,omitempty"`     // of a publication, see isLarge
	Reserve  bool      `json:"reserve,omitempty"`   // preallocate
	AnySpace bool      `json:"any_space,omitempty"` // although there may be no room
	Version  int       `json:"version,omitempty"`
	Added    time.Time `json:"added"`
	Finished time.Time `json:"finished,omitzero"`
}

// subject is what one job at a time may work on.
func (s *saved) subject() string {
	if s.Foreign {
		return "info hash " + s.InfoHash
	}
	return s.Name
}

// otherThan says whether two jobs are about torrents that only bear the same name.
func (s *saved) otherThan(t *saved) bool {
	return s.InfoHash != "" && s.InfoHash != t.InfoHash && (s.Foreign || t.Foreign)
}

// job is one thing that a person asked for. It belongs to the loop.
type job struct {
	saved
	run     *run // nil: nothing is under way
	waiting bool // in a queue of schedule.go
	due     time.Time
	tries   int // that failed in passing, in a row
	rates   []api.Rate
	moved   bool // the rate was not zero when it was looked at last
}

// run is one attempt to bring a job further. Its goroutine is carry.
type run struct {
	cancel context.CancelFunc
	ended  chan struct{} // closed when nothing of it is left
	slot   slot
	stage  atomic.Pointer[stage]
	d      *client.Download    // the loop's; nil until it fetches
	p      *client.Publication // likewise, for what is published or served
	done   bool                // what is left to do is to serve
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
	if j.State == api.Queued && j.run != nil && !j.run.done {
		return api.Running
	}
	return j.State
}

func (j *job) serving() bool { return j.run != nil && (j.run.p != nil || j.run.d != nil) }

// wantsRun says whether there is something to do for it.
func (j *job) wantsRun() bool {
	return j.State == api.Queued || (j.State == api.Done && !j.Quiet)
}

// limit has what is under way keep to the job's limits.
func (j *job) limit() {
	if j.run != nil && j.run.d != nil {
		j.run.d.SetLimits(j.Down, j.Up)
	}
	if j.run != nil && j.run.p != nil {
		j.run.p.SetLimits(j.Down, j.Up)
	}
}

func (j *job) stop() {
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
