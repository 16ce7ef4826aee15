package web

import (
	"context"
	"sync"
	"time"

	"chordtorrent/communicator"
)

const (
	// trackersFor is how long the trackers of magnet links are taken to be the same.
	trackersFor = time.Minute
	// trackersWithin is how long a page waits for them; it does without.
	trackersWithin = 300 * time.Millisecond
	// mostTrackers are named in a link, one of a node.
	mostTrackers = 3
)

// trackers are announce URLs of the ring, for the magnet links that other clients begin by.
type trackers struct {
	ring *communicator.Communicator

	mu    sync.Mutex
	urls  []string
	asked time.Time
}

func (t *trackers) now(ctx context.Context) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.asked) < trackersFor {
		return t.urls
	}
	within, cancel := context.WithTimeout(ctx, trackersWithin)
	defer cancel()
	tiers, err := t.ring.Trackers(within)
	if ctx.Err() != nil {
		return t.urls // whoever asked has gone: that says nothing about the ring
	}
	if err == nil {
		t.urls = nil
		for _, tier := range tiers[:min(len(tiers), mostTrackers)] {
			t.urls = append(t.urls, tier[0])
		}
	}
	t.asked = time.Now()
	return t.urls
}
