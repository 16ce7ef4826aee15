package communicator

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"chordtorrent/chord"
)

const (
	// orphanAge is how long chunks without a header are left alone: their
	// writer may be slow, and a reader may still be at a replaced set.
	orphanAge = time.Hour
	// writeTries bounds how often a publish starts over because somebody
	// removed the name in the middle of it.
	writeTries = 3
	// orphansPerRun bounds one clean-up's size.
	orphansPerRun = 64
)

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
	for range writeTries {
		stamp, err := c.writeTorrent(ctx, &tally, v, h, metainfo)
		if err != nil {
			return tally.least(), fmt.Errorf("publishing %q: %w", v.Name, err)
		}
		whole, err := c.tidy(ctx, v.Name, h.set(v.InfoHash), stamp)
		if err != nil {
			return tally.least(), fmt.Errorf("publishing %q: checking what the ring holds of it: %w", v.Name, err)
		}
		if !whole {
			continue
		}
		if err := c.align(ctx, &tally, v.Name); err != nil {
			return tally.least(), fmt.Errorf("publishing %q: %w", v.Name, err)
		}
		return tally.least(), nil
	}
	return 0, fmt.Errorf("publishing %q: somebody unpublishes it at the same time: %w", v.Name, ErrIncomplete)
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
// one update goes in one. It gives the stamp of the header.
//
// The first update carries the set field and is acknowledged before another
// chunk is sent. Whoever removes chunks removes their set with them, so if
// the set is there after the header was written, all chunks are.
func (c *Communicator) writeTorrent(ctx context.Context, tally *copyTally, v Version, h header, metainfo []byte) (chord.Stamp, error) {
	key, set := torrentKey(v.Name), h.set(v.InfoHash)
	head := chord.Update{Name: headerField(v.InfoHash), Value: h.encode()}
	var groups [][]chord.Update
	for i := range h.chunks() {
		if i%chunksPerPut == 0 {
			groups = append(groups, nil)
		}
		part := metainfo[i*chunkBytes : min((i+1)*chunkBytes, len(metainfo))]
		last := len(groups) - 1
		groups[last] = append(groups[last], chord.Update{Name: set.chunk(i), Value: part})
	}
	groups[0] = append(groups[0], chord.Update{Name: set.field(), Value: encodeSet(h.chunks())})
	if len(groups) == 1 {
		groups[0] = append(groups[0], head)
		return tally.put(ctx, c, key, groups[0]...)
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
	return tally.put(ctx, c, key, head)
}

// tidy removes versions over the limit and chunks that nothing refers to,
// and tells whether the given set is whole: not so if it was removed between
// the writing of its chunks and of its header. now is a recent stamp.
func (c *Communicator) tidy(ctx context.Context, name string, mine chunkSet, now chord.Stamp) (whole bool, err error) {
	key := torrentKey(name)
	held, err := c.heldVersions(ctx, name)
	if err != nil {
		return false, err
	}
	sets, err := c.getAll(ctx, chord.Get{Key: key, Prefix: fieldSet})
	if err != nil {
		return false, err
	}
	var remove []chord.Update
	wanted := make(map[chunkSet]bool)
	for i, v := range held {
		set := v.header.set(v.infoHash)
		if i < maxVersions {
			wanted[set] = true
			continue
		}
		remove = append(remove, chord.Update{Name: headerField(v.infoHash), Delete: true})
		remove = append(remove, removeSet(set, v.header.chunks())...)
		if err := c.unlink(ctx, name, v.infoHash); err != nil {
			return false, err
		}
	}
	present, orphans := false, 0
	for _, f := range sets.Fields {
		set, ok := parseSetField(f.Name)
		if !ok {
			continue
		}
		present = present || set == mine
		age := time.Duration(now.Millis()-f.Stamp.Millis()) * time.Millisecond
		if wanted[set] || sets.Unconfirmed || age < orphanAge || orphans == orphansPerRun {
			continue
		}
		orphans++
		remove = append(remove, removeSet(set, chunksOf(f))...)
	}
	if len(remove) > 0 {
		if _, err := c.put(ctx, key, remove...); err != nil {
			return false, fmt.Errorf("removing old versions: %w", err)
		}
	}
	return present || !wanted[mine], nil
}

// chunksOf is how many chunks a set field promises; as many as there can be
// if it does not decode.
func chunksOf(f chord.Field) int {
	n, err := decodeSet(f.Value)
	if err != nil {
		return chunkCount(maxMetainfo)
	}
	return n
}

func removeSet(set chunkSet, chunks int) []chord.Update {
	gone := []chord.Update{{Name: set.field(), Delete: true}}
	for i := range chunks {
		gone = append(gone, chord.Update{Name: set.chunk(i), Delete: true})
	}
	return gone
}

// Unpublish removes a name with all its versions. ErrNotFound if the ring has
// nothing of that name. Peers that serve it are forgotten as their entries
// expire. Interrupted, it leaves the name either as it was (Reassert makes
// the listing again) or gone.
func (c *Communicator) Unpublish(ctx context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	fail := func(err error) error { return fmt.Errorf("unpublishing %q: %w", name, err) }
	key := torrentKey(name)
	headers, err := c.getAll(ctx, chord.Get{Key: key, Prefix: fieldHeader})
	if err != nil {
		return fail(err)
	}
	sets, err := c.getAll(ctx, chord.Get{Key: key, Prefix: fieldSet})
	if err != nil {
		return fail(err)
	}
	listing, listed, err := c.getField(ctx, filesKey(shardOf(name)), name)
	if err != nil {
		return fail(err)
	}
	if len(headers.Fields) == 0 && !listed {
		return fail(ErrNotFound)
	}

	var links [][20]byte
	var remove []chord.Update
	for _, f := range headers.Fields {
		remove = append(remove, chord.Update{Name: f.Name, Delete: true})
		if v, err := parseHeld(f); err == nil {
			links = append(links, v.infoHash)
		}
	}
	for _, f := range sets.Fields {
		if set, ok := parseSetField(f.Name); ok {
			remove = append(remove, removeSet(set, chunksOf(f))...)
		}
	}
	if listed {
		if file, err := decodeListing(name, listing.Value); err == nil && !slices.Contains(links, file.InfoHash) {
			links = append(links, file.InfoHash)
		}
		if err := c.unlist(ctx, name); err != nil {
			return fail(err)
		}
	}
	for _, ih := range links {
		if err := c.unlink(ctx, name, ih); err != nil {
			return fail(err)
		}
	}
	if len(remove) > 0 {
		if _, err := c.put(ctx, key, remove...); err != nil {
			return fail(err)
		}
	}
	var tally copyTally
	if err := c.align(ctx, &tally, name); err != nil {
		return fail(err)
	}
	return nil
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
