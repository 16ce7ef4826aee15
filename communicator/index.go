package communicator

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"

	"chordtorrent/chord"
)

const (
	// alignRounds bounds how often the derived view is made again because the
	// name was published or unpublished meanwhile.
	alignRounds      = 5
	alignConcurrency = 8
)

// Reassert makes the listing of a name and the links of its info hashes agree
// with the torrents the ring holds under it: it writes what is missing or
// different, removes a listing without a torrent, and chunks that a publish
// left unfinished over an hour ago. It writes nothing when all agree. The owner of a torrent calls it now and then; Publish and
// Unpublish end with it.
func (c *Communicator) Reassert(ctx context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	var tally copyTally
	if err := c.align(ctx, &tally, name); err != nil {
		return fmt.Errorf("bringing the listing of %q up to date: %w", name, err)
	}
	if err := c.sweep(ctx, name); err != nil {
		return fmt.Errorf("clearing away what unfinished publishes of %q left: %w", name, err)
	}
	return nil
}

// align makes the derived view and then looks whether what it was made from
// still holds: the writer who is last to change the headers is also the last
// to look, so the view ends up agreeing with them, whoever raced.
func (c *Communicator) align(ctx context.Context, tally *copyTally, name string) error {
	var made []heldVersion
	for round := range alignRounds {
		held, err := c.heldVersions(ctx, name)
		if err != nil {
			return err
		}
		if round > 0 && sameVersions(held, made) {
			return nil
		}
		made = held
		changed := false
		if changed, err = c.derive(ctx, tally, name, held); err != nil {
			return err
		}
		if !changed {
			return nil
		}
	}
	// Somebody changes the name faster than we look. Each of them looks
	// after its own change, so the last one gets it right.
	return nil
}

func sameVersions(a, b []heldVersion) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// derive makes one pass over listing and links; changed tells whether it had
// to write.
func (c *Communicator) derive(ctx context.Context, tally *copyTally, name string, held []heldVersion) (changed bool, err error) {
	var writes atomic.Int32
	err = each(ctx, len(held)+1, alignConcurrency, func(ctx context.Context, i int) error {
		var wrote bool
		var err error
		if i == 0 {
			wrote, err = c.deriveListing(ctx, tally, name, held)
		} else {
			wrote, err = c.deriveLink(ctx, tally, name, held[i-1].infoHash)
		}
		if wrote {
			writes.Add(1)
		}
		return err
	})
	return writes.Load() > 0, err
}

func (c *Communicator) deriveListing(ctx context.Context, tally *copyTally, name string, held []heldVersion) (wrote bool, err error) {
	key := filesKey(shardOf(name))
	f, listed, err := c.getField(ctx, key, name)
	if err != nil {
		return false, fmt.Errorf("reading its listing: %w", err)
	}
	if len(held) == 0 {
		if !listed {
			return false, nil
		}
		return true, c.unlist(ctx, name)
	}
	current := held[0].header.version(name, held[0].infoHash)
	want := encodeListing(File{Size: current.Size, InfoHash: current.InfoHash, Published: current.Published})
	if listed && bytes.Equal(f.Value, want) {
		return false, nil
	}
	if _, err := tally.put(ctx, c, key, chord.Update{Name: name, Value: want}); err != nil {
		return true, fmt.Errorf("writing its listing: %w", err)
	}
	return true, nil
}

func (c *Communicator) deriveLink(ctx context.Context, tally *copyTally, name string, ih [20]byte) (wrote bool, err error) {
	key := infoHashKey(ih)
	_, linked, err := c.getField(ctx, key, name)
	if err != nil {
		return false, fmt.Errorf("reading the name of info hash %x: %w", ih, err)
	}
	if linked {
		return false, nil
	}
	if _, err := tally.put(ctx, c, key, chord.Update{Name: name, Value: encodeMark()}); err != nil {
		return true, fmt.Errorf("writing the name of info hash %x: %w", ih, err)
	}
	return true, nil
}

func (c *Communicator) unlist(ctx context.Context, name string) error {
	if _, err := c.put(ctx, filesKey(shardOf(name)), chord.Update{Name: name, Delete: true}); err != nil {
		return fmt.Errorf("removing its listing: %w", err)
	}
	return nil
}

func (c *Communicator) unlink(ctx context.Context, name string, ih [20]byte) error {
	if _, err := c.put(ctx, infoHashKey(ih), chord.Update{Name: name, Delete: true}); err != nil {
		return fmt.Errorf("removing the name of info hash %x: %w", ih, err)
	}
	return nil
}
