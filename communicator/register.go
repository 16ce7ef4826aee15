package communicator

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"chordtorrent/chord"
)

// Entry is what a tracker tells the ring of one peer of a swarm.
type Entry struct {
	PeerID [20]byte
	Addr   netip.AddrPort
	Left   int64 // bytes; 0: it has everything; < 0: unknown
	// Life is how long the ring keeps it; 0: the peer has left, and is removed.
	Life time.Duration
}

// entriesPerPut keeps one operation well below the ring's limit of bytes.
const entriesPerPut = 1024

// Register tells the ring of peers of one swarm that came, stayed or left, in as few
// operations as can be; name is "" for a swarm known by its info hash only. It blocks until
// the ring has them all, or some of them with an error.
func (c *Communicator) Register(ctx context.Context, name string, infoHash [20]byte, entries []Entry) error {
	if name != "" {
		if err := CheckName(name); err != nil {
			return fmt.Errorf("registering peers: %w", err)
		}
	}
	key := peersKey(name, infoHash)
	for len(entries) > 0 {
		n := min(len(entries), entriesPerPut)
		updates := make([]chord.Update, n)
		for i, e := range entries[:n] {
			u := chord.Update{Name: peerField(infoHash, e.PeerID), TTL: e.Life, Delete: e.Life == 0}
			if !u.Delete {
				u.Value = encodePeer(Announce{Addr: e.Addr, Left: e.Left})
			}
			updates[i] = u
		}
		// The entries are soft: fewer copies than wanted are good enough.
		if _, err := c.put(ctx, key, updates...); err != nil && !isDegraded(err) {
			return fmt.Errorf("registering peers of %s in the ring: %w", (&Announce{Name: name, InfoHash: infoHash}).shown(), err)
		}
		entries = entries[n:]
	}
	return nil
}
