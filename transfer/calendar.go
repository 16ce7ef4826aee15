package transfer

import (
	"container/heap"
	"context"
	"time"
)

// told is what is remembered of a torrent's announces from one to the next. It belongs
// to the torrent's loop.
type told struct {
	event    Event         // of the next one
	tried    bool          // there was one
	heard    bool          // the last one came through
	finished bool          // the last piece came while one was under way
	wished   bool          // more peers are wanted
	granted  bool          // and were before, since the last one
	hurried  bool          // the next one is made for that
	ended    bool          // there will be none
	place    int           // in the calendar, from 1; 0: not in it
	due      time.Time     // of the next one
	retry    time.Duration // until the next one if this one fails
	patience time.Duration // before the next one that is made for a wish
	flight   *flight       // the one under way; nil: none
}

// flight is an announce under way.
type flight struct {
	cancel context.CancelFunc
	over   chan struct{} // closed when it has ended
}

// idleAtOnce is how many torrents that need nothing are announced at a time, by a loop.
// There may be very many of them, and a ring that has been away is not to be run over.
const idleAtOnce = 32

// calendar is the announces to be made on a loop.
type calendar struct {
	queue []*Torrent // a heap by due
	held  []*Torrent // due, and waiting for room below idleAtOnce; the oldest first
	idle  int        // under way for torrents that need nothing
}

func (c *calendar) Len() int           { return len(c.queue) }
func (c *calendar) Less(i, k int) bool { return c.queue[i].told.due.Before(c.queue[k].told.due) }

func (c *calendar) Swap(i, k int) {
	c.queue[i], c.queue[k] = c.queue[k], c.queue[i]
	c.queue[i].told.place, c.queue[k].told.place = i+1, k+1
}

func (c *calendar) Push(t any) {
	c.queue = append(c.queue, t.(*Torrent))
	c.queue[len(c.queue)-1].told.place = len(c.queue)
}

func (c *calendar) Pop() any {
	last := len(c.queue) - 1
	t := c.queue[last]
	c.queue[last] = nil
	c.queue = c.queue[:last]
	t.told.place = 0
	return t
}

// next is when the next announce is due; false when none is.
func (c *calendar) next() (time.Time, bool) {
	if len(c.queue) == 0 {
		return time.Time{}, false
	}
	return c.queue[0].told.due, true
}

// set has t announced at a time.
func (c *calendar) set(t *Torrent, due time.Time) {
	t.told.due = due
	if t.told.place > 0 {
		heap.Fix(c, t.told.place-1)
	} else {
		heap.Push(c, t)
	}
}

func (l *loop) beginAnnounces(t *Torrent) {
	if t.spec.Announcer == nil {
		return
	}
	t.told = told{event: Started, retry: firstRetry, patience: firstWish}
	l.calendar.set(t, l.now)
}

// announceDue makes the announces whose time has come.
func (l *loop) announceDue() {
	c := &l.calendar
	for len(c.queue) > 0 && !c.queue[0].told.due.After(l.now) {
		t := heap.Pop(c).(*Torrent)
		switch {
		case !t.idle():
			l.announce(t, false)
		case c.idle < idleAtOnce:
			l.announce(t, true)
		default:
			c.held = append(c.held, t)
		}
	}
}

// idle tells whether the next announce of t can wait for others: it needs nothing, and
// nobody waits for its first one.
func (t *Torrent) idle() bool {
	return (t.told.tried || t.spec.Patient) && t.told.event != Completed && t.done.fired()
}

// announce makes one, on a goroutine of its own.
func (l *loop) announce(t *Torrent, idle bool) {
	ctx, cancel := context.WithCancel(l.e.ctx)
	f := &flight{cancel: cancel, over: make(chan struct{})}
	t.told.flight, t.told.tried = f, true
	if idle {
		l.calendar.idle++
	}
	if !t.told.hurried {
		t.told.patience = firstWish
	}
	t.told.hurried, t.told.granted = false, false
	p := t.progress()
	p.Event = t.told.event
	if t.s != nil {
		p.Refused, t.s.book.refused = t.s.book.refused, nil
	}
	l.e.side.Go(func() {
		defer cancel()
		answer, err := t.spec.Announcer.Announce(ctx, p)
		close(f.over)
		l.post(announced{t, f, idle, answer, err})
	})
}

// announced is the end of an announce.
type announced struct {
	t      *Torrent
	f      *flight
	idle   bool
	answer Answer
	err    error
}

func (a announced) handle(l *loop) {
	if a.idle {
		l.calendar.idle--
		l.letGo()
	}
	t := a.t
	if t.told.flight != a.f {
		return // it has ended meanwhile
	}
	t.told.flight = nil
	t.told.heard = a.err == nil
	if a.err != nil {
		l.log.Info("announce failed", "info_hash", hexHash(t.spec.InfoHash), "err", a.err)
		l.calendar.set(t, l.now.Add(t.told.retry))
		t.told.retry = min(2*t.told.retry, lastRetry)
	} else {
		t.told.event, t.told.retry = None, firstRetry
		wait := a.answer.Interval
		if wait <= 0 {
			wait = usualInterval
		}
		l.calendar.set(t, l.now.Add(max(wait, leastInterval)))
		addPeers{t, a.answer.Peers}.handle(l)
	}
	if t.told.finished {
		l.announceCompleted(t)
	}
	if t.told.wished {
		l.wishPeers(t)
	}
}

// letGo makes the announces that waited for room.
func (l *loop) letGo() {
	c := &l.calendar
	for len(c.held) > 0 && c.idle < idleAtOnce {
		t := c.held[0]
		c.held[0] = nil
		if c.held = c.held[1:]; !t.told.ended {
			l.announce(t, true)
		}
	}
}

// announceCompleted is called when the last piece is there.
func (l *loop) announceCompleted(t *Torrent) {
	switch {
	case t.spec.Announcer == nil || t.told.ended:
	case t.told.flight != nil:
		t.told.finished = true // to be said next
	case t.told.event == Started:
		t.told.finished = false // it was not heard yet, and will say that nothing is left
	default:
		t.told.finished, t.told.event = false, Completed
		if t.told.heard {
			l.calendar.set(t, l.now)
		}
	}
}

// wishPeers has the next announce made sooner, once. Not at once: it may be that nobody
// else is there.
func (l *loop) wishPeers(t *Torrent) {
	if t.spec.Announcer == nil || t.told.ended || t.told.granted {
		return
	}
	if t.told.wished = t.told.flight != nil || !t.told.heard; t.told.wished {
		return
	}
	t.told.granted = true
	if t.told.due.Sub(l.now) > t.told.patience {
		t.told.hurried = true
		l.calendar.set(t, l.now.Add(t.told.patience))
		t.told.patience = min(2*t.told.patience, lastWish)
	}
}

// endAnnounces makes no more announces of t, and gives the one under way, which is asked
// to end; nil: none is.
func (l *loop) endAnnounces(t *Torrent) *flight {
	f := t.told.flight
	if f != nil {
		f.cancel()
	}
	if t.told.place > 0 {
		heap.Remove(&l.calendar, t.told.place-1)
	}
	t.told.flight, t.told.ended = nil, true
	return f
}
