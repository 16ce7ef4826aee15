package client

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"chordtorrent/transfer"
	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

// DownloadRequest says what to download, and where to.
type DownloadRequest struct {
	Source string // see Client.Find
	Name   string // what Storage calls it, if the ring does not know it; empty: as its .torrent does
	Target string // see Client.Target; empty means into Storage
	Path   string // the target itself, absolute, in place of Target
	// Preallocate reserves the space for all of it before anything is fetched. Where
	// the file system cannot do that, it goes without.
	Preallocate bool
	// AnySpace begins also when the disk has no room for all of it.
	AnySpace bool
	// LimitDown and LimitUp bound what it receives and sends, in bytes per second; 0: no bound.
	LimitDown, LimitUp int64
	// Force writes to a device that is in use; see DownloadInto.
	Force      bool
	OnProgress OnProgress
	// From, unless nil, is the only place that it comes from; Source is a name then.
	From *Origin
	// Replacing, unless nil, ends what this client serves of the same subject, see Subject, and
	// returns when nothing of that is left. It is called as late as can be: an earlier version
	// is served until all of this one is there. With nil the subject has to be free.
	Replacing func(subject string)
}

// Download is a download of this client: running, then complete and served to
// others, until Stop.
type Download struct {
	Name     string
	Path     string // the target, absolute
	InfoHash [20]byte
	Bytes    int64
	Pieces   int
	Foreign  bool // the ring does not know it

	c        *Client
	began    time.Time
	lock     *nameLock
	partLock *os.File
	rec      Record
	layout   *storage.Layout
	content  *storage.Content
	torrent  *transfer.Torrent // nil until it runs
	present  bool              // everything was at the target already
	earlier  *earlier          // nil: none is known
	replaces string            // the fingerprint of the earlier version of ours at Path, if one is there
	metainfo []byte            // of what has an earlier version, until it is complete: the .torrent in Storage is that of what is served
	handOver func(string)      // DownloadRequest.Replacing
	from     *Origin           // DownloadRequest.From
	sink     *sink             // nil: it goes into files

	journalMu sync.Mutex
	journal   *storage.Journal // nil before and after it is open

	arrived arrivals // the pieces that are there, for readers

	stop    chan struct{} // closed by Stop
	stopped atomic.Bool
	done    chan struct{} // closed when err is final: complete, failed, or ended before
	err     error
	took    time.Duration
}

// Download finds what is asked for, in the ring or by its trackers, and begins to fetch it. It
// blocks until data that is there from earlier has been looked at, of a magnet link also until
// peers have said what it means; the rest
// goes on until the Download's Done. communicator.ErrNotFound when there is
// no such thing, with near names in the Hint; ErrBusy when a process of this
// Storage has the name; ErrTargetExists when something else is in the way;
// ErrNoSpace when the disk has no room for it.
func (c *Client) Download(ctx context.Context, req DownloadRequest) (_ *Download, err error) {
	defer func() { err = asInterrupted(ctx, err) }()
	found, err := c.findFor(ctx, req)
	if err != nil {
		return nil, err
	}
	if req.Name != "" && req.Name != found.Name {
		found.Name, found.Foreign = req.Name, true
	}
	lock, err := c.storage.lockSubject(Subject(found.Name, hexOf(found.InfoHash), found.Foreign), found.Name, "download", req.Replacing != nil)
	if err != nil {
		return nil, err
	}
	tor, metainfo, err := c.torrentOf(ctx, req, found)
	if err != nil {
		lock.Release()
		return nil, err
	}
	d := &Download{
		Name: tor.name, InfoHash: tor.infoHash, Bytes: tor.layout.Total, Pieces: tor.layout.NumPieces(), Foreign: tor.foreign,
		c: c, began: time.Now(), lock: lock, layout: tor.layout, handOver: req.Replacing, from: req.From,
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			c.storage.closeRecord(Downloaded, d.Name, d.Path, d.began, asInterrupted(ctx, err))
			d.release()
		}
	}()
	if d.Path = req.Path; d.Path == "" {
		if d.Path, err = c.Target(d.Name, req.Target); err != nil {
			return nil, err
		}
	}
	if !d.Foreign {
		d.earlier = c.earlierVersion(d.Name, d.InfoHash)
	}
	if d.earlier != nil {
		d.metainfo = metainfo
	} else if err := c.storage.saveTorrent(tor.record(), metainfo); err != nil {
		return nil, err
	}
	engine, err := c.start(ctx, d.Foreign || d.from != nil)
	if err != nil {
		return nil, err
	}
	have, err := d.prepare(ctx, req.OnProgress)
	if err != nil {
		return nil, err
	}
	if err := d.fill(ctx, req, have); err != nil {
		return nil, err
	}
	d.earlier = nil // it has given what it had
	if err := d.begin(engine, tor, req, have, c.storage.infoOf(tor), found.magnet.peers); err != nil {
		return nil, err
	}
	return d, nil
}

// begin has the engine fetch what is missing, from these peers too, and run wait for the
// end of that; info is as in transfer.Spec.
func (d *Download) begin(engine *transfer.Engine, tor torrent, req DownloadRequest, have *wire.Bits, info func() ([]byte, error), peers []netip.AddrPort) (err error) {
	d.arrived.begin(have)
	d.torrent, err = addInPlace(engine, d.sources(tor, transfer.Spec{
		InfoHash: d.InfoHash, Layout: tor.layout, Content: d.content, Have: have,
		OnPiece: d.verified, Info: info, LimitDown: req.LimitDown, LimitUp: req.LimitUp,
	}), d.lock, d.handOver)
	if err != nil {
		return fmt.Errorf("starting the download of %q: %w", d.Name, err)
	}
	d.torrent.AddPeers(peers)
	if err := d.c.goRun(d.run); err != nil {
		bye, cancel := context.WithTimeout(context.Background(), stopGrace)
		defer cancel()
		return errors.Join(err, d.torrent.Stop(bye)) // it uses the content until it is stopped
	}
	return nil
}

