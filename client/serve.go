package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"time"

	"chordtorrent/communicator"
	"chordtorrent/transfer"
	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

// Serve serves what this Storage published, or downloaded completely, as a record
// says. The ring is told only that this client has it: whether the name still
// stands for it there is for others to say. Data that looks as it did when it was
// known to be good is not read again; else it is hashed first, which blocks and is
// told to on. ErrMismatch when it is not what it was, communicator.ErrNotFound when
// it is gone, ErrBusy when another process works on the name, or this client serves it
// already. While a later version is fetched, it is the earlier one that is served, if
// that is there as it was.
func (c *Client) Serve(ctx context.Context, rec Record, on OnProgress) (_ *Publication, err error) {
	defer func() { err = asInterrupted(ctx, err) }()
	p := &Publication{Name: rec.Name, Path: rec.Path, Foreign: rec.Foreign, c: c, kind: rec.Kind, began: time.Now()}
	if p.lock, err = c.storage.lockSubject(rec.subject(), p.Name, "serve", true); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.release()
		}
	}()
	earlier := rec.Earlier != "" && rec.State != Done
	if earlier {
		rec.InfoHash = rec.Earlier
	}
	tor, _, err := c.storage.torrentOf(rec)
	if err != nil {
		return nil, err
	}
	p.InfoHash, p.Bytes, p.Pieces = tor.infoHash, tor.layout.Total, tor.layout.NumPieces()
	if err := p.open(ctx, tor.layout, rec, earlier, on); err != nil {
		return nil, err
	}
	engine, err := c.start(ctx, tor.foreign || hasTrackers(tor.tiers))
	if err != nil {
		return nil, err
	}
	if err := p.add(engine, tor, true, nil); err != nil {
		return nil, err
	}
	if rec.Kind == Published && (rec.State != Running || rec.Error != "") {
		rec.State, rec.Error = Running, ""
		err = c.storage.saveRecord(rec)
	}
	return p, err
}

// addInPlace adds a torrent to the engine, if need be in place of the same one that is
// served already from elsewhere.
func addInPlace(engine *transfer.Engine, s transfer.Spec, lock *nameLock, replacing func(subject string)) (*transfer.Torrent, error) {
	t, err := engine.Add(s)
	if errors.Is(err, transfer.ErrKnown) && replacing != nil {
		replacing(lock.subject)
		t, err = engine.Add(s)
	}
	return t, err
}

// takePlace has what was worked on be what is served of its subject from now on.
func takePlace(lock *nameLock, replacing func(subject string)) error {
	if replacing != nil {
		replacing(lock.subject)
	}
	return lock.Served()
}

// torrentOf reads the .torrent that Storage keeps for a record.
func (s *Storage) torrentOf(rec Record) (tor torrent, metainfo []byte, err error) {
	if metainfo, err = os.ReadFile(s.TorrentPathOf(rec)); err != nil {
		return torrent{}, nil, fmt.Errorf("the .torrent of %q: %w", rec.Name, err)
	}
	if tor, err = parseTorrent(metainfo); err != nil {
		return torrent{}, nil, fmt.Errorf("the .torrent of %q: %w", rec.Name, err)
	}
	if hexOf(tor.infoHash) != rec.InfoHash {
		return torrent{}, nil, hint(fmt.Errorf("Storage has the .torrent of another version of %q than is at %s", rec.Name, rec.Path),
			"download or publish it again")
	}
	tor.name, tor.foreign = rec.Name, rec.Foreign
	return tor, metainfo, nil
}

// open opens the data for serving and makes sure that it is what it was. Of an earlier
// version, which is about to be replaced, nothing is read for that.
func (p *Publication) open(ctx context.Context, layout *storage.Layout, rec Record, earlier bool, on OnProgress) (err error) {
	p.content, err = storage.OpenSource(layout, p.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return hint(fmt.Errorf("%w: %w", communicator.ErrNotFound, err), "download or publish it again")
	case errors.Is(err, storage.ErrChanged):
		return fmt.Errorf("%w: %w", ErrMismatch, err)
	case err != nil:
		return fmt.Errorf("opening %s to serve it: %w", p.Path, err)
	}
	looked := time.Now()
	fp, err := fingerprintOf(p.Path)
	if err != nil {
		return err
	}
	if rec.Fingerprint != "" && rec.Fingerprint == fp.digest {
		return nil
	}
	if earlier {
		return fmt.Errorf("%w: %s is not as it was", ErrMismatch, rec.Path)
	}
	have, err := storage.Verify(ctx, p.content, runtime.GOMAXPROCS(0), on.stage(Verifying))
	if err != nil {
		return fmt.Errorf("reading %s: %w", p.Path, err)
	}
	if !have.All() {
		return hint(fmt.Errorf("%w: %d of %d pieces of %s", ErrMismatch, p.Pieces-have.Count(), p.Pieces, p.Path),
			"publish it again to serve it as it is now")
	}
	rec.Fingerprint = fp.trustedAt(looked)
	return p.c.storage.saveRecord(rec)
}

// add lets the engine serve the open content; patient as in transfer.Spec.
func (p *Publication) add(engine *transfer.Engine, tor torrent, patient bool, replacing func(subject string)) (err error) {
	var announcer transfer.Announcer
	announcer, p.announcer = p.c.announcerOf(tor)
	have := wire.NewBits(p.Pieces)
	have.SetAll()
	tor.layout.Pieces = nil // nothing is checked any more, and of a large file they are most of it
	p.torrent, err = addInPlace(engine, transfer.Spec{
		InfoHash: p.InfoHash, Layout: tor.layout, Content: p.content, Have: have,
		Announcer: announcer, Info: p.c.storage.infoOf(tor), Patient: patient,
	}, p.lock, replacing)
	if err != nil {
		return fmt.Errorf("serving %s: %w", p.Path, err)
	}
	return nil
}

// SetLimits bounds what a publication receives and sends, in bytes per second; 0: no bound.
func (p *Publication) SetLimits(down, up int64) { p.torrent.SetLimits(down, up) }
