package transfer

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"
)

type announcerFunc func(context.Context, Progress) (Answer, error)

func (f announcerFunc) Announce(ctx context.Context, p Progress) (Answer, error) { return f(ctx, p) }

// Who does not take a call is told of in the next announce, once.
func TestWhoRefusesIsToldOf(t *testing.T) {
	f := makeTorrent(t, 190, 64<<10, 256<<10)
	gone := start(t)
	addr := gone.addr()
	must(t, gone.Close())
	clock := &stoppedClock{at: time.Now()}
	e := start(t, func(c *Config) { c.now = clock.now })
	var mu sync.Mutex
	var told []netip.AddrPort
	spec := f.leechSpec(t)
	spec.Announcer = announcerFunc(func(_ context.Context, p Progress) (Answer, error) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, p.Refused...)
		return Answer{Peers: []netip.AddrPort{addr}, Interval: time.Hour}, nil
	})
	to := e.add(t, spec)
	until(t, "the announce that tells of it", func() bool {
		clock.advance(10 * time.Second)
		to.Status()
		mu.Lock()
		defer mu.Unlock()
		return len(told) > 0
	})
	if told[0] != addr {
		t.Errorf("told of %v, it was %v", told, addr)
	}
}
