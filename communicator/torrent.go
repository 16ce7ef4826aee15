package communicator

import (
	"cmp"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"chordtorrent/chord"
)

// Version is one thing that was published under a name.
type Version struct {
	Name      string
	InfoHash  [20]byte
	Size      int64 // bytes of content
	Pieces    int
	Publisher uint64 // client id; 0: unknown
	Published time.Time
}

// readConcurrency is how many pages of one torrent are asked for at a time,
// publishConcurrency how many are written: 4 MiB under way.
const (
	readConcurrency    = 4
	publishConcurrency = 4
	// readTries is how often a torrent is read anew because it changed while
	// it was read.
	readTries = 3
)

// heldVersion is a version as its torrent map has it.
type heldVersion struct {
	infoHash [20]byte
	header   header
	stamp    chord.Stamp
}

// heldVersions reads the headers of a name, newest first. Headers that do not
// decode are left out; if there are only such, the error says so.
func (c *Communicator) heldVersions(ctx context.Context, name string) ([]heldVersion, error) {
	held, opaque, err := c.readVersions(ctx, name)
	if err == nil && len(held) == 0 && opaque {
		return nil, fmt.Errorf("versions of %q: %w", name, ErrMalformed)
	}
	return held, err
}

// readVersions is heldVersions; opaque tells whether there are headers that
// do not decode.
func (c *Communicator) readVersions(ctx context.Context, name string) (held []heldVersion, opaque bool, err error) {
	r, err := c.getAll(ctx, chord.Get{Key: torrentKey(name), Prefix: fieldHeader})
	if err != nil {
		return nil, false, fmt.Errorf("asking the ring for the versions of %q: %w", name, err)
	}
	for _, f := range r.Fields {
		v, err := parseHeld(f)
		if err != nil {
			opaque = true
			c.log.Warn("torrent header does not decode", "name", name, "err", err)
			continue
		}
		held = append(held, v)
	}
	slices.SortFunc(held, func(a, b heldVersion) int {
		return cmp.Or(-cmp.Compare(a.stamp, b.stamp), slices.Compare(a.infoHash[:], b.infoHash[:]))
	})
	return held, opaque, nil
}

func parseHeld(f chord.Field) (heldVersion, error) {
	v := heldVersion{stamp: f.Stamp}
	if len(f.Name) != len(fieldHeader)+hashBytes {
		return v, fmt.Errorf("%w: header field of %d bytes", ErrMalformed, len(f.Name))
	}
	copy(v.infoHash[:], f.Name[len(fieldHeader):])
	var err error
	v.header, err = decodeHeader(f.Value)
	return v, err
}

// Versions lists what was published under a name and is still held, the
// current one first; at most 16. ErrNotFound if there is nothing.
func (c *Communicator) Versions(ctx context.Context, name string) ([]Version, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	held, err := c.heldVersions(ctx, name)
	if err != nil {
		return nil, err
	}
	if len(held) == 0 {
		return nil, fmt.Errorf("versions of %q: %w", name, ErrNotFound)
	}
	versions := make([]Version, len(held))
	for i, h := range held {
		versions[i] = h.header.version(name, h.infoHash)
	}
	return versions, nil
}

// Torrent gives the current version of a name and its metainfo, complete and
// checked against the info hash: so an answer that only some replicas could
// vouch for is as good as any. ErrNotFound if nothing is published under the
// name, ErrIncomplete if parts of it are missing.
func (c *Communicator) Torrent(ctx context.Context, name string) (Version, []byte, error) {
	if err := CheckName(name); err != nil {
		return Version{}, nil, err
	}
	return c.readTorrent(ctx, name, func() (heldVersion, error) {
		held, err := c.heldVersions(ctx, name)
		if err != nil {
			return heldVersion{}, err
		}
		if len(held) == 0 {
			return heldVersion{}, fmt.Errorf("torrent of %q: %w", name, ErrNotFound)
		}
		return held[0], nil
	})
}

