package transfer

import (
	"cmp"
	"slices"
	"time"
)

const (
	rechokeEvery = 10 * time.Second
	// One slot in so many goes round among those that wait, so that everybody
	// gets a turn and a better peer can be found.
	optimisticShare = 8
)

// asker is what the choker knows of a peer that is interested in us.
type asker struct {
	c        *conn
	served   bool      // not choked now
	complete bool      // has nothing left to get: never gets a slot
	since    time.Time // when it was last choked or unchoked; zero: never
	takes    float64   // bytes per second that it takes from us
	gives    float64   // bytes per second that it gives us
}

// unchoke decides who is served. With no more askers than slots it is everyone:
// on a LAN the socket is the better judge of who can take how much. With more,
// the slots go to those who give most and then to those who take fastest, but
// one in optimisticShare goes to who has waited longest.
func unchoke(askers []asker, slots int) map[*conn]bool {
	serve := make(map[*conn]bool, min(len(askers), slots))
	askers = slices.DeleteFunc(askers, func(a asker) bool { return a.complete })
	if len(askers) <= slots {
		for _, a := range askers {
			serve[a.c] = true
		}
		return serve
	}
	turns := max(slots/optimisticShare, 1)
	slices.SortStableFunc(askers, func(a, b asker) int {
		return cmp.Or(-cmp.Compare(a.gives, b.gives), -cmp.Compare(a.takes, b.takes), a.since.Compare(b.since))
	})
	for _, a := range askers {
		if len(serve) == slots-turns {
			break
		}
		if a.served {
			serve[a.c] = true
		}
	}
	waiting := slices.DeleteFunc(slices.Clone(askers), func(a asker) bool { return a.served })
	slices.SortStableFunc(waiting, func(a, b asker) int { return a.since.Compare(b.since) })
	for _, a := range append(waiting, askers...) {
		if len(serve) == slots {
			break
		}
		serve[a.c] = true
	}
	return serve
}

// rechoke runs the choker and tells those for whom something has changed.
func (s *swarm) rechoke() {
	s.nextRechoke = s.l.now.Add(rechokeEvery)
	var askers []asker
	for _, c := range s.conns {
		if c.state == open && c.wantsUs {
			askers = append(askers, asker{c: c, served: !c.chokesIt, complete: c.isSeed(), since: c.chokedAt, takes: c.up.rate, gives: c.down.rate})
		}
	}
	serve := unchoke(askers, s.l.e.cfg.UploadSlots)
	for _, c := range s.conns {
		if c.state == open && c.chokesIt == serve[c] {
			c.setChoke(!serve[c])
		}
	}
}
