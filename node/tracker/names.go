package tracker

import (
	"context"
	"errors"
	"sync"
	"time"

	"chordtorrent/communicator"
)

const (
	// A name is believed for so long, and that there is none for so long: a torrent that
	// is registered a moment later works at the next announce.
	knownFor   = time.Minute
	unknownFor = 2 * time.Second
	// maxNames bounds what is remembered.
	maxNames = 1 << 16
)

// names remembers which info hash was published under which name.
type names struct {
	ring Ring
	now  func() time.Time

	mu    sync.Mutex
	known map[[20]byte]known
}

type known struct {
	name  string // empty: none
	until time.Time
}

// of is the name of an info hash; empty: the ring has none. It asks the ring when it
// does not remember.
func (n *names) of(ctx context.Context, infoHash [20]byte) (string, error) {
	now := n.now()
	n.mu.Lock()
	k, ok := n.known[infoHash]
	n.mu.Unlock()
	if ok && now.Before(k.until) {
		return k.name, nil
	}
	list, err := n.ring.NamesOf(ctx, infoHash)
	fresh := known{until: now.Add(unknownFor)}
	switch {
	case err == nil:
		fresh = known{name: list[0], until: now.Add(knownFor)}
	case errors.Is(err, communicator.ErrNotFound):
	case ok && k.name != "":
		return k.name, nil // what it was called is better than no answer
	default:
		return "", err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.known) >= maxNames {
		n.forget(now)
	}
	n.known[infoHash] = fresh
	return fresh.name, nil
}

// forget makes room: what is not believed any more goes, or, if all is, a part of it.
func (n *names) forget(now time.Time) {
	for h, k := range n.known {
		if !now.Before(k.until) {
			delete(n.known, h)
		}
	}
	for h := range n.known {
		if len(n.known) < maxNames*3/4 {
			return
		}
		delete(n.known, h)
	}
}
