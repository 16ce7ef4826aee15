package transfer

import (
	"net/netip"
	"sync"
	"testing"
	"time"
)

// stoppedClock is a clock that only moves when the test moves it.
type stoppedClock struct {
	mu sync.Mutex
	at time.Time
}

func (s *stoppedClock) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

func (s *stoppedClock) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = s.at.Add(d)
}

// A limit lets through what its rate makes of the time that has passed, a burst at
// the beginning and the system call that goes over it, and nothing else; without it
// all the rest comes.
func TestLimits(t *testing.T) {
	const rate = 256 << 10
	for _, c := range []struct {
		name string
		set  func(seed, leech *Engine, from, to *Torrent, bytesPerSec int64)
	}{
		{"sent by the engine", func(seed, _ *Engine, _, _ *Torrent, n int64) { seed.SetLimits(0, n) }},
		{"sent of the torrent", func(_, _ *Engine, from, _ *Torrent, n int64) { from.SetLimits(0, n) }},
		{"received by the engine", func(_, leech *Engine, _, _ *Torrent, n int64) { leech.SetLimits(n, 0) }},
		{"received of the torrent", func(_, _ *Engine, _, to *Torrent, n int64) { to.SetLimits(n, 0) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := &stoppedClock{at: time.Now()}
			f := makeTorrent(t, 95, 64<<10, 8<<20)
			on := func(cfg *Config) { cfg.now = clock.now }
			seed, leech := start(t, on), start(t, on)
			from := seed.add(t, f.seedSpec(t))
			spec := f.leechSpec(t)
			to := leech.add(t, spec)
			c.set(seed.Engine, leech.Engine, from, to, rate)
			to.AddPeers([]netip.AddrPort{seed.addr()})
			keepsTo(t, to, clock, rate, 20, rate/10+64<<10, 0) // the burst, and the last call beyond it
			c.set(seed.Engine, leech.Engine, from, to, 0)
			clock.advance(time.Second)
			ended := make(chan struct{})
			go func() { defer close(ended); done(t, to) }()
			until(t, "the rest to come", func() bool {
				clock.advance(time.Millisecond)
				select {
				case <-ended:
					return true
				default:
					return false
				}
			})
			f.same(t, spec.Content)
		})
	}
}

// A limit that the torrent comes with holds from its first byte on.
func TestALimitOfTheSpec(t *testing.T) {
	const rate = 256 << 10
	clock := &stoppedClock{at: time.Now()}
	f := makeTorrent(t, 97, 64<<10, 8<<20)
	on := func(cfg *Config) { cfg.now = clock.now }
	seed, leech := start(t, on), start(t, on)
	seed.add(t, f.seedSpec(t))
	spec := f.leechSpec(t)
	spec.LimitDown = rate
	to := leech.add(t, spec)
	to.AddPeers([]netip.AddrPort{seed.addr()})
	keepsTo(t, to, clock, rate, 5, rate/10+64<<10, 0)
}

// keepsTo plays tenths of a second. In each half of what the rate lets through comes at least,
// but for what is gathered before it counts; and never more than it does, and a burst.
func keepsTo(t *testing.T, to *Torrent, clock *stoppedClock, rate int64, tenths int, burst, gathered int64) {
	t.Helper()
	allowed := burst
	for range tenths {
		least := to.Status().Downloaded + rate/20 - gathered
		clock.advance(100 * time.Millisecond)
		allowed += rate / 10
		until(t, "what the limit lets through", func() bool { return to.Status().Downloaded >= least })
		if got := to.Status().Downloaded; got > allowed {
			t.Fatalf("%d bytes have come, allowed are %d", got, allowed)
		}
	}
}

// Those who wait for one limit get equal parts of it.
func TestALimitIsSharedFairly(t *testing.T) {
	clock := &stoppedClock{at: time.Now()}
	f := makeTorrent(t, 96, 64<<10, 8<<20)
	on := func(cfg *Config) { cfg.now = clock.now }
	seed := start(t, on)
	seed.SetLimits(0, 400<<10)
	from := seed.add(t, f.seedSpec(t))
	for range 4 {
		leech := start(t, on)
		leech.add(t, f.leechSpec(t)).AddPeers([]netip.AddrPort{seed.addr()})
	}
	until(t, "all to be there", func() bool { return from.Status().PeersWanting == 4 })
	began := from.Status().Uploaded
	until(t, "a megabyte to be sent", func() bool {
		clock.advance(time.Millisecond)
		return from.Status().Uploaded-began >= 1<<20
	})
	for _, p := range from.Status().Peers {
		if p.Uploaded < 128<<10 || p.Uploaded > 512<<10 {
			t.Errorf("%s has %d bytes of %d", p.Addr, p.Uploaded, from.Status().Uploaded)
		}
	}
}

// What a limit allows may do for one at a time only: then all have their turn, those in the
// middle of the line as well.
func TestALimitThatDoesForOneGoesRound(t *testing.T) {
	s := newTurns(t, 4)
	s.e.SetLimits(0, 50<<10)
	for _, p := range s.stalled {
		s.ask(p, 1)
	}
	held := func() (n int) {
		s.look(func() { n = len(s.from.l.upHeld) })
		return n
	}
	until(t, "all to wait for the limit", func() bool { return held() == 4 })
	before := map[*conn]int64{}
	s.each(func(c *conn) { before[c] = c.up.total })
	const rounds = 200 // of which each is worth a kilobyte
	for range rounds {
		s.clock.advance(shareEvery)
		until(t, "the share of one to be used up", func() bool { return held() == 4 })
	}
	s.each(func(c *conn) {
		if got := c.up.total - before[c]; got < rounds/4<<10*3/4 || got > rounds/4<<10*5/4 {
			t.Errorf("%s has got %d bytes of %d", c.addr, got, rounds<<10)
		}
	})
}
