package communicator

import (
	"context"
	"fmt"
	"time"

	"chordtorrent/chord"
)

const (
	// orphanAge is how long chunks that no header refers to are left alone:
	// their writer may be slow, and a reader may still be at a replaced set.
	orphanAge = time.Hour
	// orphansPerRun bounds one clean-up's size.
	orphansPerRun = 64
)

// setState is what the fields about a set of chunks say.
type setState struct {
	written bool        // its set field is there
	chunks  int         // as many as it promises
	stamp   chord.Stamp // when it was written or, if later, replaced
}

func (c *Communicator) sets(ctx context.Context, name string) (sets map[chunkSet]setState, sure bool, err error) {
	r, err := c.getAll(ctx, chord.Get{Key: torrentKey(name), Prefix: fieldSet})
	if err != nil {
		return nil, false, err
	}
	sets = make(map[chunkSet]setState)
	for _, f := range r.Fields {
		set, retired, ok := parseSetField(f.Name)
		if !ok {
			continue
		}
		s := sets[set]
		s.stamp = max(s.stamp, f.Stamp)
		if !retired {
			s.written, s.chunks = true, chunksOf(f)
		}
		sets[set] = s
	}
	return sets, !r.Unconfirmed, nil
}

// tidy removes versions over the limit and chunks that nothing refers to,
// and tells whether the given set is whole: it is not if a header refers to
// it and it is gone. now is a recent stamp of the name's map.
func (c *Communicator) tidy(ctx context.Context, name string, mine chunkSet, now chord.Stamp) (whole bool, err error) {
	sets, sure, err := c.sets(ctx, name)
	if err != nil {
		return false, err
	}
	held, opaque, err := c.readVersions(ctx, name)
	if err != nil {
		return false, err
	}
	var remove []chord.Update
	wanted := make(map[chunkSet]bool)
	for i, v := range held {
		set := v.header.set(v.infoHash)
		wanted[set] = true
		if i < maxVersions {
			continue
		}
		if err := c.unlink(ctx, name, v.infoHash); err != nil {
			return false, err
		}
		remove = append(remove, chord.Update{Name: headerField(v.infoHash), Delete: true})
		remove = append(remove, removeSet(set, v.header.chunks())...)
	}
	// A header that we cannot read may refer to any of them.
	if sure && !opaque {
		for set := range orphans(sets, wanted, now.Millis()) {
			remove = append(remove, removeSet(set, sets[set].chunks)...)
		}
	}
	if len(remove) > 0 {
		if _, err := c.put(ctx, torrentKey(name), remove...); err != nil {
			return false, fmt.Errorf("removing old versions of %q: %w", name, err)
		}
	}
	return sets[mine].written || !wanted[mine], nil
}

// orphans gives the sets that nothing has referred to for orphanAge.
func orphans(sets map[chunkSet]setState, wanted map[chunkSet]bool, nowMillis int64) map[chunkSet]bool {
	found := make(map[chunkSet]bool)
	for set, s := range sets {
		age := time.Duration(nowMillis-s.stamp.Millis()) * time.Millisecond
		if !wanted[set] && age >= orphanAge && len(found) < orphansPerRun {
			found[set] = true
		}
	}
	return found
}

// sweep removes chunks that an interrupted publish left behind long ago. The
// ring's clock decides, which only a write tells; ours says whether asking is
// worth it.
func (c *Communicator) sweep(ctx context.Context, name string) error {
	sets, _, err := c.sets(ctx, name)
	if err != nil || len(sets) == 0 {
		return err
	}
	held, _, err := c.readVersions(ctx, name)
	if err != nil {
		return err
	}
	wanted := make(map[chunkSet]bool)
	for _, v := range held {
		wanted[v.header.set(v.infoHash)] = true
	}
	if len(orphans(sets, wanted, c.now().UnixMilli())) == 0 {
		return nil
	}
	r, err := c.put(ctx, torrentKey(name), chord.Update{Name: fieldClock, Delete: true})
	if err != nil {
		return err
	}
	_, err = c.tidy(ctx, name, chunkSet{}, r.Stamp)
	return err
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
	gone := []chord.Update{{Name: set.field(), Delete: true}, {Name: set.retired(), Delete: true}}
	for i := range chunks {
		gone = append(gone, chord.Update{Name: set.chunk(i), Delete: true})
	}
	return gone
}
