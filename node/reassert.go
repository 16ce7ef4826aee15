package node

import (
	"context"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"chordtorrent/chord"
	"chordtorrent/communicator"
)

// A publish writes several keys, and a publisher may die between two of them.
// The owner of a torrent therefore sees to it, now and then, that the list of
// all files and the way from info hash to name agree with it.
const (
	// reassertEvery is the pause between two rounds over the torrents that
	// this member owns.
	reassertEvery = time.Minute
	// reassertRate bounds how many of them are looked at in a second, so that
	// a hundred thousand names are a quiet background.
	reassertRate = 50
)

// keepDerived runs until ctx ends.
func (n *Node) keepDerived(ctx context.Context) {
	pause := time.NewTicker(reassertEvery)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
			n.reassert(ctx)
		}
	}
}

// reassert makes one round. What fails is tried again in the next one.
func (n *Node) reassert(ctx context.Context) {
	ring := communicator.New(n, netip.Addr{})
	defer func() { _ = ring.Close() }() // it holds nothing
	pace := rate.NewLimiter(reassertRate, reassertRate)
	for _, name := range n.ownedTorrents(ctx) {
		if pace.Wait(ctx) != nil {
			return
		}
		if err := ring.Reassert(ctx, name); err != nil && ctx.Err() == nil {
			n.log.Debug("could not compare a torrent with the lists", "name", name, "err", err)
		}
	}
}

// ownedTorrents gives the names whose torrents lie in this member's range.
func (n *Node) ownedTorrents(ctx context.Context) (names []string) {
	st, err := n.look(ctx)
	if err != nil || st.State != "member" {
		return nil
	}
	err = n.db.Keys(chord.Hard, st.Predecessor.ID, st.Self.ID, func(k chord.Key) bool {
		if name, ok := communicator.TorrentName(k); ok {
			names = append(names, name)
		}
		return true
	})
	if err != nil {
		n.log.Debug("could not list the torrents of this range", "err", err)
	}
	return names
}
