package communicator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/discovery"
	"chordtorrent/communicator/ringtest"
)

// inPool runs f with a Communicator over a pool, in virtual time.
func inPool(t *testing.T, n *fakeNet, cfg poolConfig, f func(t *testing.T, c *Communicator, p *pool)) {
	synctest.Test(t, func(t *testing.T) {
		cfg.dial = n.dial
		if cast, ok := cfg.cast.(*fakeCast); ok {
			cast.hints = make(chan discovery.Hint, 256) // of this bubble
		}
		cfg.log = testLog(t)
		p := newPool(cfg)
		c := newCommunicator(p, p.LocalAddr, p.Close, cfg.log)
		defer func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			if left := n.open(); len(left) > 0 {
				t.Errorf("connections left open: %q", left)
			}
			n.with(func() { clear(n.conns) })
		}()
		f(t, c, p)
	})
}

var errTest = errors.New("test")

func TestACallThatLosesItsMemberIsCarriedOutAtAnother(t *testing.T) {
	n := newFakeNet("10.0.0.1:8000", "10.0.0.2:8000", "10.0.0.3:8000")
	inPool(t, n, poolConfig{resolve: list("10.0.0.1:8000")}, func(t *testing.T, c *Communicator, p *pool) {
		what := contentFor(t, "x", 1, 6*chunkBytes)
		// Each member dies in the middle of a call, before or after it was done.
		deaths := 0
		n.ring.Intercept(func(i int, op any) *ringtest.Fault {
			if _, ok := op.(chord.Put); !ok || deaths == 2 {
				return nil
			}
			deaths++
			applied := deaths == 1
			return &ringtest.Fault{Err: errTest, Applied: applied, Before: func(context.Context) { n.with(func() { delete(n.up, p.at()) }) }}
		})
		publish(t, c, what)
		if deaths != 2 || len(n.up) != 1 {
			t.Fatalf("%d deaths, %d members left", deaths, len(n.up))
		}
		checkConsistent(t, c, "x")
	})
}

// at is the address of the connection at hand.
func (p *pool) at() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cur == nil {
		return ""
	}
	return p.cur.Addr()
}

func TestASilentMemberIsGivenUp(t *testing.T) {
	n := newFakeNet("10.0.0.1:8000", "10.0.0.2:8000")
	inPool(t, n, poolConfig{resolve: list("10.0.0.1:8000")}, func(t *testing.T, c *Communicator, p *pool) {
		if _, err := status(bg, c); err != nil {
			t.Fatal(err)
		}
		first := p.at()
		n.with(func() { n.mute[first] = true })
		begin := time.Now()
		if _, err := c.Versions(bg, "x"); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > refreshBusy+silence+time.Second {
			t.Errorf("took %v", took)
		}
		if p.at() == first {
			t.Error("the silent member is still at hand")
		}
	})
}

func TestWhetherAMemberIsAtHandIsKnown(t *testing.T) {
	n := newFakeNet("10.0.0.1:8000")
	inPool(t, n, poolConfig{resolve: list("10.0.0.1:8000")}, func(t *testing.T, c *Communicator, p *pool) {
		if _, err := status(bg, c); err != nil || !c.Connected() {
			t.Fatalf("connected: %v, %v", c.Connected(), err)
		}
		n.kill("10.0.0.1:8000")
		synctest.Wait()
		if c.Connected() || !c.LocalAddr().IsValid() {
			t.Errorf("without any member: connected: %v, as %v", c.Connected(), c.LocalAddr())
		}
	})
}

func TestALeavingMemberIsLeft(t *testing.T) {
	n := newFakeNet("10.0.0.1:8000", "10.0.0.2:8000")
	inPool(t, n, poolConfig{resolve: list("10.0.0.1:8000")}, func(t *testing.T, c *Communicator, p *pool) {
		if _, err := status(bg, c); err != nil {
			t.Fatal(err)
		}
		n.ring.Intercept(func(i int, op any) *ringtest.Fault {
			if _, ok := op.(chord.GetStatus); !ok && p.at() == "10.0.0.1:8000" {
				return &ringtest.Fault{Code: chord.CodeLeaving}
			}
			return nil
		})
		if _, err := c.Versions(bg, "x"); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		if at := p.at(); at != "10.0.0.2:8000" {
			t.Errorf("now at %q", at)
		}
	})
}

