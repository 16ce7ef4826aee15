package client

import (
	"context"
	"fmt"
	"os"

	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

// earlier is an earlier version of a name, of which Storage still has the .torrent
// and perhaps the data.
type earlier struct {
	layout   *storage.Layout
	infoHash string
}

// earlierVersion looks at the .torrent that a new one is about to replace.
func (c *Client) earlierVersion(name string, infoHash [20]byte) *earlier {
	metainfo, err := c.storage.LoadTorrent(name)
	if err != nil {
		return nil
	}
	tor, err := parseTorrent(metainfo)
	if err != nil || tor.infoHash == infoHash {
		return nil
	}
	return &earlier{layout: tor.layout, infoHash: hexOf(tor.infoHash)}
}

// reuse takes what this version shares with an earlier one, or with a copy of itself
// elsewhere, from the files of those, where they still are; the network brings the rest.
// When the disk is full meanwhile that is no failure: fetching waits for room.
func (d *Download) reuse(ctx context.Context, have *wire.Bits) error {
	if have.All() {
		return nil
	}
	records, err := d.c.storage.Records()
	if err != nil {
		return err
	}
	sources := []earlier{{layout: d.layout, infoHash: d.rec.InfoHash}}
	if d.earlier != nil {
		sources = append(sources, *d.earlier)
	}
	for _, from := range sources {
		paths := []string{d.Path} // what is to be replaced
		for _, r := range records {
			if hash, ok := r.has(); ok && r.Name == d.Name && hash == from.infoHash && r.Path != d.Path {
				paths = append(paths, r.Path)
			}
		}
		if err := d.takeOver(ctx, have, from.layout, paths); err != nil {
			return err
		}
	}
	return nil
}

// takeOver takes what is of use from files of a layout that may be at these paths.
func (d *Download) takeOver(ctx context.Context, have *wire.Bits, layout *storage.Layout, paths []string) error {
	before := have.Count()
	for _, path := range paths {
		if _, err := os.Lstat(path); err != nil || have.All() {
			continue
		}
		old, err := storage.OpenSource(layout, path)
		if err != nil {
			d.c.log.Debug("not what it was any more", "name", d.Name, "path", path, "err", err)
			continue
		}
		err = storage.Reuse(ctx, d.content, have, old, 0, d.verified)
		old.Close()
		if storage.IsFull(err) {
			d.c.log.Warn("not all is taken over that is here", "name", d.Name, "path", path, "err", err)
			break
		}
		if err != nil {
			return fmt.Errorf("taking over from %s: %w", path, err)
		}
	}
	if n := have.Count() - before; n > 0 {
		d.c.log.Info("taken over from what is here", "name", d.Name, "pieces", n, "of", d.Pieces)
	}
	return nil
}
