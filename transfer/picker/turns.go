package picker

import (
	"slices"
	"time"
)

// Whoever serves all its peers at once gives each a trickle: they have the next piece at the
// same late time, and none could pass it on before. So a few are served at a time, each for a
// while, and then those who have waited longest.

const (
	// servedAtOnce is how many have a turn at a time: enough that a link is full while one of
	// them is not as fast, or is between two requests.
	servedAtOnce = 4
	// turnBytes is what one is sent in a turn when others wait: not so little that it goes
	// in small packets, nor so much that the others wait for long.
	turnBytes = 128 << 10
	// longestTurn is how long a turn may take while others wait: the link may be idle.
	longestTurn = 150 * time.Millisecond
	// It is for links of 30 Mbit/s and more, where four turns take no longer. Whose turns take
	// longer so many times in a row is served beside the others for a while, then tried again.
	slowTurns    = 2
	firstAside   = 5 * time.Second
	longestAside = time.Minute
)

// TurnTick is how often turns are looked at while somebody waits for one.
const TurnTick = 50 * time.Millisecond

type turnState uint8

const (
	noTurn  turnState = iota // it has nothing to be sent, or is served aside
	waiting                  // in line
	served
)

// Turn is a peer's among those who are served in turns. It is for the Turns it was first
// given to; the zero value has never been.
type Turn struct {
	Peer  PeerID
	state turnState
	left  int       // bytes until it is over, if others wait
	since time.Time // it has been served with others waiting; zero: nobody has
	late  bool      // for no fault of its own, see Excuse
	aside time.Time // until then it is served beside the others
	slow  int       // turns that took too long, in a row
}

// Turns says who may be sent something now. The zero value is ready for use; like a Picker
// it belongs to one goroutine and has no clock.
type Turns struct{ served, line []*Turn }

// Begin reports whether a peer may be sent a block now. If not it is in line, and Next
// returns it in time, or its turn is over, see Over.
func (t *Turns) Begin(u *Turn, now time.Time) bool {
	switch {
	case u.state == served && u.left <= 0 && len(t.line) == 0:
		u.left, u.since, u.late = turnBytes, time.Time{}, false
		return true
	case u.state == served:
		return u.left > 0
	case u.state == waiting:
		return false
	case now.Before(u.aside):
		return true
	}
	if len(t.line) == 0 && len(t.served) < servedAtOnce {
		t.serve(u, now)
		return true
	}
	for _, o := range t.served {
		if o.since.IsZero() {
			o.since = now
		}
	}
	u.state = waiting
	t.line = append(t.line, u)
	return false
}

func (t *Turns) serve(u *Turn, now time.Time) {
	t.served = append(t.served, u)
	u.state, u.left, u.since, u.late = served, turnBytes, time.Time{}, false
	if len(t.line) > 0 {
		u.since = now
	}
}

// Sent notes that n bytes of blocks were sent to a peer.
func (u *Turn) Sent(n int) { u.left -= n }

// Excuse notes that what a peer is sent has to wait here, for a disk or a limit of rate: how
// long this turn takes says nothing of the peer's link.
func (u *Turn) Excuse() { u.late = true }

// Done notes that there is nothing more to be sent to a peer for now. When others wait its
// turn is over.
func (t *Turns) Done(u *Turn) {
	switch {
	case u.state == waiting, u.state == served && len(t.line) == 0:
		t.Free(u)
	case u.state == served:
		u.left = 0
	}
}

// Over reports whether a peer's turn is over and others wait for it. It lasts, and nothing
// more is to be begun, until Free: that is for when what was sent has left.
func (t *Turns) Over(u *Turn) bool { return u.state == served && u.left <= 0 && len(t.line) > 0 }

// Free ends a peer's turn, or its waiting for one.
func (t *Turns) Free(u *Turn) {
	switch u.state {
	case served:
		t.served = slices.DeleteFunc(t.served, func(o *Turn) bool { return o == u })
		u.slow = 0
	case waiting:
		t.line = slices.DeleteFunc(t.line, func(o *Turn) bool { return o == u })
	}
	u.state = noTurn
}

// Next gives the turn to who has waited longest, and returns it; nil when nobody waits or
// nobody else can be served.
func (t *Turns) Next(now time.Time) *Turn {
	if len(t.line) == 0 || len(t.served) >= servedAtOnce {
		return nil
	}
	u := t.line[0]
	t.line = slices.Delete(t.line, 0, 1)
	t.serve(u, now)
	return u
}

// Waiting reports whether anybody is in line: then Tick is to be called every TurnTick.
func (t *Turns) Waiting() bool { return len(t.line) > 0 }

// Tick ends the turns that take too long while others wait. Next is to be called after it.
func (t *Turns) Tick(now time.Time) {
	if len(t.line) == 0 {
		return
	}
	t.served = slices.DeleteFunc(t.served, func(u *Turn) bool {
		if now.Sub(u.since) < longestTurn {
			return false
		}
		u.state = noTurn
		if u.late {
			return true
		}
		if u.slow++; u.slow >= slowTurns {
			u.aside = now.Add(min(firstAside<<min(u.slow-slowTurns, 8), longestAside))
		}
		return true
	})
}
