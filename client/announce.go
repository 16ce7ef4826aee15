package client

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"chordtorrent/communicator"
	"chordtorrent/transfer"
)

// wantPeers is how many peers an announce asks for: enough to choose from, few
// enough for one packet's worth of answer.
const wantPeers = 50

// announcer tells the ring about one torrent of this client and asks it for
// peers. The engine calls it, not twice at the same time.
type announcer struct {
	c        *Client
	name     string // "": the ring knows it by its info hash only
	infoHash [20]byte
	size     int64

	first atomic.Pointer[chan struct{}]        // closed when the first announce has ended, well or not; nil then
	told  map[netip.AddrPort]communicator.Peer // in the last answer
}

func (c *Client) newAnnouncer(name string, infoHash [20]byte, size int64) *announcer {
	a := &announcer{c: c, name: name, infoHash: infoHash, size: size}
	first := make(chan struct{})
	a.first.Store(&first)
	return a
}

// Announce implements transfer.Announcer.
func (a *announcer) Announce(ctx context.Context, p transfer.Progress) (answer transfer.Answer, err error) {
	defer func() {
		a.c.told.ring.note(ctx, err)
		if first := a.first.Swap(nil); first != nil {
			close(*first)
		}
	}()
	if p.Event == transfer.Stopped && !a.c.ring.LocalAddr().IsValid() {
		return transfer.Answer{}, nil // there was no ring to hear of it
	}
	if err := a.c.meetRing(ctx); err != nil {
		return transfer.Answer{}, err
	}
	addr := netip.AddrPortFrom(a.c.ring.LocalAddr(), p.Port)
	id := a.c.id.Load()
	if id == 0 { // it began without the ring
		err = a.c.enroll(ctx, addr)
		id = a.c.id.Load()
	} else {
		// The communicator writes it at most once a minute unless it changed.
		_, err = a.c.ring.ClientID(ctx, id, addr)
	}
	if err != nil {
		a.c.log.Debug("the ring did not take this client's address", "addr", addr, "err", err)
	}
	var gone []communicator.Peer
	for _, addr := range p.Refused {
		if peer, known := a.told[addr]; known {
			gone = append(gone, peer)
		}
	}
	if err := a.c.ring.Doubt(ctx, a.name, a.infoHash, p.PeerID, gone); err != nil {
		a.c.log.Debug("the ring was not told who cannot be reached", "err", err)
	}
	swarm, err := a.c.ring.Announce(ctx, communicator.Announce{
		Name:     a.name,
		InfoHash: a.infoHash,
		PeerID:   p.PeerID,
		Addr:     addr,
		ClientID: id,
		Left:     p.Left,
		Size:     a.size,
		Rate:     int64(p.RateDown),
		Have:     p.Have,
		Event:    announceEvent(p.Event),
		Want:     wantPeers,
	})
	if err != nil {
		return transfer.Answer{}, err
	}
	answer.Interval = swarm.Interval
	a.told = nil
	if len(swarm.Peers) > 0 {
		a.told = make(map[netip.AddrPort]communicator.Peer, len(swarm.Peers))
	}
	for _, peer := range swarm.Peers {
		a.told[peer.Addr] = peer
		answer.Peers = append(answer.Peers, peer.Addr)
	}
	return answer, nil
}

func announceEvent(e transfer.Event) communicator.Event {
	switch e {
	case transfer.Started:
		return communicator.Started
	case transfer.Completed:
		return communicator.Completed
	case transfer.Stopped:
		return communicator.Stopped
	}
	return communicator.None
}

// awaitFirst waits until the ring has heard of the torrent, or for a moment.
func (a *announcer) awaitFirst(ctx context.Context) {
	first := a.first.Load()
	if first == nil {
		return
	}
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-*first:
	case <-timer.C:
	case <-ctx.Done():
	}
}
