package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"time"

	"chordtorrent/transfer/storage"
)

// UploadRequest says what is served as the content of which .torrent.
type UploadRequest struct {
	Path       string // a file or directory
	Torrent    string // the path of a .torrent
	OnProgress OnProgress
	// Replacing is as in DownloadRequest: it is called when others hear of it.
	Replacing func(subject string)
}

// CheckUpload says whether a request can be carried out as far as that is known without
// reading the data, and gives the name that it will have and the .torrent.
func CheckUpload(req UploadRequest) (name string, metainfo []byte, err error) {
	if _, err := checkSource(req.Path); err != nil {
		return "", nil, err
	}
	if metainfo, err = readTorrentFile(req.Torrent); err != nil {
		return "", nil, err
	}
	tor, err := parseTorrent(metainfo)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", req.Torrent, err)
	}
	return foreignName(tor.name, tor.infoHash), metainfo, nil
}

// Upload serves a file or directory as the content of a .torrent that is there already,
// whoever made it. It blocks until every piece is checked; then its trackers hear of it,
// and the ring under the torrent's name, unless it is private or no ring is in reach.
// ErrMismatch when the content is not that of the .torrent; otherwise as Publish.
func (c *Client) Upload(ctx context.Context, req UploadRequest) (_ *Publication, err error) {
	defer func() { err = asInterrupted(ctx, err) }()
	source, err := checkSource(req.Path)
	if err != nil {
		return nil, err
	}
	metainfo, err := readTorrentFile(req.Torrent)
	if err != nil {
		return nil, err
	}
	tor, err := parseTorrent(metainfo)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", req.Torrent, err)
	}
	own := hasTrackers(tor.tiers)
	tor.foreign = own && tor.layout.Private
	if own && !tor.foreign {
		meeting, cancel := context.WithTimeout(ctx, ringPatience)
		if err := c.meetRing(meeting); err != nil {
			c.log.Warn("no ring in reach: only the trackers hear of it", "name", tor.name, "err", err)
			tor.foreign = true
		}
		cancel()
	}
	tor.name = foreignName(tor.name, tor.infoHash)
	p := &Publication{Name: tor.name, Path: source, InfoHash: tor.infoHash, Bytes: tor.layout.Total, Pieces: tor.layout.NumPieces(),
		Foreign: tor.foreign, c: c, kind: Published, began: time.Now()}
	rec := p.record(tor)
	if p.lock, err = c.storage.lockSubject(rec.subject(), p.Name, "publish", req.Replacing != nil); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.storage.closeRecord(Published, p.Name, "", p.began, asInterrupted(ctx, err))
			p.release()
		}
	}()
	if err := p.check(ctx, tor, &rec, req.OnProgress); err != nil {
		return nil, err
	}
	if err := errors.Join(c.storage.saveTorrent(rec, metainfo), c.storage.saveRecord(rec)); err != nil {
		return nil, err
	}
	engine, err := c.start(ctx, tor.foreign)
	if err != nil {
		return nil, err
	}
	if err := p.add(engine, tor, false, req.Replacing); err != nil {
		return nil, err
	}
	if !tor.foreign {
		if err := p.register(ctx, metainfo); err != nil {
			return nil, fmt.Errorf("storing the torrent of %q in the ring: %w", p.Name, err)
		}
		p.announcer.awaitFirst(ctx)
	}
	if err := takePlace(p.lock, req.Replacing); err != nil {
		return nil, err
	}
	c.log.Info("published", "name", p.Name, "info_hash", hexOf(p.InfoHash), "copies", p.Copies)
	return p, nil
}

// check opens the content and reads it against the hashes of a .torrent.
func (p *Publication) check(ctx context.Context, tor torrent, rec *Record, on OnProgress) (err error) {
	not := func(err error) error {
		return hint(fmt.Errorf("%s is not the content of the torrent %q: %w", p.Path, tor.layout.Name, err),
			"give the file or directory that the .torrent was made of")
	}
	looked := time.Now()
	before, err := fingerprintOf(p.Path)
	if err != nil {
		return err
	}
	if p.content, err = storage.OpenSource(tor.layout, p.Path); err != nil {
		return not(fmt.Errorf("%w: %w", ErrMismatch, err))
	}
	have, err := storage.Verify(ctx, p.content, runtime.GOMAXPROCS(0), on.stage(Verifying))
	if err != nil {
		return fmt.Errorf("reading %s: %w", p.Path, err)
	}
	if !have.All() {
		return not(fmt.Errorf("%w: %d of %d pieces", ErrMismatch, p.Pieces-have.Count(), p.Pieces))
	}
	rec.Fingerprint = before.trustedAt(looked)
	return nil
}

// readTorrentFile reads a .torrent by its path, if it has a possible size.
func readTorrentFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hint(fmt.Errorf("there is no .torrent %s", path), "btclient publish is for what has none yet")
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is a %s, not a .torrent", path, describeMode(info.Mode()))
	}
	if info.Size() > storage.MaxTorrent {
		return nil, fmt.Errorf("%s is no .torrent: it has %d bytes, at most %d are possible", path, info.Size(), storage.MaxTorrent)
	}
	b, err := os.ReadFile(path)
	return trimmed(b), err
}

// trimmed is a .torrent without the ends of lines that editors and servers put behind it.
func trimmed(b []byte) []byte { return bytes.TrimRight(b, "\r\n") }
