package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"chordtorrent/transfer/storage"
)

// Stream is what is published and lies in no file that stays as it is: what a pipe brings,
// or what is on a block device, which may change while it is served.
type Stream struct {
	// Reader is read once, in order. A read of it that blocks has to end by itself, or
	// when whoever made it stops it.
	Reader io.Reader
	From   string // what it is called in errors, as "standard input"
	// Size is how many bytes are expected, for the piece length and for the room on the
	// disk; -1: unknown.
	Size int64
}

// takeIn makes files/NAME of what a stream brings. It is there as a whole or not at all:
// until then a copy of an earlier time stays.
func (c *Client) takeIn(ctx context.Context, p *Publication, req PublishRequest) (_ torrent, _ []byte, err error) {
	fail := func(err error) (torrent, []byte, error) { return torrent{}, nil, err }
	dst := filepath.Join(c.storage.FilesDir(), p.Name)
	before, known, err := c.storage.Record(Published, p.Name, "")
	if err != nil {
		return fail(err)
	}
	there, err := before.givesWay(dst)
	if err != nil {
		return fail(err)
	}
	if err := c.roomFor(req); err != nil {
		return fail(err)
	}
	f, err := c.storage.incoming()
	if err != nil {
		return fail(err)
	}
	defer func() { err = errors.Join(err, discardIncoming(f)) }()

	var progress func(int64)
	if on := req.OnProgress; on != nil {
		progress = func(done int64) { on(Copying, done, max(done, req.Stream.Size)) }
	}
	layout, metainfo, infoHash, err := storage.Take(ctx, req.Stream.Reader, req.Stream.From, f, p.Name, req.Stream.Size, 0, progress)
	switch {
	case errors.Is(err, storage.ErrTooLong):
		return fail(hint(err, "say with --size about how many bytes will come: the pieces become longer then"))
	case err != nil:
		return fail(fmt.Errorf("copying %s into Storage: %w", req.Stream.From, err))
	case layout.Total == 0:
		return fail(hint(fmt.Errorf("%s is empty: nothing was published", req.Stream.From), "see whether what should have written to it has failed"))
	}
	if err := f.Sync(); err != nil {
		return fail(fmt.Errorf("writing %s: %w", f.Name(), bare(err)))
	}
	now, err := fingerprintOf(f.Name()) // a rename changes nothing of it
	if err != nil {
		return fail(err)
	}
	p.Path = dst
	tor := torrent{name: p.Name, infoHash: infoHash, layout: layout}
	rec := p.record(tor)
	rec.Copy, rec.Fingerprint = true, now.digest
	if !known {
		before = rec
		before.State, before.Finished = Interrupted, time.Now()
	}
	// Whoever finds it at its place after a kill has to know that it is ours.
	before.Incoming = there + " " + now.digest
	if err := c.storage.saveRecord(before); err != nil {
		return fail(err)
	}
	if _, err := before.givesWay(dst); err != nil { // hours may have passed
		return fail(err)
	}
	if err := moveInto(f.Name(), dst); err != nil {
		return fail(fmt.Errorf("putting %s in place: %w", dst, bare(err)))
	}
	if err := c.storage.saveTorrent(rec, metainfo); err != nil {
		return fail(err)
	}
	return tor, metainfo, c.storage.saveRecord(rec)
}

// moveInto puts a file of incoming where nothing is, or a copy of an earlier time. That may
// have been a directory, which goes out of the way as a whole: half of it would be nobody's.
func moveInto(from, to string) error {
	aside := ""
	if info, err := os.Lstat(to); err == nil && info.IsDir() {
		aside = from + ".old"
		if err := os.Rename(to, aside); err != nil {
			return err
		}
	}
	if err := os.Rename(from, to); err != nil {
		if aside != "" {
			err = errors.Join(err, os.Rename(aside, to))
		}
		return err
	}
	if aside != "" {
		_ = os.RemoveAll(aside) // else it is swept away
	}
	return SyncDir(filepath.Dir(to))
}

// givesWay says whether nothing is at the place of a copy but, perhaps, an earlier copy that
// this record is about, of which it gives the fingerprint; else it is ErrTargetExists.
func (r Record) givesWay(dst string) (there string, err error) {
	have, err := fingerprintOf(dst)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case r.isCopy(dst, have):
		return have.digest, nil
	}
	return "", hint(fmt.Errorf("%w: %s", ErrTargetExists, dst), "move it away, or publish under another name")
}

// roomFor says before anything is copied whether it would fit if nothing of it were zeros.
func (c *Client) roomFor(req PublishRequest) error {
	free, _, known := spaceAt(c.storage.FilesDir())
	if !known || req.AnySpace || req.Stream.Size <= free {
		return nil
	}
	return hint(fmt.Errorf("%w: the copy of %s in %s needs up to %d bytes, and %d are free there", ErrNoSpace, req.Stream.From, c.storage.FilesDir(), req.Stream.Size, free),
		"make room, or choose another --storage; zeros take no room: with --no-space-check it is begun anyway")
}