func TestACutOffMemberIsLeftAfterSomePatience(t *testing.T) {
	n := newFakeNet("10.0.0.1:8000", "10.0.0.2:8000")
	inPool(t, n, poolConfig{resolve: list("10.0.0.1:8000")}, func(t *testing.T, c *Communicator, p *pool) {
		n.ring.Intercept(func(i int, op any) *ringtest.Fault {
			if _, ok := op.(chord.GetStatus); !ok && p.at() == "10.0.0.1:8000" {
				return &ringtest.Fault{Code: chord.CodeUnavailable}
			}
			return nil
		})
		begin := time.Now()
		if _, err := c.Versions(bg, "x"); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < patience || took > patience+3*time.Second {
			t.Errorf("moved on after %v", took)
		}
	})
}

func TestNoRingIsSaidAndARingThatComesLaterIsFound(t *testing.T) {
	n := newFakeNet()
	inPool(t, n, poolConfig{resolve: list("10.0.0.1:8000")}, func(t *testing.T, c *Communicator, p *pool) {
		ctx, cancel := context.WithTimeout(bg, 3*time.Second)
		defer cancel()
		if _, err := c.Versions(ctx, "x"); !errors.Is(err, ErrNoRing) {
			t.Fatalf("error %v", err)
		}
		begin := time.Now()
		_, err := c.Versions(bg, "x")
		if took := time.Since(begin); !errors.Is(err, ErrNoRing) || took != opBudget {
			t.Fatalf("after %v: %v", took, err)
		}
		n.with(func() { n.up["10.0.0.1:8000"] = time.Millisecond })
		if _, err := c.Versions(bg, "x"); !errors.Is(err, ErrNotFound) {
			t.Fatalf("error %v", err)
		}
		ctx, stop := context.WithCancel(bg)
		stop()
		if _, err := c.Versions(ctx, "x"); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v", err)
		}
	})
}

func TestARingIsFoundByMulticastAloneAndAgainWhenAllMembersChanged(t *testing.T) {
	n := newFakeNet("10.0.0.1:8000")
	cast := newFakeCast(discovery.Hint{Addrs: []string{"10.0.0.1:8000"}})
	inPool(t, n, poolConfig{cast: cast}, func(t *testing.T, c *Communicator, p *pool) {
		begin := time.Now()
		if _, err := status(bg, c); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 100*time.Millisecond {
			t.Errorf("found after %v", took)
		}
		n.with(func() { n.up["10.0.0.7:8000"] = time.Millisecond })
		n.kill("10.0.0.1:8000")
		cast.mu.Lock()
		cast.reply = []discovery.Hint{{Addrs: []string{"10.0.0.1:8000"}, Leaving: true}, {Addrs: []string{"10.0.0.7:8000"}}}
		cast.mu.Unlock()
		if _, err := c.Versions(bg, "x"); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		if at := p.at(); at != "10.0.0.7:8000" {
			t.Errorf("now at %q", at)
		}
	})
}

func TestAMemberBeyondThisMachineIsPreferred(t *testing.T) {
	n := newFakeNet("127.0.0.1:8000", "10.0.0.1:8000")
	n.up["10.0.0.1:8000"] = loopbackGrace / 2
	inPool(t, n, poolConfig{resolve: list("127.0.0.1:8000", "10.0.0.1:8000")}, func(t *testing.T, c *Communicator, p *pool) {
		if _, err := status(bg, c); err != nil {
			t.Fatal(err)
		}
		if got := c.LocalAddr(); got != netip.MustParseAddr("10.9.9.9") {
			t.Errorf("local address %v", got)
		}
	})
	n = newFakeNet("127.0.0.1:8000", "10.0.0.1:8000")
	n.up["10.0.0.1:8000"] = time.Second // too slow to wait for
	inPool(t, n, poolConfig{resolve: list("127.0.0.1:8000", "10.0.0.1:8000")}, func(t *testing.T, c *Communicator, p *pool) {
		begin := time.Now()
		if _, err := status(bg, c); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 10*loopbackGrace || !c.LocalAddr().IsLoopback() {
			t.Errorf("local address %v after %v", c.LocalAddr(), took)
		}
	})
}

