package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"chordtorrent/transfer"
)

// staying is how long something is served: until ctx ends, for a time, or until nobody
// fetches it any more.
type staying struct {
	limit     time.Duration // < 0: none
	peersDone bool          // until nobody fetches it, once somebody has
}

// stayingFlags adds the flags that say so; the function reads them.
func stayingFlags(cmd *cobra.Command, when string) func() (staying, error) {
	var seedFor time.Duration
	var until string
	f := cmd.Flags()
	f.DurationVar(&seedFor, "seed-for", 0, "serve for so long (`D` as 90s, 2h)"+when)
	f.StringVar(&until, "seed-until", "", "peers-done: serve until nobody is fetching it any more, and at least one has; --seed-for bounds the waiting")
	return func() (staying, error) {
		limit, err := howLong(cmd, "seed-for", seedFor)
		if err != nil {
			return staying{}, err
		}
		if until != "peers-done" && cmd.Flags().Changed("seed-until") {
			return staying{}, usageError(fmt.Errorf("--seed-until %q: only peers-done is there to be waited for", until), cmd.CommandPath())
		}
		return staying{limit, until != ""}, nil
	}
}

// asked says whether anything but the usual was.
func (s staying) asked() bool { return s.limit >= 0 || s.peersDone }

// until makes a context that ends when the time is over.
func (s staying) until(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.limit < 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, s.limit)
}

// untilGone makes a context that ends when it is time to serve these no longer; end lets go
// of it.
func untilGone[T servedThing](ctx context.Context, s staying, these ...T) (_ context.Context, end func()) {
	ctx, cancel := s.until(ctx)
	if !s.peersDone {
		return ctx, cancel
	}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		for _, t := range these {
			awaitPeers(ctx, t)
		}
		cancel()
	})
	return ctx, func() {
		cancel()
		waiting.Wait()
	}
}

// peersEvery is how often it is looked whether anybody fetches.
const peersEvery = 500 * time.Millisecond

// servedThing is what awaitPeers looks at: a client.Publication or client.Download.
type servedThing interface {
	Status() transfer.Status
	// Wanted says whether the ring knows of anybody who is fetching it.
	Wanted(ctx context.Context) (bool, error)
}

// awaitPeers blocks until somebody has fetched something of it and nobody does any more, as
// far as is known here and in the ring, or ctx ends.
func awaitPeers(ctx context.Context, s servedThing) {
	tick := time.NewTicker(peersEvery)
	defer tick.Stop()
	for came := false; ; {
		st := s.Status()
		came = came || st.Uploaded > 0 || st.PeersWanting > 0
		if came && st.PeersWanting == 0 {
			if wanted, err := s.Wanted(ctx); !wanted || err != nil { // without the ring what is seen here has to do
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