// TorrentOf gives the version with that info hash, whatever its name and
// whether or not it is the current one. ErrNotFound if the ring has none.
func (c *Communicator) TorrentOf(ctx context.Context, infoHash [20]byte) (Version, []byte, error) {
	names, err := c.NamesOf(ctx, infoHash)
	if err != nil {
		return Version{}, nil, err
	}
	missing := fmt.Errorf("torrent with info hash %x: %w", infoHash, ErrNotFound)
	for _, name := range names {
		v, b, err := c.readTorrent(ctx, name, func() (heldVersion, error) {
			f, found, err := c.getField(ctx, torrentKey(name), headerField(infoHash))
			if err != nil {
				return heldVersion{}, fmt.Errorf("asking the ring for %q: %w", name, err)
			}
			if !found {
				return heldVersion{}, missing
			}
			return parseHeld(f)
		})
		if errors.Is(err, ErrNotFound) {
			continue // the link outlived what it points to
		}
		return v, b, err
	}
	return Version{}, nil, missing
}

// readTorrent reads the chunks of the version that choose gives, anew if that
// version was replaced meanwhile.
func (c *Communicator) readTorrent(ctx context.Context, name string, choose func() (heldVersion, error)) (Version, []byte, error) {
	var last error
	for range readTries {
		held, err := choose()
		if err != nil {
			return Version{}, nil, err
		}
		metainfo, err := c.readChunks(ctx, name, held)
		if err == nil {
			return held.header.version(name, held.infoHash), metainfo, nil
		}
		if !errors.Is(err, ErrIncomplete) && !errors.Is(err, ErrMismatch) {
			return Version{}, nil, err
		}
		last = err
	}
	return Version{}, nil, last
}

// readChunks reads the metainfo of a version and checks every byte of it.
func (c *Communicator) readChunks(ctx context.Context, name string, v heldVersion) ([]byte, error) {
	chunks := v.header.chunks()
	set := v.header.set(v.infoHash)
	// Grown as chunks arrive, not by what the header claims: a hostile header
	// costs nothing.
	got := make([][]byte, chunks)
	groups := (chunks + chunksPerPut - 1) / chunksPerPut
	err := each(ctx, groups, readConcurrency, func(ctx context.Context, g int) error {
		first, end := g*chunksPerPut, min((g+1)*chunksPerPut, chunks)
		for i := first; i < end; {
			op := chord.Get{Key: torrentKey(name), Prefix: set.chunkPrefix()}
			if i > 0 {
				op.After = set.chunk(i - 1)
			}
			r, err := c.get(ctx, op)
			if err != nil {
				return fmt.Errorf("reading the torrent of %q from the ring, part %d of %d: %w", name, i+1, chunks, err)
			}
			begin := i
			for _, f := range r.Fields {
				if i == end || f.Name != set.chunk(i) {
					break
				}
				got[i] = f.Value
				i++
			}
			if i == begin {
				return fmt.Errorf("torrent of %q: part %d of %d: %w", name, i+1, chunks, ErrIncomplete)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	metainfo := slices.Concat(got...)
	if err := checkMetainfo(metainfo, v); err != nil {
		return nil, fmt.Errorf("torrent of %q: %w", name, err)
	}
	return metainfo, nil
}

func checkMetainfo(metainfo []byte, v heldVersion) error {
	if uint64(len(metainfo)) != v.header.length || sha1.Sum(metainfo) != v.header.digest {
		return fmt.Errorf("%w: %d bytes that are not the %d published", ErrMismatch, len(metainfo), v.header.length)
	}
	ih, err := infoHashOf(metainfo)
	if err != nil {
		return err
	}
	if ih != v.infoHash {
		return fmt.Errorf("%w: it has %x, published was %x", ErrMismatch, ih, v.infoHash)
	}
	return nil
}

// NamesOf lists the names under which something with that info hash was published, the
// latest first. ErrNotFound if there is none: for certain, as far as the ring can tell.
// It reads no metainfo; a name may have been unpublished in this moment.
func (c *Communicator) NamesOf(ctx context.Context, infoHash [20]byte) ([]string, error) {
	r, err := c.getAll(ctx, chord.Get{Key: infoHashKey(infoHash)})
	if err != nil {
		return nil, fmt.Errorf("asking the ring for the name of info hash %x: %w", infoHash, err)
	}
	slices.SortFunc(r.Fields, func(a, b chord.Field) int {
		return cmp.Or(-cmp.Compare(a.Stamp, b.Stamp), strings.Compare(a.Name, b.Name))
	})
	var names []string
	for _, f := range r.Fields {
		if CheckName(f.Name) == nil {
			names = append(names, f.Name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("torrent with info hash %x: %w", infoHash, ErrNotFound)
	}
	return names, nil
}
