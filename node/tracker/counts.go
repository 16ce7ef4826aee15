package tracker

import (
	"errors"
	"sync/atomic"
)

// counts is what the trackers have answered and what they have not.
type counts struct {
	http, udp, scrapes atomic.Uint64 // answered

	malformed, unauthorized, passkey, tooFast, tooMany, ring atomic.Uint64
	busy                                                     atomic.Uint64 // too many wait for the ring
	short, unconnected, unknown                              atomic.Uint64 // of UDP packets
	conns, connsOfOne, slow                                  atomic.Uint64 // of TCP connections
}

// refused counts an error that a client was told.
func (c *counts) refused(err error) {
	switch {
	case errors.Is(err, errRequest), errors.Is(err, errNoSuchPath):
		c.malformed.Add(1)
	case errors.Is(err, errNotAuthorized):
		c.unauthorized.Add(1)
	case errors.Is(err, errPasskey):
		c.passkey.Add(1)
	case errors.Is(err, errTooFast):
		c.tooFast.Add(1)
	case errors.Is(err, errBusy):
		c.busy.Add(1)
	case errors.Is(err, errTooManyPeers):
		c.tooMany.Add(1)
	case errors.Is(err, errTooManyConns):
		c.conns.Add(1)
	case errors.Is(err, errTooManyOfOne):
		c.connsOfOne.Add(1)
	default:
		c.ring.Add(1)
	}
}

// Refused gives what was not answered as asked, by reason.
func (t *Tracker) Refused() map[string]uint64 {
	c := &t.counts
	reasons := map[string]uint64{}
	for reason, n := range map[string]*atomic.Uint64{
		"malformed": &c.malformed, "not_registered": &c.unauthorized, "no_passkey": &c.passkey, "source_rate": &c.tooFast,
		"source_peers": &c.tooMany, "ring_silent": &c.ring, "short_packet": &c.short, "not_connected": &c.unconnected,
		"unknown_action": &c.unknown, "busy": &c.busy,
		"connections": &c.conns, "source_connections": &c.connsOfOne, "slow_request": &c.slow, "no_room": &t.view.evicted,
	} {
		if n := n.Load(); n > 0 {
			reasons[reason] = n
		}
	}
	return reasons
}

// Stats is what a Tracker does and holds.
type Stats struct {
	HTTP, UDP, Scrapes uint64 // announces answered by each, and scrapes
	Peers, Own, Swarms int    // held, those of them that announce here, and their swarms
}

// Stats tells what there is now.
func (t *Tracker) Stats() Stats {
	s := Stats{HTTP: t.counts.http.Load(), UDP: t.counts.udp.Load(), Scrapes: t.counts.scrapes.Load(),
		Peers: int(t.view.stored.Load()), Own: int(t.view.own.Load())}
	for i := range t.view.shards {
		sh := &t.view.shards[i]
		sh.mu.Lock()
		s.Swarms += len(sh.swarms)
		sh.mu.Unlock()
	}
	return s
}
