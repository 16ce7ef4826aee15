package communicator

import (
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"chordtorrent/chord"
)

// writeTries bounds how often a publish starts over because somebody removed
// the name in the middle of it.
const writeTries = 3

// Publish puts a version under its name: it becomes the current one, the 15
// before it stay, older ones are removed. metainfo is the .torrent file,
// 64 MiB at most; its info dictionary must hash to v.InfoHash (ErrMismatch).
// v.Published is set to now if zero. Publishing the same again is harmless
// and heals what an interrupted Publish left.
//
// copies is the number of ring members that hold every part of it, on disk.
// A *Degraded error means that it is kept but not acknowledged; copies is
// valid then too.
func (c *Communicator) Publish(ctx context.Context, v Version, metainfo []byte) (copies int, err error) {
	h, err := c.newHeader(&v, metainfo)
	if err != nil {
		return 0, err
	}
	var tally copyTally
	fail := func(err error) (int, error) {
		return tally.least(), fmt.Errorf("publishing %q: %w", v.Name, err)
	}
	for range writeTries {
		set, stamp, err := c.writeTorrent(ctx, &tally, v, h, metainfo)
		if err != nil {
			return fail(err)
		}
		whole, err := c.tidy(ctx, v.Name, set, stamp)
		if err != nil {
			return fail(fmt.Errorf("checking what the ring holds of it: %w", err))
		}
		if !whole {
			continue // removed between its chunks and its header
		}
		if err := c.align(ctx, &tally, v.Name); err != nil {
			return fail(err)
		}
		return tally.least(), nil
	}
	return fail(fmt.Errorf("somebody unpublishes it at the same time: %w", ErrIncomplete))
}

func (c *Communicator) newHeader(v *Version, metainfo []byte) (header, error) {
	var h header
	if err := CheckName(v.Name); err != nil {
		return h, err
	}
	if v.Size < 0 || v.Pieces < 0 || v.Pieces > math.MaxInt32 {
		return h, fmt.Errorf("publishing %q: %w: %d bytes in %d pieces", v.Name, ErrBadArgument, v.Size, v.Pieces)
	}
	if len(metainfo) > maxMetainfo {
		return h, fmt.Errorf("publishing %q: its .torrent has %d bytes, the ring takes %d: use longer pieces: %w", v.Name, len(metainfo), maxMetainfo, ErrTooLarge)
	}
	ih, err := infoHashOf(metainfo)
	if err != nil {
		return h, fmt.Errorf("publishing %q: %w", v.Name, err)
	}
	if ih != v.InfoHash {
		return h, fmt.Errorf("publishing %q: %w: it has %x, given was %x", v.Name, ErrMismatch, ih, v.InfoHash)
	}
	if v.Published.IsZero() {
		v.Published = c.now()
	}
	return header{
		size: uint64(v.Size), pieces: uint64(v.Pieces), publisher: v.Publisher,
		publishedMs: timeMillis(v.Published), length: uint64(len(metainfo)), digest: sha1.Sum(metainfo),
	}, nil
}

// writeTorrent writes the chunks of a metainfo, then its header; what fits in
// one update goes in one. If the ring holds these very bytes already, only
// the header is written. It gives the set that the header refers to and the
// header's stamp.
func (c *Communicator) writeTorrent(ctx context.Context, tally *copyTally, v Version, h header, metainfo []byte) (chunkSet, chord.Stamp, error) {
	key := torrentKey(v.Name)
	old, replaces, err := c.getField(ctx, key, headerField(v.InfoHash))
	if err != nil {
		return chunkSet{}, 0, fmt.Errorf("looking for an earlier version: %w", err)
	}
	var head []chord.Update
	if replaces {
		if held, err := parseHeld(old); err == nil {
			if held.header.digest == h.digest && c.holds(ctx, v.Name, held) {
				h.tag = held.header.tag
				stamp, err := tally.put(ctx, c, key, chord.Update{Name: old.Name, Value: h.encode()})
				return h.set(v.InfoHash), stamp, err
			}
			head = append(head, chord.Update{Name: held.header.set(v.InfoHash).retired(), Value: encodeMark()})
		}
	}
	binary.BigEndian.PutUint64(h.tag[:], rand.Uint64())
	set := h.set(v.InfoHash)
	head = append(head, chord.Update{Name: headerField(v.InfoHash), Value: h.encode()})
	stamp, err := c.writeChunks(ctx, tally, key, set, metainfo, head)
	return set, stamp, err
}

