package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Option changes what Build writes.
type Option func(*options)

type options struct {
	tiers       [][]string
	pieceLength int64
	webSeeds    []string
	comment     string
	private     bool
	only        []string
}

// WithAnnounce writes the URLs of trackers into the .torrent: tiers of equal
// ones, in the order in which they are to be tried (BEP 12).
func WithAnnounce(tiers [][]string) Option { return func(o *options) { o.tiers = tiers } }

// WithPieceLength sets the piece length in bytes instead of the rule of
// [PieceLength].
func WithPieceLength(n int64) Option { return func(o *options) { o.pieceLength = n } }

// WithWebSeeds names HTTP servers that have the content (BEP 19).
func WithWebSeeds(urls []string) Option { return func(o *options) { o.webSeeds = urls } }

// WithComment writes a comment for whoever looks at the .torrent.
func WithComment(text string) Option { return func(o *options) { o.comment = text } }

// Private says that peers are to come from the torrent's trackers alone (BEP 27).
func Private() Option { return func(o *options) { o.private = true } }

// Only takes of a directory what has these names in it, and what is below them.
func Only(names []string) Option { return func(o *options) { o.only = names } }

// Build hashes a file, or all files below a directory, on so many workers (0:
// one per core) and returns the layout, the .torrent and its info hash. name is
// what the torrent is called, "" for the last part of path. The same files and
// options give the same bytes. Directories are taken in the order of their
// paths; symbolic links in them are followed as long as they stay inside, what
// cannot be published (ErrLink, ErrLoop, ErrSpecial) is an error with its path.
// A file that changes meanwhile is ErrChanged. Holes are not read. progress, if
// not nil, is told the bytes hashed so far, by one worker at a time. A torrent
// of no bytes has no pieces.
func Build(ctx context.Context, path, name string, workers int, progress func(done, total int64), opts ...Option) (*Layout, []byte, [20]byte, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	l, err := hashed(ctx, path, name, workers, progress, o)
	if err != nil {
		return nil, nil, [20]byte{}, err
	}
	torrent, hash, err := encode(l, o)
	if err != nil {
		return nil, nil, [20]byte{}, err
	}
	return l, torrent, hash, nil
}

// survey returns the layout of what is at path, without hashes.
func survey(path, name string, o options) (*Layout, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = filepath.Base(path)
	}
	if err := checkComponent(name); err != nil {
		return nil, fmt.Errorf("a torrent cannot be called %q: %w", name, err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("publish %s: %w", path, reason(err))
	}
	l := &Layout{Name: name, Private: o.private}
	switch {
	case fi.IsDir():
		if l.Files, l.stamps, err = walk(path, o.only); err != nil {
			return nil, err
		}
	case fi.Mode().IsRegular():
		l.Single = true
		l.Files = []File{{Path: name, Length: fi.Size(), Exec: fi.Mode()&0o111 != 0}}
		l.stamps = []stamp{{fi.Size(), fi.ModTime().UnixNano()}}
	default:
		return nil, fmt.Errorf("publish %s: %w", path, ErrSpecial)
	}
	last := l.Files[len(l.Files)-1]
	l.Total = last.Offset + last.Length
	if l.PieceLength = o.pieceLength; o.pieceLength == 0 {
		l.PieceLength = PieceLength(l.Total)
	}
	if l.PieceLength < 0 || l.PieceLength > MaxPieceLength {
		return nil, fmt.Errorf("publish %s: %w: pieces of %d bytes, at most %d", path, ErrLengths, l.PieceLength, int64(MaxPieceLength))
	}
	return l, nil
}

// hashed is survey with the hashes of the pieces.
func hashed(ctx context.Context, path, name string, workers int, progress func(done, total int64), o options) (*Layout, error) {
	l, err := survey(path, name, o)
	if err != nil {
		return nil, err
	}
	if n := int64(l.NumPieces()) * HashLen; n > MaxTorrent {
		return nil, fmt.Errorf("publish %s: %w: %d pieces, choose longer ones", path, ErrLengths, l.NumPieces())
	}
	c, err := OpenSource(l, path)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	pieces := make([]byte, l.NumPieces()*HashLen)
	complete := 0
	err = hashPieces(ctx, c, nil, workers, progress, func(i int, sum [HashLen]byte) {
		copy(pieces[i*HashLen:], sum[:])
		complete++
	})
	if err != nil {
		return nil, err
	}
	// Whatever happened to a file while it was read shows in its size or time now.
	if err := c.Check(); err != nil {
		return nil, err
	}
	if complete != l.NumPieces() {
		return nil, errors.Join(fmt.Errorf("publish %s", path), ErrChanged)
	}
	l.Pieces = pieces
	return l, nil
}
