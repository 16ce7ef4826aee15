package transfer

import (
	"slices"
	"time"
)

// A piece can be passed on when all of it is there. Whoever sends to everybody at once
// gives each a sliver of its link, so that the first whole piece comes as late as the
// last, and until then nobody can help; at the end of a download it is the same. So
// blocks go to few peers at a time, a piece to each, and the others wait for a lane.
// Nobody is choked for it: requests are taken and answered, in turn.

const (
	// fewestLanes keep a link full although one or two of the peers are slow.
	fewestLanes = 4
	// laneTime is for how long somebody counts who has a lane while others wait. A slow
	// peer is sent to for longer, beside the others.
	laneTime = time.Second
	// roundTime is in how long everybody's turn should come: far less than anybody's
	// patience. With many peers on a slow link a turn is then less than a piece.
	roundTime = 3 * time.Second
)

// lane is what a connection knows of its turn.
type lane struct {
	held, waits bool
	since       time.Time // it was given the lane
	left        int       // bytes that it may still send while others wait
}

// lanes is who of a torrent's peers is being sent to, and who is next.
type lanes struct {
	width   width
	held    []*conn // len(held) <= width.most, or width.most has just become less
	waiting []*conn // first come, first served
}

// mayBegin reports whether a block may be begun; if not, the connection is woken when
// its turn has come.
func (c *conn) mayBegin() bool {
	s := c.s
	if c.lane.held {
		return true
	}
	if !c.lane.waits {
		c.lane.waits = true
		s.lanes.waiting = append(s.lanes.waiting, c)
		s.grantLanes()
	}
	return c.lane.held
}

// grantLanes gives the lanes that are free to those who wait.
func (s *swarm) grantLanes() {
	l := &s.lanes
	for len(l.held) < l.width.lanes() && len(l.waiting) > 0 {
		c := l.waiting[0]
		l.waiting = l.waiting[1:]
		l.held = append(l.held, c)
		c.lane = lane{held: true, since: s.l.now, left: int(s.geo.PieceLen)}
		if s.up.rate > 0 {
			fair := s.up.rate * roundTime.Seconds() / float64(len(l.held)+len(l.waiting))
			c.lane.left = min(c.lane.left, int(fair))
		}
		c.wrote = s.l.now // until now it was we who did not send
		c.wake()
	}
}

// leaveLane ends the turn of a connection, or its wait.
func (c *conn) leaveLane() {
	l := &c.s.lanes
	switch {
	case c.lane.held:
		l.held = slices.DeleteFunc(l.held, func(o *conn) bool { return o == c })
	case c.lane.waits:
		l.waiting = slices.DeleteFunc(l.waiting, func(o *conn) bool { return o == c })
	default:
		return
	}
	c.lane = lane{}
	c.s.grantLanes()
}

// laneBlock is called when a block has been sent: with the piece, or its part of the
// time, the turn is over.
func (c *conn) laneBlock(b *body) {
	c.lane.left -= int(b.size)
	if !c.lane.held || len(c.s.lanes.waiting) == 0 {
		return
	}
	another := true
	switch {
	case len(c.bodies) > 0:
		another = c.bodies[0].piece != b.piece
	case len(c.queue) > 0:
		another = c.queue[0].piece != b.piece
	}
	if another || c.lane.left <= 0 {
		c.leaveLane()
	}
}

// tickLanes takes the lanes of those who are slow, and finds out how many it takes.
func (s *swarm) tickLanes() {
	l := &s.lanes
	for _, c := range slices.Clone(l.held) {
		if len(l.waiting) > 0 && s.l.now.Sub(c.lane.since) > laneTime {
			c.leaveLane()
		}
	}
	l.width.tick(s.l.now, s.up.total, len(l.waiting) > 0)
	s.grantLanes()
}

const (
	probeFor   = 400 * time.Millisecond
	firstPause = 600 * time.Millisecond
	lastPause  = 10 * time.Second
	// worthMore is what twice the lanes must bring, worthLess what half of them must
	// keep.
	worthMore, worthLess = 1.25, 0.9
)

// width finds how many lanes there should be: as few as will do. When it is the peers'
// links that are slow, twice as many lanes give twice the rate; when it is ours, nothing.
// So it tries, when somebody waits, and goes back when it was of no use.
type width struct {
	most    int // 0: not begun
	step    uint8
	next    time.Time // of the next step
	pause   time.Duration
	down    bool // fewer are tried next
	began   time.Time
	total   int64   // bytes sent when it began
	before  float64 // bytes per second with the old number
	wasMost int
}

const (
	resting uint8 = iota
	measuring
	probing
)

// lanes is how many there may be now.
func (w *width) lanes() int { return max(w.most, fewestLanes) }

func (w *width) tick(now time.Time, total int64, wanted bool) {
	if w.next.IsZero() {
		w.most, w.pause = fewestLanes, firstPause
		w.next = now.Add(w.pause)
	}
	if now.Before(w.next) {
		return
	}
	rate := float64(total-w.total) / now.Sub(w.began).Seconds()
	w.began, w.total = now, total
	switch {
	case !wanted && w.step != probing:
		w.rest(now, firstPause)
	case w.step == resting:
		w.step, w.next = measuring, now.Add(probeFor)
	case w.step == measuring:
		w.step, w.next = probing, now.Add(probeFor)
		w.before, w.wasMost = rate, w.most
		w.down = w.down && w.most > fewestLanes
		if w.down {
			w.most = max(w.most/2, fewestLanes)
		} else {
			w.most *= 2
		}
	default:
		least := worthMore
		if w.down {
			least = worthLess
		}
		if rate >= least*w.before {
			w.rest(now, probeFor)
			return
		}
		w.most = w.wasMost
		w.down = !w.down
		w.rest(now, min(2*w.pause, lastPause))
	}
}

func (w *width) rest(now time.Time, pause time.Duration) {
	w.step, w.pause, w.next = resting, pause, now.Add(pause)
}
