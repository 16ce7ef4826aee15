package client

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"chordtorrent/communicator"
	"chordtorrent/transfer"
	"chordtorrent/transfer/storage"
)

// Stage says what goes on before bytes move over the network.
type Stage string

// The stages.
const (
	Copying   Stage = "copying"
	Hashing   Stage = "hashing"
	Verifying Stage = "verifying"
	Zeroing   Stage = "zeroing" // of a device, where zeros are to be
)

// OnProgress is told, from any goroutine and often, how far a stage is in bytes.
type OnProgress func(stage Stage, done, total int64)

func (p OnProgress) stage(s Stage) func(done, total int64) {
	if p == nil {
		return nil
	}
	return func(done, total int64) { p(s, done, total) }
}

// PublishRequest says what to publish.
type PublishRequest struct {
	Path string // a file or directory
	Name string // in the ring; empty means the last element of Path
	// Copy keeps a copy in Storage and serves that, so that the original may
	// change or go away.
	Copy bool
	// Stream, unless nil, brings the bytes, in place of Path: they are copied into Storage
	// while they are hashed, and that copy is served. Name is needed then.
	Stream *Stream
	// AnySpace takes a Stream in also when the disk seems to have no room for all of it.
	AnySpace   bool
	OnProgress OnProgress // may be nil
	// Replacing is as in DownloadRequest: it is called when the ring has the new version.
	Replacing func(subject string)
}

// Publication is something that this client published and serves.
type Publication struct {
	Name     string
	Path     string // of what is served
	InfoHash [20]byte
	Bytes    int64
	Pieces   int
	Foreign  bool // the ring does not know it
	Copies   int  // ring members that hold its .torrent on disk

	c         *Client
	kind      Kind // of the record that says what it is
	began     time.Time
	lock      *nameLock
	content   *storage.Content
	announcer *announcer // to the ring; nil: it is not told
	torrent   *transfer.Torrent
	stopped   atomic.Bool
}

// CheckPublish says whether a request can be carried out as far as that is
// known without reading the data or asking the ring.
func CheckPublish(req PublishRequest) error {
	path, err := checkSource(req.Path)
	if err != nil {
		return err
	}
	return CheckName(publishName(path, req.Name))
}

func publishName(path, name string) string {
	if name != "" {
		return name
	}
	return filepath.Base(path)
}

// CheckName says in words why a name cannot be one.
func CheckName(name string) error {
	if err := communicator.CheckName(name); err != nil {
		return hint(fmt.Errorf("%w: %w", ErrUsage, err),
			"a name has 1 to 255 bytes of UTF-8, no slash and no control characters; --name gives another one")
	}
	return nil
}

// Publish hashes a file or directory, stores its .torrent in the ring under
// its name and serves it. It blocks until the ring has acknowledged; serving
// goes on until Stop. ErrBusy when a process of this Storage has the name.
func (c *Client) Publish(ctx context.Context, req PublishRequest) (_ *Publication, err error) {
	defer func() { err = asInterrupted(ctx, err) }()
	source := ""
	if req.Stream == nil {
		if source, err = checkSource(req.Path); err != nil {
			return nil, err
		}
	}
	p := &Publication{Name: publishName(source, req.Name), Path: source, c: c, kind: Published, began: time.Now()}
	if err := CheckName(p.Name); err != nil {
		return nil, err
	}
	if p.lock, err = c.storage.lockName(p.Name, "publish", req.Replacing != nil); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.storage.closeRecord(Published, p.Name, "", p.began, asInterrupted(ctx, err))
			p.release()
		}
	}()
	engine, err := c.start(ctx, false)
	if err != nil {
		return nil, err
	}
	if req.Copy && req.Stream == nil {
		if p.Path, err = c.copyToStorage(ctx, source, p.Name, req.OnProgress); err != nil {
			return nil, fmt.Errorf("copying %s into Storage: %w", source, err)
		}
	}
	var tor torrent
	var metainfo []byte
	if req.Stream != nil {
		tor, metainfo, err = c.takeIn(ctx, p, req)
	} else {
		tor, metainfo, err = c.hash(ctx, p, req)
	}
	if err != nil {
		return nil, err
	}
	p.InfoHash, p.Bytes, p.Pieces = tor.infoHash, tor.layout.Total, tor.layout.NumPieces()
	if p.content, err = storage.OpenSource(tor.layout, p.Path); err != nil {
		return nil, fmt.Errorf("opening %s to serve it: %w", p.Path, err)
	}
	// The engine announces while the ring stores the .torrent, so that whoever
	// sees the name finds a peer.
	if err := p.add(engine, tor, false, req.Replacing); err != nil {
		return nil, err
	}
	if err := p.register(ctx, metainfo); err != nil {
		return nil, fmt.Errorf("storing the torrent of %q in the ring: %w", p.Name, err)
	}
	p.announcer.awaitFirst(ctx)
	if err := takePlace(p.lock, req.Replacing); err != nil {
		return nil, err
	}
	c.log.Info("published", "name", p.Name, "info_hash", hexOf(p.InfoHash), "copies", p.Copies)
	return p, nil
}

