package transfer

import (
	"time"

	"chordtorrent/transfer/picker"
)

const rechokeEvery = 10 * time.Second

// rechoke runs the choker and tells those for whom something has changed.
func (s *swarm) rechoke() {
	s.nextRechoke = s.l.now.Add(rechokeEvery)
	var askers []picker.Asker
	for _, c := range s.conns {
		if c.state == open && c.wantsUs {
			askers = append(askers, picker.Asker{ID: c.id, Served: !c.chokesIt, Complete: !c.fetches(), Since: c.chokedAt, Takes: c.up.rate, Gives: c.down.rate})
		}
	}
	serve := picker.Unchoke(askers, s.l.e.cfg.UploadSlots)
	for _, c := range s.conns {
		if c.state == open && c.chokesIt == serve[c.id] {
			c.setChoke(!serve[c.id])
		}
	}
}