// A machine that has a bridge for containers answers at its address as well.
func TestAMemberIsReachedByTheAddressThatItTells(t *testing.T) {
	n := newFakeNet("172.17.0.1:8000", "10.0.0.1:8000")
	n.ring.SetStatus(chord.Status{Self: chord.Ref{Addr: "10.0.0.1:8000"}, Members: []chord.Ref{{Addr: "10.0.0.1:8000"}}})
	n.up["10.0.0.1:8000"] = sideGrace / 2
	inPool(t, n, poolConfig{resolve: list("172.17.0.1:8000")}, func(t *testing.T, c *Communicator, p *pool) {
		if _, err := status(bg, c); err != nil {
			t.Fatal(err)
		}
		if at := p.at(); at != "10.0.0.1:8000" {
			t.Errorf("now at %q", at)
		}
	})
	n.kill("10.0.0.1:8000") // as it is beyond a router that the client is not
	inPool(t, n, poolConfig{resolve: list("172.17.0.1:8000")}, func(t *testing.T, c *Communicator, p *pool) {
		if _, err := status(bg, c); err != nil {
			t.Fatal(err)
		}
		if at := p.at(); at != "172.17.0.1:8000" {
			t.Errorf("now at %q", at)
		}
	})
}

func TestDeadMembersAreTriedLessAndLess(t *testing.T) {
	n := newFakeNet()
	inPool(t, n, poolConfig{resolve: list("10.0.0.1:8000")}, func(t *testing.T, c *Communicator, p *pool) {
		wait(10 * time.Minute)
		n.mu.Lock()
		dials := len(n.dials)
		n.mu.Unlock()
		if dials < 10 || dials > 40 {
			t.Errorf("%d dials in ten minutes without a caller", dials)
		}
		for range 10 { // callers come and go
			ctx, cancel := context.WithTimeout(bg, time.Second)
			if _, err := status(ctx, c); !errors.Is(err, ErrNoRing) {
				t.Error(err)
			}
			cancel()
		}
		n.mu.Lock()
		dials = len(n.dials) - dials
		n.mu.Unlock()
		if dials < 5 || dials > 30 {
			t.Errorf("%d dials in ten seconds with callers waiting", dials)
		}
	})
}

// wait lets virtual time pass.
func wait(d time.Duration) { <-time.After(d) }

func TestKnownMembersAreCachedAndTriedNextTime(t *testing.T) {
	path := t.TempDir() + "/sub/members.json"
	n := newFakeNet("10.0.0.1:8000", "10.0.0.2:8000", "10.0.0.3:8000")
	inPool(t, n, poolConfig{resolve: list("10.0.0.1:8000"), cache: newMemberCache(path, "c")}, func(t *testing.T, c *Communicator, p *pool) {
		if _, err := status(bg, c); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
	})
	want := []string{"10.0.0.1:8000", "10.0.0.2:8000", "10.0.0.3:8000"}
	if got := newMemberCache(path, "c").load(); !slices.Equal(got, want) {
		t.Fatalf("cached: %q", got)
	}
	if got := newMemberCache(path, "another").load(); got != nil {
		t.Fatalf("another cluster reads %q", got)
	}
	n.kill("10.0.0.1:8000")
	n.kill("10.0.0.2:8000")
	inPool(t, n, poolConfig{cache: newMemberCache(path, "c")}, func(t *testing.T, c *Communicator, p *pool) {
		if _, err := status(bg, c); err != nil {
			t.Fatal(err)
		}
	})
}