// A ring that has just lost a member, or is just forming, acknowledges nothing
// for some seconds; each try lets it work for up to 15 s.
const (
	registerTries = 3
	registerPause = 500 * time.Millisecond
)

// register stores the .torrent in the ring, again when the ring was not ready
// for it: doing it twice is harmless.
func (p *Publication) register(ctx context.Context, metainfo []byte) (err error) {
	version := communicator.Version{Name: p.Name, InfoHash: p.InfoHash, Size: p.Bytes, Pieces: p.Pieces,
		Publisher: p.c.id.Load(), Published: time.Now()}
	for try := 1; ; try++ {
		p.Copies, err = p.c.ring.Publish(ctx, version, metainfo)
		_, degraded := errors.AsType[*communicator.Degraded](err)
		passing := degraded || errors.Is(err, communicator.ErrNotReady) || errors.Is(err, communicator.ErrUnavailable)
		switch {
		case passing && try == registerTries:
			return hint(err, "the ring lacks members or is still forming: chordnode status shows it; then publish again")
		case !passing:
			return err
		}
		p.c.log.Warn("the ring has not taken it yet: trying again", "name", p.Name, "err", err)
		timer := time.NewTimer(registerPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// Status tells about serving.
func (p *Publication) Status() transfer.Status { return p.torrent.Status() }

// Failed is closed when p can be served no longer, for example as the file
// was changed; ServeErr says why.
func (p *Publication) Failed() <-chan struct{} { return p.torrent.Failed() }

// ServeErr is why p is served no longer, nil while it is.
func (p *Publication) ServeErr() error { return p.torrent.Err() }

// AfterFailed has f called, on a goroutine of its own, once Failed is closed.
func (p *Publication) AfterFailed(f func()) { p.torrent.AfterFailed(f) }

// Stop ends serving and tells the ring so, as far as ctx leaves time. The
// publication stays in the ring. A second call does nothing.
func (p *Publication) Stop(ctx context.Context) error {
	if p.stopped.Swap(true) {
		return nil
	}
	err := p.torrent.Stop(ctx)
	if failure := p.torrent.Err(); failure != nil && p.kind == Published {
		err = errors.Join(err, p.failed(failure))
	}
	err = errors.Join(err, p.content.Close())
	p.lock.Release()
	return err
}

// failed notes why it is served no longer.
func (p *Publication) failed(failure error) error {
	rec, known, err := p.c.storage.Record(Published, p.Name, "")
	if err != nil || !known || rec.State != Running {
		return err
	}
	rec.State, rec.Error, rec.Finished = Failed, failure.Error(), time.Now()
	return p.c.storage.saveRecord(rec)
}

// release undoes a publication that did not come to be.
func (p *Publication) release() {
	if p.torrent != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
		_ = p.torrent.Stop(ctx) // what went wrong before it matters more
		cancel()
	}
	if p.content != nil {
		p.content.Close()
	}
	p.lock.Release()
}

// stopGrace is how long a torrent that never came to run may take to say
// goodbye to the ring.
const stopGrace = 2 * time.Second

// asInterrupted turns whatever an operation failed with into ErrInterrupted
// when it failed because it was asked to stop.
func asInterrupted(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.Is(err, ErrInterrupted) {
		return err
	}
	return ErrInterrupted
}

// Unpublish takes a name out of the ring. Data and .torrent stay in Storage.
func (c *Client) Unpublish(ctx context.Context, name string) (err error) {
	defer func() { err = asInterrupted(ctx, err) }()
	if err := CheckName(name); err != nil {
		return err
	}
	if err := c.ring.Unpublish(ctx, name); err != nil {
		return c.notFound(ctx, name, err)
	}
	if c.storage == nil {
		return nil
	}
	rec, known, err := c.storage.Record(Published, name, "")
	if err != nil || !known {
		return err
	}
	rec.State, rec.Finished = Unpublished, time.Now()
	return c.storage.saveRecord(rec)
}
