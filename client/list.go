package client

import (
	"context"
	"fmt"
	"sync"

	"chordtorrent/communicator"
)

// Listed is a name in the ring and its swarm.
type Listed struct {
	communicator.File
	Seeders, Leechers int
}

// listConcurrency is how many swarms a listing asks for at a time.
const listConcurrency = 16

// ListSwarms asks for the swarm of each file and gives the answers in the
// files' order, each as soon as it and those before it are there. It ends
// early when give returns an error, which is then its own.
func ListSwarms(ctx context.Context, ring *communicator.Communicator, files []communicator.File, give func(Listed) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	type answer struct {
		listed Listed
		err    error
	}
	answers := make(chan chan answer, listConcurrency)
	wg.Go(func() {
		defer close(answers)
		for _, f := range files {
			one := make(chan answer, 1)
			select {
			case answers <- one:
			case <-ctx.Done():
				return
			}
			wg.Go(func() {
				swarm, err := ring.Peers(ctx, f.Name, f.InfoHash, 1)
				one <- answer{Listed{f, swarm.Seeders, swarm.Leechers}, err}
			})
		}
	})
	for one := range answers {
		a := <-one
		if a.err != nil {
			return fmt.Errorf("asking for the peers of %q: %w", a.listed.Name, a.err)
		}
		if err := give(a.listed); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Shown is all that the ring knows about a name.
type Shown struct {
	Versions []communicator.Version // the current one first
	Swarm    communicator.Swarm     // of the current one
}

// Show asks for all that the ring knows about a name. communicator.ErrNotFound
// when that is nothing, with near names in the Hint.
func (c *Client) Show(ctx context.Context, name string) (_ Shown, err error) {
	defer func() { err = asInterrupted(ctx, err) }()
	if err := CheckName(name); err != nil {
		return Shown{}, err
	}
	versions, err := c.ring.Versions(ctx, name)
	if err != nil {
		return Shown{}, c.notFound(ctx, name, err)
	}
	swarm, err := c.ring.Peers(ctx, name, versions[0].InfoHash, 0)
	if err != nil {
		return Shown{}, fmt.Errorf("asking for the peers of %q: %w", name, err)
	}
	return Shown{Versions: versions, Swarm: swarm}, nil
}

// Torrent gives the current version of a name and its .torrent, with trackers of the ring
// in it, for any BitTorrent client.
// communicator.ErrNotFound with near names in the Hint.
func (c *Client) Torrent(ctx context.Context, name string) (_ communicator.Version, _ []byte, err error) {
	defer func() { err = asInterrupted(ctx, err) }()
	if err := CheckName(name); err != nil {
		return communicator.Version{}, nil, err
	}
	v, metainfo, err := c.ring.Torrent(ctx, name)
	if err != nil {
		return v, nil, c.notFound(ctx, name, err)
	}
	tiers, err := c.ring.Trackers(ctx)
	if err != nil {
		return v, nil, err
	}
	metainfo, err = communicator.WithTrackers(metainfo, tiers)
	if err != nil {
		return v, nil, fmt.Errorf("the .torrent of %q: %w", name, err)
	}
	return v, metainfo, nil
}
