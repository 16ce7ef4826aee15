package communicator

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/discovery"
	"chordtorrent/chord/rpc"
	"chordtorrent/communicator/ringtest"
)

// fakeNet is a network of fake members, all of one ring, in virtual time.
type fakeNet struct {
	ring *ringtest.Ring

	mu    sync.Mutex
	up    map[string]time.Duration // address -> how long a dial takes
	mute  map[string]bool          // takes calls, answers none
	conns map[string][]*fakeConn
	dials []string
}

func newFakeNet(addrs ...string) *fakeNet {
	n := &fakeNet{
		ring: ringtest.New(1), up: make(map[string]time.Duration), mute: make(map[string]bool),
		conns: make(map[string][]*fakeConn),
	}
	st := chord.Status{}
	for _, a := range addrs {
		n.up[a] = time.Millisecond
		st.Members = append(st.Members, chord.Ref{Addr: a})
	}
	n.ring.SetStatus(st)
	return n
}

func (n *fakeNet) with(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func (n *fakeNet) dial(ctx context.Context, addr string) (conn, error) {
	n.mu.Lock()
	n.dials = append(n.dials, addr)
	d, up := n.up[addr]
	n.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(max(d, time.Millisecond)):
	}
	if !up {
		return nil, fmt.Errorf("ring member %s: connection refused", addr)
	}
	c := &fakeConn{net: n, addr: addr, done: make(chan struct{})}
	n.with(func() { n.conns[addr] = append(n.conns[addr], c) })
	return c, nil
}

// kill takes a member away with all its connections.
func (n *fakeNet) kill(addr string) {
	n.mu.Lock()
	delete(n.up, addr)
	conns := n.conns[addr]
	n.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}

func (n *fakeNet) open() (addrs []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for addr, conns := range n.conns {
		for _, c := range conns {
			if !isDone(c) {
				addrs = append(addrs, addr)
			}
		}
	}
	return addrs
}

type fakeConn struct {
	net  *fakeNet
	addr string
	once sync.Once
	done chan struct{}
}

func (c *fakeConn) Call(ctx context.Context, op any) (any, error) {
	c.net.mu.Lock()
	mute := c.net.mute[c.addr]
	c.net.mu.Unlock()
	if mute {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.done:
		}
	}
	if isDone(c) {
		return nil, fmt.Errorf("ring member %s: %w", c.addr, rpc.ErrLost)
	}
	rep, err := c.net.ring.Call(ctx, op)
	if err != nil {
		_ = c.Close() // an injected error is a connection that breaks
		return nil, fmt.Errorf("ring member %s: %w: %w", c.addr, rpc.ErrLost, err)
	}
	return rep, nil
}

func (c *fakeConn) Addr() string { return c.addr }
func (c *fakeConn) LocalAddr() netip.Addr {
	if ap := netip.MustParseAddrPort(c.addr); ap.Addr().IsLoopback() {
		return ap.Addr()
	}
	return netip.MustParseAddr("10.9.9.9")
}
func (c *fakeConn) Done() <-chan struct{} { return c.done }
func (c *fakeConn) Close() error          { c.once.Do(func() { close(c.done) }); return nil }

// fakeCast is a multicast group on which members answer questions.
type fakeCast struct {
	hints chan discovery.Hint
	mu    sync.Mutex
	asked int
	reply []discovery.Hint
}

func newFakeCast(reply ...discovery.Hint) *fakeCast {
	return &fakeCast{reply: reply}
}

func (f *fakeCast) Query() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	for _, h := range f.reply {
		select {
		case f.hints <- h:
		default:
		}
	}
}
func (f *fakeCast) StopQuery()                   {}
func (f *fakeCast) Hints() <-chan discovery.Hint { return f.hints }
func (f *fakeCast) Close() error                 { close(f.hints); return nil }

func list(addrs ...string) func(context.Context) ([]string, error) {
	return func(context.Context) ([]string, error) { return addrs, nil }
}

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
		if _, err := c.Status(bg); err != nil {
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

func TestALeavingMemberIsLeft(t *testing.T) {
	n := newFakeNet("10.0.0.1:8000", "10.0.0.2:8000")
	inPool(t, n, poolConfig{resolve: list("10.0.0.1:8000")}, func(t *testing.T, c *Communicator, p *pool) {
		if _, err := c.Status(bg); err != nil {
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
		if _, err := c.Status(bg); err != nil {
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
		if _, err := c.Status(bg); err != nil {
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
		if _, err := c.Status(bg); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 10*loopbackGrace || !c.LocalAddr().IsLoopback() {
			t.Errorf("local address %v after %v", c.LocalAddr(), took)
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
			if _, err := c.Status(ctx); !errors.Is(err, ErrNoRing) {
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
		if _, err := c.Status(bg); err != nil {
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
		if _, err := c.Status(bg); err != nil {
			t.Fatal(err)
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
