package picker

import (
	"cmp"
	"slices"
	"time"
)

// Whoever serves all its peers at once gives each a trickle: they have the next piece at the
// same late time, and none could pass it on before. So a few are served at a time, each for a
// while, and then those who have had least (start-time fair queueing: P. Goyal et al., SIGCOMM
// 1996). Where those few do not fill the link, as theirs are slower, more are.

const (
	// leastAtOnce is how many have a turn at a time: enough that a link is full while one of
	// them is not as fast, or is between two requests.
	leastAtOnce = 4
	// mostAtOnce is how many have one where the link does not get full.
	mostAtOnce = 64
	// turnBytes is what one is sent in a turn when others wait: not so little that it goes
	// in small packets, nor so much that the others wait for long.
	turnBytes = 128 << 10
	// longestTurn is how long a turn may take while others wait: the peer may take nothing.
	longestTurn = 150 * time.Millisecond
)

// TurnTick is how often turns are looked at while somebody waits for one.
const TurnTick = 50 * time.Millisecond

type turnState uint8

const (
	noTurn  turnState = iota // it has nothing to be sent
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
	had   int64     // bytes it was sent, and did without while it had nothing to be sent
}

// Turns says who may be sent something now. The zero value is ready for use; like a Picker
// it belongs to one goroutine and has no clock.
type Turns struct {
	served, line []*Turn
	more         int   // than leastAtOnce have a turn at a time
	had          int64 // what who began the latest turn had
}

// Begin reports whether a peer may be sent a block now. If not it is in line, and Next
// returns it in time, or its turn is over, see Over.
func (t *Turns) Begin(u *Turn, now time.Time) bool {
	switch {
	case u.state == served && u.left <= 0 && len(t.line) == 0:
		t.had = max(t.had, u.had)
		u.left, u.since = turnBytes, time.Time{}
		return true
	case u.state == served:
		return u.left > 0
	case u.state == waiting:
		return false
	}
	u.had = max(u.had, t.had)
	if len(t.line) == 0 && t.room() {
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

func (t *Turns) room() bool { return len(t.served) < leastAtOnce+t.more }

func (t *Turns) serve(u *Turn, now time.Time) {
	t.served = append(t.served, u)
	t.had = max(t.had, u.had)
	u.state, u.left, u.since = served, turnBytes, time.Time{}
	if len(t.line) > 0 {
		u.since = now
	}
}

// Sent notes that n bytes of blocks were sent to a peer.
func (u *Turn) Sent(n int) {
	u.left -= n
	u.had += int64(n)
}

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
	is := func(o *Turn) bool { return o == u }
	switch u.state {
	case served:
		t.served = slices.DeleteFunc(t.served, is)
	case waiting:
		t.line = slices.DeleteFunc(t.line, is)
	}
	u.state = noTurn
}

// Next gives the turn to who has had least, of several to who has waited longest, and returns
// it; nil when nobody waits or nobody else can be served.
func (t *Turns) Next(now time.Time) *Turn {
	if len(t.line) == 0 || !t.room() {
		return nil
	}
	u := slices.MinFunc(t.line, func(a, b *Turn) int { return cmp.Compare(a.had, b.had) })
	t.line = slices.DeleteFunc(t.line, func(o *Turn) bool { return o == u })
	t.serve(u, now)
	return u
}

// Waiting reports whether anybody is in line: then Tick is to be called every TurnTick.
func (t *Turns) Waiting() bool { return len(t.line) > 0 }

// Served is who has a turn now; it is not to be changed, nor kept.
func (t *Turns) Served() []*Turn { return t.served }

// Tick ends the turns that take too long while others wait. idle says that there was room on
// the link beside those who have one: then more are served at a time, and fewer again when
// there is none. Next is to be called after it.
func (t *Turns) Tick(now time.Time, idle bool) {
	if len(t.line) == 0 {
		return
	}
	if idle {
		t.more = min(t.more+leastAtOnce, mostAtOnce-leastAtOnce)
	} else {
		t.more /= 2
	}
	t.served = slices.DeleteFunc(t.served, func(u *Turn) bool {
		if now.Sub(u.since) < longestTurn {
			return false
		}
		u.state = noTurn
		return true
	})
}
