package client

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"chordtorrent/transfer/storage"
)

// hash gives the layout and .torrent of p.Path and keeps both what they are
// and what the path looked like, so that an unchanged path need not be read
// again.
func (c *Client) hash(ctx context.Context, p *Publication, req PublishRequest) (torrent, []byte, error) {
	hashing := time.Now()
	before, err := fingerprintOf(p.Path)
	if err != nil {
		return torrent{}, nil, err
	}
	rec, known, err := c.storage.Record(Published, p.Name, "")
	if err != nil {
		return torrent{}, nil, err
	}
	if known && !rec.Foreign && rec.Path == p.Path && rec.Fingerprint == before.digest && rec.Fingerprint != "" {
		if tor, metainfo, ok := c.savedTorrent(p, rec); ok {
			rec.State, rec.Error, rec.Started = Running, "", p.began
			return tor, metainfo, c.storage.saveRecord(rec)
		}
	}
	layout, metainfo, infoHash, err := storage.Build(ctx, p.Path, p.Name, runtime.GOMAXPROCS(0), req.OnProgress.stage(Hashing))
	if err != nil {
		return torrent{}, nil, fmt.Errorf("hashing %s: %w", p.Path, err)
	}
	after, err := fingerprintOf(p.Path)
	if err != nil {
		return torrent{}, nil, err
	}
	trusted := before.trustedAt(hashing)
	if after.digest != before.digest {
		trusted = ""
	}
	p.InfoHash = infoHash
	if err := c.storage.SaveTorrent(p.Name, metainfo); err != nil {
		return torrent{}, nil, err
	}
	return torrent{name: p.Name, infoHash: infoHash, layout: layout}, metainfo, c.storage.saveRecord(Record{
		ID: RecordID(Published, p.Name, ""), Kind: Published, Name: p.Name, State: Running, Path: p.Path,
		InfoHash: hex.EncodeToString(infoHash[:]), Bytes: layout.Total, Pieces: layout.NumPieces(), Copy: req.Copy,
		Fingerprint: trusted, Started: p.began,
	})
}

// savedTorrent is the .torrent that Storage kept for an unchanged path.
func (c *Client) savedTorrent(p *Publication, rec Record) (torrent, []byte, bool) {
	metainfo, err := os.ReadFile(c.storage.TorrentPathOf(rec))
	if err != nil {
		return torrent{}, nil, false
	}
	tor, err := parseTorrent(metainfo)
	if err != nil || hex.EncodeToString(tor.infoHash[:]) != rec.InfoHash {
		return torrent{}, nil, false
	}
	p.InfoHash, tor.name = tor.infoHash, p.Name
	return tor, metainfo, true
}

// copyToStorage makes files/NAME a copy of source and gives its path. A copy
// of an earlier time is replaced at the end.
func (c *Client) copyToStorage(ctx context.Context, source, name string, on OnProgress) (string, error) {
	dst := filepath.Join(c.storage.FilesDir(), name)
	if source == dst {
		return dst, nil
	}
	want, err := fingerprintOf(source)
	if err != nil {
		return "", err
	}
	rec, known, err := c.storage.Record(Published, name, "")
	if err != nil {
		return "", err
	}
	if _, err := os.Lstat(dst); err == nil {
		have, err := fingerprintOf(dst)
		switch {
		case err != nil:
			return "", err
		case have.digest == want.digest:
			return dst, nil
		case !known || !rec.Copy || rec.Path != dst || (rec.Fingerprint != "" && rec.Fingerprint != have.digest):
			return "", hint(fmt.Errorf("%w: %s", ErrTargetExists, dst), "move it away, or publish without --copy")
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	tmp := filepath.Join(c.storage.FilesDir(), ".copy-"+RecordID(Published, name, ""))
	if err := os.RemoveAll(tmp); err != nil { // of a process that was killed
		return "", err
	}
	var progress func(int64)
	if on != nil {
		progress = func(done int64) { on(Copying, done, want.bytes) }
	}
	if err := copyInto(ctx, source, tmp, progress); err != nil {
		return "", errors.Join(err, os.RemoveAll(tmp))
	}
	if err := os.RemoveAll(dst); err != nil {
		return "", err
	}
	return dst, os.Rename(tmp, dst)
}
