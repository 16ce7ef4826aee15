package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/communicator"
)

// Config is what a Daemon needs.
type Config struct {
	Storage *client.Storage
	Ring    *communicator.Communicator
	Client  *client.Client // of the same Storage and ring; the daemon's alone
	// MaxDownloads is how many downloads run at a time until a person says otherwise;
	// 0 means 3.
	MaxDownloads int
	Log          *slog.Logger // nil: none
}

// ErrClosed means that the daemon ends.
var ErrClosed = errors.New("the daemon is ending")

// Daemon runs the jobs of one Storage. See the package comment.
type Daemon struct {
	cfg  Config
	c    *client.Client
	ring *communicator.Communicator
	log  *slog.Logger

	asks   chan func() // to the loop
	ctx    context.Context
	cancel context.CancelFunc
	over   chan struct{} // closed when the loop has ended
	side   sync.WaitGroup

	Names  *Catalog            // of the ring
	speeds communicator.Speeds // of peers

	// The rest is the loop's.
	jobs     map[string]*job
	named    map[string]*job // by job.subject, the others behind job.namesake
	queues   queues
	running  int // runs
	settings api.Settings
	chosen   bool      // a person has said what the settings are
	visited  time.Time // jobs that ended later are new
	journal  *journal
	subs     map[*Subscription]struct{}
	sampling bool
	ending   bool
}

// defaultDownloads is MaxDownloads when nobody says otherwise.
const defaultDownloads = 3

// Start reads what is remembered, takes over what commands did without a daemon, and
// goes on with all of it. It blocks until the journal is read.
func Start(cfg Config) (*Daemon, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxDownloads == 0 {
		cfg.MaxDownloads = defaultDownloads
	}
	dir := filepath.Join(cfg.Storage.Dir(), "daemon")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("the daemon's folder: %w", err)
	}
	d := &Daemon{
		cfg: cfg, c: cfg.Client, ring: cfg.Ring, log: cfg.Log,
		asks: make(chan func(), 64), over: make(chan struct{}),
		jobs: make(map[string]*job), named: make(map[string]*job), subs: make(map[*Subscription]struct{}),
		settings: api.Settings{MaxDownloads: cfg.MaxDownloads}, visited: time.Now(),
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.Names = newCatalog(d.ctx, cfg.Ring)
	var err error
	if d.journal, err = openJournal(filepath.Join(dir, "jobs.jsonl"), d.remember); err != nil {
		d.cancel()
		return nil, err
	}
	if err := errors.Join(d.adopt(), d.compact()); err != nil {
		d.cancel()
		return nil, errors.Join(err, d.journal.close())
	}
	d.c.SetLimits(d.settings.LimitDown, d.settings.LimitUp)
	for _, j := range d.jobs {
		d.wait(j)
	}
	go d.loop()
	d.side.Go(d.follow)
	return d, nil
}

// remember is told by the journal of each entry in it.
func (d *Daemon) remember(e entry) {
	switch {
	case e.Job != nil:
		d.enter(&job{saved: *e.Job})
	case e.Gone != "":
		d.drop(d.jobs[e.Gone])
	case e.Settings != nil:
		d.settings, d.chosen = *e.Settings, true
	case e.Visited != nil:
		d.visited = *e.Visited
	}
}

// enter makes a job one of those that there are, in place of one with its id. It is
// entered again when it is about something else.
func (d *Daemon) enter(j *job) {
	d.drop(d.jobs[j.ID])
	d.jobs[j.ID] = j
	j.subject = j.about()
	j.namesake, d.named[j.subject] = d.named[j.subject], j
}

// drop is the opposite of enter; nil is ignored.
func (d *Daemon) drop(j *job) {
	if j == nil {
		return
	}
	delete(d.jobs, j.ID)
	first := d.named[j.subject]
	for at := &first; *at != nil; at = &(*at).namesake {
		if *at == j {
			*at, j.namesake = j.namesake, nil
			break
		}
	}
	if d.named[j.subject] = first; first == nil {
		delete(d.named, j.subject)
	}
}

// compact writes the journal anew, with what counts now alone.
func (d *Daemon) compact() error {
	all := []entry{{Visited: &d.visited}}
	if d.chosen {
		all = append(all, entry{Settings: &d.settings})
	}
	for _, j := range d.jobs {
		all = append(all, entry{Job: &j.saved})
	}
	return d.journal.rewrite(all)
}

// loop is the only goroutine that touches jobs. It ends when the daemon does and all
// runs have.
func (d *Daemon) loop() {
	defer close(d.over)
	ending := d.ctx.Done()
	d.schedule()
	for !d.ending || d.running > 0 {
		select {
		case ask := <-d.asks:
			ask()
		case <-ending:
			ending, d.ending = nil, true
			d.stopAll()
		}
		d.schedule()
	}
}

// do has the loop carry out f and waits for it: ErrClosed when there is no loop any
// more, or what ctx ended with.
func (d *Daemon) do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	select {
	case d.asks <- func() { f(); close(done) }:
	case <-d.over:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-d.over:
		return ErrClosed
	}
}

// try is do for what can fail.
func (d *Daemon) try(ctx context.Context, f func() error) error {
	var err error
	if doErr := d.do(ctx, func() { err = f() }); doErr != nil {
		return doErr
	}
	return err
}

// post is do for those who need not wait.
func (d *Daemon) post(f func()) {
	select {
	case d.asks <- f:
	case <-d.over:
	}
}

// save remembers a job as it is now and tells who wants to know.
func (d *Daemon) save(j *job) {
	d.write(entry{Job: &j.saved})
	d.changed(j.ID)
}

func (d *Daemon) write(e entry) {
	if err := d.journal.add(e); err != nil {
		d.log.Error("what is to be done is not on disk: it would be forgotten in a restart", "err", err)
	}
	if d.journal.lines > 1000+4*len(d.jobs) {
		if err := d.compact(); err != nil {
			d.log.Error("the journal of jobs cannot be written anew", "err", err)
		}
	}
}

// Close stops all jobs, telling the ring so, and blocks until nothing of them is
// left. They go on when a daemon is started again.
func (d *Daemon) Close() error {
	d.cancel()
	<-d.over
	d.side.Wait()
	d.Names.wait()
	return d.journal.close()
}
