package transfer

import (
	"cmp"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"chordtorrent/transfer/poller"
)

const (
	// shareEvery is how often what a limit allows is shared out among those who wait
	// for it.
	shareEvery = 20 * time.Millisecond
	// leastShare is what one of them gets at least: less is not worth a system call.
	leastShare = 4 << 10
)

// limit bounds the bytes of one direction, of an engine or a torrent; the zero
// value bounds nothing. Any loop may use it at any time.
type limit struct{ to atomic.Pointer[rate.Limiter] }

// set allows so many bytes per second from now on; 0: any number.
func (l *limit) set(bytesPerSec int64) {
	if bytesPerSec <= 0 {
		l.to.Store(nil)
		return
	}
	l.to.Store(rate.NewLimiter(rate.Limit(bytesPerSec), int(max(bytesPerSec/10, 4*leastShare))))
}

// value is what set was given last.
func (l *limit) value() int64 {
	if to := l.to.Load(); to != nil {
		return int64(to.Limit())
	}
	return 0
}

// room is how many bytes may pass now.
func (l *limit) room(now time.Time) int {
	if to := l.to.Load(); to != nil {
		return int(max(to.TokensAt(now), 0))
	}
	return math.MaxInt
}

// passed notes that n bytes have; there may be more of them than there was room for,
// which those to come pay for.
func (l *limit) passed(now time.Time, n int) {
	to := l.to.Load()
	for to != nil && n > 0 {
		part := min(n, to.Burst())
		to.ReserveN(now, part)
		n -= part
	}
}

// limits are those of both directions.
type limits struct{ down, up limit }

// SetLimits bounds what all torrents of the engine together receive and send, in
// bytes per second; 0: no bound. It may be called at any time and takes effect at
// once.
func (e *Engine) SetLimits(down, up int64) { e.limits.set(down, up) }

// SetLimits is Engine.SetLimits for this torrent alone.
func (t *Torrent) SetLimits(down, up int64) { t.limits.set(down, up) }

func (l *limits) set(down, up int64) {
	l.down.set(down)
	l.up.set(up)
}

// upRoom is how much the connection may send of blocks now, downRoom how much it may
// receive of anything.
func (c *conn) upRoom() int {
	return min(c.s.t.limits.up.room(c.l.now), c.l.e.limits.up.room(c.l.now), c.upShare)
}

func (c *conn) downRoom() int {
	return min(c.s.t.limits.down.room(c.l.now), c.l.e.limits.down.room(c.l.now), c.downShare)
}

func (c *conn) sent(n int) {
	c.s.t.limits.up.passed(c.l.now, n)
	c.l.e.limits.up.passed(c.l.now, n)
	if c.upShare != math.MaxInt {
		if c.upShare = max(c.upShare-n, 0); c.upShare == 0 {
			c.l.served++
			c.upServed = c.l.served
		}
	}
}

func (c *conn) received(n int) {
	c.s.t.limits.down.passed(c.l.now, n)
	c.l.e.limits.down.passed(c.l.now, n)
	if c.downShare != math.MaxInt {
		if c.downShare = max(c.downShare-n, 0); c.downShare == 0 {
			c.l.served++
			c.downServed = c.l.served
		}
	}
}

// holdUp has the connection wait until there is room for its blocks again.
func (c *conn) holdUp() {
	if !c.upHeld {
		c.upHeld = true
		c.l.upHeld = append(c.l.upHeld, c)
	}
}

// holdDown has it read no more until then: the peer's system stops to send.
func (c *conn) holdDown() {
	if !c.downHeld {
		c.downHeld = true
		c.l.downHeld = append(c.l.downHeld, c)
		c.watchFor(c.want &^ poller.Read)
	}
}

// share lets those go on who wait for a limit, each with its part of what there is.
// What there is may do for a few only: first are those whose last whole share is the
// longest ago.
func (l *loop) share() {
	l.nextShare = l.now.Add(shareEvery)
	up, down := l.upHeld, l.downHeld
	l.upHeld, l.downHeld = nil, nil
	slices.SortStableFunc(up, func(a, b *conn) int { return cmp.Compare(a.upServed, b.upServed) })
	for _, c := range up {
		if c.state == closed {
			continue
		}
		c.upHeld, c.upShare = false, math.MaxInt
		if room := c.upRoom(); room != math.MaxInt {
			c.upShare = max(room/len(up), min(room, leastShare))
		}
		c.wake()
	}
	slices.SortStableFunc(down, func(a, b *conn) int { return cmp.Compare(a.downServed, b.downServed) })
	for _, c := range down {
		if c.state == closed {
			continue
		}
		c.downHeld, c.downShare = false, math.MaxInt
		if room := c.downRoom(); room != math.MaxInt {
			c.downShare = max(room/len(down), min(room, leastShare))
		}
		c.watchFor(c.want | poller.Read)
	}
}
