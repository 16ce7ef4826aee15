package picker

import (
	"cmp"
	"slices"
	"time"
)

// optimisticShare: one slot in so many goes round among those that wait, so that
// everybody gets a turn and a better peer can be found.
const optimisticShare = 8

// Asker is what the choker knows of a peer that is interested in us.
type Asker struct {
	ID       PeerID
	Served   bool      // not choked now
	Complete bool      // has nothing left to get: never gets a slot
	Stuck    bool      // there was something to send since the last time, and it took nothing
	Since    time.Time // when it was last choked or unchoked; zero: never
	Takes    float64   // bytes per second that it takes from us
	Gives    float64   // bytes per second that it gives us
}

// Unchoke decides who is served. With no more askers than slots it is everyone:
// on a LAN the socket is the better judge of who can take how much. With more,
// the slots go to those who give most and then to those who take fastest, but
// one in optimisticShare goes to who has waited longest, and so do those of the
// stuck. It reorders askers.
func Unchoke(askers []Asker, slots int) map[PeerID]bool {
	serve := make(map[PeerID]bool, min(len(askers), slots))
	askers = slices.DeleteFunc(askers, func(a Asker) bool { return a.Complete })
	if len(askers) <= slots {
		for _, a := range askers {
			serve[a.ID] = true
		}
		return serve
	}
	turns := max(slots/optimisticShare, 1)
	slices.SortStableFunc(askers, func(a, b Asker) int {
		return cmp.Or(-cmp.Compare(a.Gives, b.Gives), -cmp.Compare(a.Takes, b.Takes), a.Since.Compare(b.Since))
	})
	moving := slices.DeleteFunc(slices.Clone(askers), func(a Asker) bool { return a.Stuck })
	for _, a := range moving {
		if len(serve) == slots-turns {
			break
		}
		if a.Served {
			serve[a.ID] = true
		}
	}
	waiting := slices.DeleteFunc(slices.Clone(askers), func(a Asker) bool { return a.Served })
	slices.SortStableFunc(waiting, func(a, b Asker) int { return a.Since.Compare(b.Since) })
	for _, a := range slices.Concat(waiting, moving, askers) {
		if len(serve) == slots {
			break
		}
		serve[a.ID] = true
	}
	return serve
}
