package transfer

import (
	"time"

	"chordtorrent/transfer/picker"
)

const rechokeEvery = 10 * time.Second

// rechoke runs the choker and tells those for whom something has changed.
func (s *swarm) rechoke() {
	before := s.l.now.Add(-rechokeEvery)
	s.nextRechoke = s.l.now.Add(rechokeEvery)
	var askers []picker.Asker
	for _, c := range s.conns {
		if c.state == open && c.wantsUs {
			askers = append(askers, picker.Asker{ID: c.id, Served: !c.chokesIt, Complete: !c.fetches(), Stuck: c.stuckSince(before), Since: c.chokedAt, Takes: c.up.rate, Gives: c.down.rate})
		}
	}
	serve := picker.Unchoke(askers, s.l.e.cfg.UploadSlots)
	for _, c := range s.conns {
		if c.state == open && c.chokesIt == serve[c.id] {
			c.setChoke(!serve[c.id])
		}
	}
}

// stuckSince tells whether the peer could take since then what there is for it, and has
// not: its socket is full. Who waits for its turn or a limit, or has not asked, is not stuck.
func (c *conn) stuckSince(then time.Time) bool {
	return c.blocked && !c.chokesIt && c.wrote.Before(then) && !c.chokedAt.After(then)
}
