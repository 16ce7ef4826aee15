package client

import (
	"context"
	"encoding/hex"
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
// it is gone, ErrBusy when another process works on the name.
func (c *Client) Serve(ctx context.Context, rec Record, on OnProgress) (_ *Publication, err error) {
	defer func() { err = asInterrupted(ctx, err) }()
	p := &Publication{Name: rec.Name, Path: rec.Path, Bytes: rec.Bytes, Pieces: rec.Pieces, c: c, kind: rec.Kind, began: time.Now()}
	if p.lock, err = c.storage.lockSubject(rec.subject(), p.Name, "serve"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.release()
		}
	}()
	tor, err := c.storage.torrentOf(rec)
	if err != nil {
		return nil, err
	}
	p.InfoHash = tor.infoHash
	if err := p.open(ctx, tor.layout, rec, on); err != nil {
		return nil, err
	}
	engine, err := c.start(ctx, tor.foreign || hasTrackers(tor.tiers))
	if err != nil {
		return nil, err
	}
	if err := p.add(engine, tor); err != nil {
		return nil, err
	}
	if rec.Kind == Published {
		rec.State, rec.Error = Running, ""
		err = c.storage.saveRecord(rec)
	}
	return p, err
}

// torrentOf reads the .torrent that Storage keeps for a record.
func (s *Storage) torrentOf(rec Record) (torrent, error) {
	b, err := os.ReadFile(s.TorrentPathOf(rec))
	if err != nil {
		return torrent{}, fmt.Errorf("the .torrent of %q: %w", rec.Name, err)
	}
	tor, err := parseTorrent(b)
	if err != nil {
		return torrent{}, fmt.Errorf("the .torrent of %q: %w", rec.Name, err)
	}
	if hex.EncodeToString(tor.infoHash[:]) != rec.InfoHash {
		return torrent{}, hint(fmt.Errorf("Storage has the .torrent of another version of %q than is at %s", rec.Name, rec.Path),
			"download or publish it again")
	}
	tor.name, tor.foreign = rec.Name, rec.Foreign
	return tor, nil
}

// open opens the data for serving and makes sure that it is what it was.
func (p *Publication) open(ctx context.Context, layout *storage.Layout, rec Record, on OnProgress) (err error) {
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

// add lets the engine serve the open content.
func (p *Publication) add(engine *transfer.Engine, tor torrent) (err error) {
	var announcer transfer.Announcer
	announcer, p.announcer = p.c.announcerOf(tor)
	have := wire.NewBits(p.Pieces)
	have.SetAll()
	p.torrent, err = engine.Add(transfer.Spec{
		InfoHash: p.InfoHash, Layout: tor.layout, Content: p.content, Have: have,
		Announcer: announcer, Info: p.c.storage.infoOf(tor),
	})
	if err != nil {
		return fmt.Errorf("serving %s: %w", p.Path, err)
	}
	return nil
}

// SetLimits bounds what a publication receives and sends, in bytes per second; 0: no bound.
func (p *Publication) SetLimits(down, up int64) { p.torrent.SetLimits(down, up) }
