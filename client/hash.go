package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
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
		if tor, metainfo, err := c.storage.torrentOf(rec); err == nil {
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
	tor := torrent{name: p.Name, infoHash: infoHash, layout: layout}
	rec = p.record(tor)
	rec.Copy, rec.Fingerprint = req.Copy, trusted
	if err := c.storage.saveTorrent(rec, metainfo); err != nil {
		return torrent{}, nil, err
	}
	return tor, metainfo, c.storage.saveRecord(rec)
}

// record is the record of a publication that has begun.
func (p *Publication) record(tor torrent) Record {
	return Record{
		ID: RecordID(Published, p.Name, ""), Kind: Published, Name: p.Name, State: Running, Path: p.Path,
		InfoHash: hexOf(tor.infoHash), Foreign: tor.foreign, Bytes: tor.layout.Total, Pieces: tor.layout.NumPieces(), Started: p.began,
	}
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
	rec, _, err := c.storage.Record(Published, name, "")
	if err != nil {
		return "", err
	}
	switch have, err := fingerprintOf(dst); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", err
	case have.digest == want.digest:
		return dst, nil
	case !rec.isCopy(dst, have):
		return "", hint(fmt.Errorf("%w: %s", ErrTargetExists, dst), "move it away, or publish without --copy")
	}
	room, err := c.storage.incomingFolder()
	if err != nil {
		return "", err
	}
	defer discardFolder(room)
	tmp := filepath.Join(room.Name(), "copy")
	var progress func(int64)
	if on != nil {
		progress = func(done int64) { on(Copying, done, want.bytes) }
	}
	if err := copyInto(ctx, source, tmp, progress); err != nil {
		return "", err
	}
	if err := os.RemoveAll(dst); err != nil {
		return "", err
	}
	return dst, os.Rename(tmp, dst)
}

// isCopy says whether what is at a place is a copy that Storage made, which a later one may
// replace, and not what somebody has changed or put there since.
func (r Record) isCopy(at string, have fingerprint) bool {
	ours := r.Copy && r.Path == at && (r.Fingerprint == "" || r.Fingerprint == have.digest)
	return ours || slices.Contains(strings.Fields(r.Incoming), have.digest)
}
