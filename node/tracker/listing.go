package tracker

import (
	"context"
	"sync"
	"time"

	"chordtorrent/communicator"
)

// listingFor is how long the answer to one who asks for the list is given to others, too.
const listingFor = time.Second

// listings asks the ring for all names and their swarms, once for all who ask at a time.
type listings struct {
	ring Ring
	view *view

	mu    sync.Mutex
	fresh *listing // nil: nobody has asked of late
}

// listing is one answer of the ring.
type listing struct {
	of    *listings
	ready chan struct{} // closed when files and err are there
	files []communicator.File
	err   error

	mu     sync.Mutex
	swarms map[[20]byte]func() counted
}

type counted struct{ seeders, leechers int }

// get gives the list, not older than listingFor. It waits until ctx ends; whoever asks
// first leaves the others theirs when it goes.
func (l *listings) get(ctx context.Context) (*listing, error) {
	l.mu.Lock()
	now := l.fresh
	if now == nil {
		now = &listing{of: l, ready: make(chan struct{}), swarms: make(map[[20]byte]func() counted)}
		l.fresh = now
		go l.ask(context.WithoutCancel(ctx), now)
	}
	l.mu.Unlock()
	select {
	case <-now.ready:
		return now, now.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *listings) ask(ctx context.Context, to *listing) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	to.files, to.err = l.ring.Files(ctx, "")
	if len(to.files) > 0 {
		to.err = nil // some are better than none
	}
	close(to.ready)
	time.AfterFunc(listingFor, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.fresh = nil
	})
}

// count tells of a file's swarm; what is not known is 0. It waits for the ring.
func (l *listing) count(ctx context.Context, f *communicator.File) counted {
	l.mu.Lock()
	count := l.swarms[f.InfoHash]
	if count == nil {
		ctx = context.WithoutCancel(ctx)
		count = sync.OnceValue(func() counted { return l.of.look(ctx, f) })
		l.swarms[f.InfoHash] = count
	}
	l.mu.Unlock()
	return count()
}

// look asks for the swarm of one file.
func (l *listings) look(ctx context.Context, f *communicator.File) counted {
	if c, ok := l.view.count(f.InfoHash); ok {
		return counted{c.seeders, c.leechers}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := l.ring.Peers(ctx, f.Name, f.InfoHash, 1)
	if err != nil {
		return counted{}
	}
	return counted{s.Seeders, s.Leechers}
}