// holds tells whether the ring has all chunks of a version.
func (c *Communicator) holds(ctx context.Context, name string, v heldVersion) bool {
	_, err := c.readChunks(ctx, name, v)
	return err == nil
}

// writeChunks writes a set of chunks, then head. The first update carries the
// set field and is acknowledged before another chunk is sent.
func (c *Communicator) writeChunks(ctx context.Context, tally *copyTally, key chord.Key, set chunkSet, metainfo []byte, head []chord.Update) (chord.Stamp, error) {
	chunks := chunkCount(len(metainfo))
	var groups [][]chord.Update
	for i := range chunks {
		if i%chunksPerPut == 0 {
			groups = append(groups, nil)
		}
		part := metainfo[i*chunkBytes : min((i+1)*chunkBytes, len(metainfo))]
		last := len(groups) - 1
		groups[last] = append(groups[last], chord.Update{Name: set.chunk(i), Value: part})
	}
	groups[0] = append(groups[0], chord.Update{Name: set.field(), Value: encodeSet(chunks)})
	if len(groups) == 1 {
		return tally.put(ctx, c, key, append(groups[0], head...)...)
	}
	if _, err := tally.put(ctx, c, key, groups[0]...); err != nil {
		return 0, fmt.Errorf("writing its torrent, part 1 of %d: %w", len(groups), err)
	}
	err := each(ctx, len(groups)-1, publishConcurrency, func(ctx context.Context, i int) error {
		if _, err := tally.put(ctx, c, key, groups[i+1]...); err != nil {
			return fmt.Errorf("writing its torrent, part %d of %d: %w", i+2, len(groups), err)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return tally.put(ctx, c, key, head...)
}

// Unpublish removes a name with all its versions. ErrNotFound if the ring has
// nothing of that name. Peers that serve it are forgotten as their entries
// expire. Interrupted, it leaves the name either as it was (Reassert makes
// the listing again) or gone.
func (c *Communicator) Unpublish(ctx context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if err := c.unpublish(ctx, name); err != nil {
		return fmt.Errorf("unpublishing %q: %w", name, err)
	}
	return nil
}

func (c *Communicator) unpublish(ctx context.Context, name string) error {
	key := torrentKey(name)
	headers, err := c.getAll(ctx, chord.Get{Key: key, Prefix: fieldHeader})
	if err != nil {
		return err
	}
	listing, listed, err := c.getField(ctx, filesKey(shardOf(name)), name)
	if err != nil {
		return err
	}
	if len(headers.Fields) == 0 && !listed {
		return ErrNotFound
	}
	var links [][20]byte
	var remove []chord.Update
	for _, f := range headers.Fields {
		remove = append(remove, chord.Update{Name: f.Name, Delete: true})
		if v, err := parseHeld(f); err == nil {
			links = append(links, v.infoHash)
			remove = append(remove, removeSet(v.header.set(v.infoHash), v.header.chunks())...)
		}
	}
	if listed {
		if file, err := decodeListing(name, listing.Value); err == nil && !slices.Contains(links, file.InfoHash) {
			links = append(links, file.InfoHash)
		}
		if err := c.unlist(ctx, name); err != nil {
			return err
		}
	}
	for _, ih := range links {
		if err := c.unlink(ctx, name, ih); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		r, err := c.put(ctx, key, remove...)
		if err != nil {
			return err
		}
		if _, err := c.tidy(ctx, name, chunkSet{}, r.Stamp); err != nil {
			return err
		}
	}
	var tally copyTally
	return c.align(ctx, &tally, name)
}

// copyTally finds the least number of copies among several writes.
type copyTally struct {
	mu     sync.Mutex
	copies int
	any    bool
}

func (t *copyTally) put(ctx context.Context, c *Communicator, key chord.Key, updates ...chord.Update) (chord.Stamp, error) {
	r, err := c.put(ctx, key, updates...)
	var degraded *Degraded
	if err == nil || errors.As(err, &degraded) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if !t.any || r.Copies < t.copies {
			t.copies, t.any = r.Copies, true
		}
	}
	return r.Stamp, err
}

func (t *copyTally) least() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.copies
}