// fill takes what is here already of what is missing. There has to be room for that as for
// what is fetched.
func (d *Download) fill(ctx context.Context, req DownloadRequest, have *wire.Bits) error {
	if err := d.reserve(req, have); err != nil {
		return err
	}
	if err := d.reuse(ctx, have); err != nil {
		return err
	}
	return d.sufficient(have)
}

// verified enters a piece into the journal. A journal that cannot be written
// costs a re-hash after a crash, not the download.
func (d *Download) verified(piece int) {
	d.arrived.add(piece)
	d.journalMu.Lock()
	defer d.journalMu.Unlock()
	if d.journal == nil {
		return
	}
	if err := d.journal.Add(piece); err != nil {
		d.c.log.Warn("journal not written", "name", d.Name, "err", err)
	}
}

// run waits for the end of the fetching and draws the conclusion.
func (d *Download) run() {
	defer close(d.done)
	select {
	case <-d.torrent.Done(): // complete counts, whatever else happened
		d.conclude(d.complete())
		return
	default:
	}
	select {
	case <-d.torrent.Done():
		d.conclude(d.complete())
	case <-d.torrent.Failed():
		err := fmt.Errorf("downloading %q: %w", d.Name, d.torrent.Err())
		if errors.Is(err, transfer.ErrWrongData) {
			err = fmt.Errorf("%w: %w", ErrMismatch, err)
		}
		d.conclude(err)
	case <-d.stop:
		d.err = ErrInterrupted
	case <-d.c.over:
		d.err = ErrInterrupted
	}
}

// Done is closed when every byte is verified and at its target, or when that
// will not come: Err says which.
func (d *Download) Done() <-chan struct{} { return d.done }

// Err is nil when the download is complete. It is valid once Done is closed.
func (d *Download) Err() error { return d.err }

// Took is the time from the request to Done.
func (d *Download) Took() time.Duration { return d.took }

// Status tells how far it is and from whom the bytes came.
func (d *Download) Status() transfer.Status {
	return d.torrent.Status()
}

// Newer asks the ring, or where it comes from, whether the name of a download stands for a newer version by now.
func (d *Download) Newer(ctx context.Context) (bool, error) {
	if d.from != nil {
		return d.from.newer(ctx, d)
	}
	versions, err := d.c.ring.Versions(ctx, d.Name)
	if err != nil {
		return false, err
	}
	return versions[0].InfoHash != d.InfoHash, nil
}

// SetLimits bounds what it receives and sends, in bytes per second; 0: no bound.
func (d *Download) SetLimits(down, up int64) { d.torrent.SetLimits(down, up) }

// lingerEvery is how often Linger looks whether peers still fetch.
const lingerEvery = 100 * time.Millisecond

// Linger serves a complete download until no connected peer is still fetching
// from it, most at most, or until ctx ends.
func (d *Download) Linger(ctx context.Context, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	tick := time.NewTicker(lingerEvery)
	defer tick.Stop()
	for d.torrent.Status().PeersWanting > 0 {
		select {
		case <-ctx.Done():
			return
		case <-d.torrent.Failed():
			return
		case <-d.c.over:
			return
		case <-tick.C:
		}
	}
}

// Failed is closed when a complete download can be served no longer, for
// example as somebody changed the file; ServeErr says why.
func (d *Download) Failed() <-chan struct{} { return d.torrent.Failed() }

// ServeErr says why a complete download is served no longer.
func (d *Download) ServeErr() error { return d.torrent.Err() }

// AfterFailed has f called, on a goroutine of its own, once Failed is closed.
func (d *Download) AfterFailed(f func()) { d.torrent.AfterFailed(f) }

// Stop ends fetching and serving and tells the ring so, as far as ctx leaves
// time. What has been fetched is kept and continued by the same request. A
// second call does nothing.
func (d *Download) Stop(ctx context.Context) error {
	if d.stopped.Swap(true) {
		return nil
	}
	close(d.stop)
	<-d.done
	var errs []error
	errs = append(errs, d.torrent.Stop(ctx))
	if j := d.takeJournal(); j != nil {
		var err error
		if d.sink != nil {
			err = d.content.Sync() // before that nobody can tell whether a device has been written to
		}
		if err == nil {
			err = j.CloseClean(d.content)
		} else {
			j.Close()
		}
		errs = append(errs, err)
	}
	if errors.Is(d.err, ErrInterrupted) && d.sink == nil {
		d.rec.State, d.rec.Finished = Interrupted, time.Now()
		errs = append(errs, d.c.storage.saveRecord(d.rec))
	}
	d.release()
	return errors.Join(errs...)
}

// release lets go of everything without any further ado.
func (d *Download) release() {
	if j := d.takeJournal(); j != nil {
		j.Close()
	}
	if d.content != nil {
		d.content.Close()
	}
	if d.partLock != nil {
		d.partLock.Close()
	}
	if d.sink != nil {
		d.sink.release()
	}
	d.lock.Release()
}

// takeJournal gives the open journal, once.
func (d *Download) takeJournal() *storage.Journal {
	d.journalMu.Lock()
	defer d.journalMu.Unlock()
	j := d.journal
	d.journal = nil
	return j
}
