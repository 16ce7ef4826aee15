package communicator

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"chordtorrent/chord"
)

// File is a line of the list of all files: the current version of a name.
type File struct {
	Name      string
	Size      int64
	InfoHash  [20]byte
	Published time.Time
}

// filesConcurrency is how many of the list's shards are read at a time.
const filesConcurrency = 16

// Files lists the published files whose name begins with prefix ("" means
// all), sorted by name. With an error it gives those it could read: a shard
// that no member could answer for leaves its names out. The whole list has the
// time of one operation.
func (c *Communicator) Files(ctx context.Context, prefix string) ([]File, error) {
	if len(prefix) > maxNameBytes {
		return nil, nil
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	var mu sync.Mutex
	var files []File
	var failed int
	var first error
	err := each(ctx, shards, filesConcurrency, func(ctx context.Context, shard int) error {
		r, err := c.getAll(ctx, chord.Get{Key: filesKey(shard), Prefix: prefix})
		mu.Lock()
		defer mu.Unlock()
		for _, f := range r.Fields {
			file, err := decodeListing(f.Name, f.Value)
			if err == nil {
				err = CheckName(f.Name)
			}
			if err != nil {
				c.log.Warn("listing does not decode", "name", f.Name, "err", err)
				continue
			}
			files = append(files, file)
		}
		if err != nil {
			failed++
			if first == nil {
				first = err
			}
		}
		return nil
	})
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	if err == nil {
		err = first
	}
	if err != nil {
		return files, fmt.Errorf("listing the published files: %d of %d parts of the list cannot be read: %w", failed, shards, err)
	}
	return files, nil
}
