package communicator

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
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
