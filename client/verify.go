package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"

	"chordtorrent/communicator"
	"chordtorrent/transfer/storage"
)

// Verified is the outcome of reading local data against its hashes.
type Verified struct {
	Name     string
	Path     string
	InfoHash [20]byte
	Bytes    int64
	Pieces   int
	Good     int // pieces that match
}

// Verify reads what Storage published or downloaded under a name, the latest
// of it, and compares each piece with its hash. It asks no ring and takes no
// lock. ErrMismatch with a valid Verified when pieces are wrong or the files
// have other sizes; communicator.ErrNotFound when Storage has no such name.
func (s *Storage) Verify(ctx context.Context, name string, on OnProgress) (v Verified, err error) {
	defer func() { err = asInterrupted(ctx, err) }()
	rec, err := s.latest(name)
	if err != nil {
		return v, err
	}
	v = Verified{Name: name, Path: rec.Path, Bytes: rec.Bytes, Pieces: rec.Pieces}
	tor, _, err := s.torrentOf(rec)
	if err != nil {
		return v, err
	}
	v.InfoHash = tor.infoHash
	content, err := storage.OpenSource(tor.layout, rec.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return v, hint(fmt.Errorf("%w: %w", communicator.ErrNotFound, err), "download or publish it again")
	case err != nil:
		return v, fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	defer content.Close()
	have, err := storage.Verify(ctx, content, runtime.GOMAXPROCS(0), on.stage(Verifying))
	if err != nil {
		return v, fmt.Errorf("reading %s: %w", rec.Path, err)
	}
	if v.Good = have.Count(); v.Good < v.Pieces {
		return v, fmt.Errorf("%w: %d of %d pieces of %s", ErrMismatch, v.Pieces-v.Good, v.Pieces, rec.Path)
	}
	return v, nil
}

// latest is the newest publication or complete download of a name.
func (s *Storage) latest(name string) (Record, error) {
	all, err := s.Records()
	if err != nil {
		return Record{}, err
	}
	for i := len(all) - 1; i >= 0; i-- {
		if r := all[i]; r.Name == name && (r.Kind == Published || r.State == Done) {
			return r, nil
		}
	}
	return Record{}, hint(fmt.Errorf("this Storage neither published nor downloaded %q: %w", name, communicator.ErrNotFound),
		"btclient verify looks at what is in %s", s.dir)
}