// lockWatch is a log that notes lines written while a pool's lock is held.
type lockWatch struct {
	slog.Handler
	pool  atomic.Pointer[pool]
	lines atomic.Int64
	held  chan string
}

func (w *lockWatch) Handle(_ context.Context, r slog.Record) error {
	p := w.pool.Load()
	w.lines.Add(1)
	for range 10000 { // others may hold it for a moment
		if p.mu.TryLock() {
			p.mu.Unlock()
			return nil
		}
		runtime.Gosched()
	}
	w.held <- r.Message
	return nil
}

// Nobody who wants to call the ring waits for the disk that the cache is on.
func TestTheCacheIsWrittenOutsideTheLock(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet("10.0.0.1:8000")
		w := &lockWatch{Handler: testLog(t).Handler(), held: make(chan string, 100)}
		p := newPool(poolConfig{
			dial: n.dial, resolve: list("10.0.0.1:8000"), log: slog.New(w),
			cache: newMemberCache(file+"/members.json", "c"), // cannot be written, which is logged
		})
		w.pool.Store(p)
		if _, err := p.current(t.Context()); err != nil {
			t.Error(err)
		}
		wait(2 * refreshIdle)
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		close(w.held)
		for line := range w.held {
			t.Errorf("logged under the lock: %s", line)
		}
		if w.lines.Load() < 3 {
			t.Errorf("%d lines logged: the cache's failures are not among them", w.lines.Load())
		}
	})
}

func TestTheBookIsBounded(t *testing.T) {
	b := newBook()
	now := time.Now()
	b.list("10.0.0.1:1", now)
	for i := range 10 * maxBook {
		addr := fmt.Sprintf("10.1.%d.%d:1", i>>8, i&255)
		b.add(addr, now)
		b.failed(addr, now, false)
	}
	if n := len(b.entries); n > maxBook || b.entries["10.0.0.1:1"] == nil {
		t.Fatalf("%d entries", n)
	}
	for range forgetAfter + 1 {
		b.failed("10.0.0.1:1", now, false)
		b.failed("10.1.9.255:1", now, false)
	}
	if b.entries["10.0.0.1:1"] == nil {
		t.Error("a listed member is forgotten")
	}
	if b.entries["10.1.9.255:1"] != nil {
		t.Error("a dead member is kept")
	}
}

func TestAListThatCannotBeLookedUpIsTriedAgain(t *testing.T) {
	n := newFakeNet("10.0.0.1:8000")
	tries := 0
	resolve := func(context.Context) ([]string, error) {
		if tries++; tries < 3 {
			return nil, fmt.Errorf("looking up ring.example: %w", errTest)
		}
		return []string{"10.0.0.1:8000"}, nil
	}
	inPool(t, n, poolConfig{resolve: resolve}, func(t *testing.T, c *Communicator, p *pool) {
		ctx, cancel := context.WithTimeout(bg, time.Second)
		defer cancel()
		if _, err := status(ctx, c); !errors.Is(err, ErrNoRing) || !errors.Is(err, errTest) {
			t.Fatalf("error %v", err)
		}
		if _, err := status(bg, c); err != nil {
			t.Fatal(err)
		}
	})
}

func TestTheMemberAtHandIsAskedNowAndThenWhoElseThereIs(t *testing.T) {
	n := newFakeNet("10.0.0.1:8000")
	inPool(t, n, poolConfig{resolve: list("10.0.0.1:8000")}, func(t *testing.T, c *Communicator, p *pool) {
		if _, err := status(bg, c); err != nil {
			t.Fatal(err)
		}
		n.with(func() { n.up["10.0.0.2:8000"] = time.Millisecond })
		n.ring.SetStatus(chord.Status{Members: []chord.Ref{{Addr: "10.0.0.1:8000"}, {Addr: "10.0.0.2:8000"}}})
		wait(refreshIdle + 2*refreshBusy)
		n.kill("10.0.0.1:8000")
		if _, err := c.Versions(bg, "x"); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		if at := p.at(); at != "10.0.0.2:8000" {
			t.Errorf("now at %q", at)
		}
	})
}
