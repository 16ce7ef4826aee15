package transfer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"chordtorrent/transfer/poller"
	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

// brokenDisk fails to write from some piece on.
type brokenDisk struct {
	*storage.Content
	mu   sync.Mutex
	left int
	err  error
}

func (b *brokenDisk) WritePiece(i int, data []byte) error {
	b.mu.Lock()
	b.left--
	full := b.left < 0
	b.mu.Unlock()
	if full {
		return b.err
	}
	return b.Content.WritePiece(i, data)
}

// look is a look at what belongs to a loop.
type look func()

func (f look) handle(*loop) { f() }
func (f look) orphaned()    {}

// A full disk holds this download up and no other; it says so, and fetches nothing twice
// when there is space again.
func TestAFullDiskIsWaitedFor(t *testing.T) {
	f := makeTorrent(t, 52, 32<<10, 2<<20)
	g := makeTorrent(t, 53, 32<<10, 2<<20)
	seed, leech := start(t), start(t)
	seed.add(t, f.seedSpec(t))
	seed.add(t, g.seedSpec(t))
	spec, other := f.leechSpec(t), g.leechSpec(t)
	disk := &brokenDisk{Content: spec.Content, left: 10, err: &os.PathError{Op: "write", Path: "/some/where", Err: syscall.ENOSPC}}
	spec.content = disk
	to, alive := leech.add(t, spec), leech.add(t, other)
	to.AddPeers([]netip.AddrPort{seed.addr()})
	says := func() string { return to.Status().Reason }
	until(t, "the reason", func() bool { return strings.Contains(says(), "/some/where: no space left on device") })
	alive.AddPeers([]netip.AddrPort{seed.addr()})
	done(t, alive)
	g.same(t, other.Content)
	leech.advance(2 * fullPause) // it is still full
	leech.advance(2 * fullPause)
	if !strings.Contains(says(), "no space left") || to.Err() != nil {
		t.Errorf("says %q, err %v", says(), to.Err())
	}
	sound(t, to)
	until(t, "no try to be under way", func() bool {
		idle := make(chan bool, 1)
		to.l.post(look(func() { idle <- to.s.away == 0 }))
		return <-idle
	})
	disk.mu.Lock()
	disk.left = 1 << 20
	disk.mu.Unlock()
	// Once, and with no try under way that would put the next one off: more would make
	// requests late that go out in between.
	leech.advance(2 * fullPause)
	until(t, "it to go on", func() bool { return says() == "" })
	done(t, to)
	f.same(t, spec.Content)
	if st := to.Status(); st.Wasted != 0 || st.Downloaded != int64(len(f.data)) {
		t.Errorf("fetched %d of %d bytes, wasted %d", st.Downloaded, len(f.data), st.Wasted)
	}
	if used := leech.buffers.inUse(); used != 0 {
		t.Errorf("%d bytes of buffers are still handed out", used)
	}
}

// Stopped while it waits, a download leaves nothing behind.
func TestStopWhileTheDiskIsFull(t *testing.T) {
	f := makeTorrent(t, 54, 32<<10, 2<<20)
	seed, leech := start(t), start(t)
	seed.add(t, f.seedSpec(t))
	spec := f.leechSpec(t)
	spec.content = &brokenDisk{Content: spec.Content, left: 10, err: &os.PathError{Op: "write", Path: "/x", Err: syscall.EDQUOT}}
	to := leech.add(t, spec)
	to.AddPeers([]netip.AddrPort{seed.addr()})
	until(t, "it to wait", func() bool { return strings.Contains(to.Status().Reason, "when there is space") })
	stop(t, to)
	if used := leech.buffers.inUse(); used != 0 {
		t.Errorf("%d bytes of buffers are still handed out", used)
	}
}

// A broken disk ends this download with a reason; others go on, and after Stop
// the same can be added again with what it has.
func TestBrokenDisk(t *testing.T) {
	f := makeTorrent(t, 50, 32<<10, 2<<20)
	g := makeTorrent(t, 51, 32<<10, 2<<20)
	seed, leech := start(t), start(t)
	seed.add(t, f.seedSpec(t))
	seed.add(t, g.seedSpec(t))
	spec := f.leechSpec(t)
	broken := &os.PathError{Op: "write", Path: "/some/where", Err: syscall.EIO}
	spec.content = &brokenDisk{Content: spec.Content, left: 10, err: broken}
	have := wire.NewBits(f.layout.NumPieces())
	var mu sync.Mutex
	spec.OnPiece = func(i int) { mu.Lock(); have.Set(i); mu.Unlock() }
	other := g.leechSpec(t)
	to, alive := leech.add(t, spec), leech.add(t, other)
	to.AddPeers([]netip.AddrPort{seed.addr()})
	select {
	case <-to.Failed():
	case <-time.After(hung):
		t.Fatal("never failed")
	}
	if err := to.Err(); !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "/some/where") {
		t.Errorf("reason %v", err)
	}
	if r := to.Status().Reason; !strings.Contains(r, "input/output error") {
		t.Errorf("reason %q", r)
	}
	alive.AddPeers([]netip.AddrPort{seed.addr()})
	done(t, alive)
	g.same(t, other.Content)
	stop(t, to)
	if used := leech.buffers.inUse(); used != 0 {
		t.Errorf("%d bytes of buffers are still handed out", used)
	}
	if n := have.Count(); n != 10 {
		t.Errorf("%d pieces were written", n)
	}
	again := Spec{InfoHash: f.hash, Layout: f.layout, Content: spec.Content, Have: have}
	to = leech.add(t, again)
	to.AddPeers([]netip.AddrPort{seed.addr()})
	done(t, to)
	f.same(t, spec.Content)
}

// A published file that changes is not served any more.
func TestChangedFile(t *testing.T) {
	f := makeTorrent(t, 52, 32<<10, 1<<20)
	seed, leech := start(t), start(t)
	from := seed.add(t, f.seedSpec(t))
	must(t, os.WriteFile(f.path, []byte("something else"), 0o644))
	to := leech.add(t, f.leechSpec(t))
	to.AddPeers([]netip.AddrPort{seed.addr()})
	select {
	case <-from.Failed():
	case <-time.After(hung):
		t.Fatal("never noticed")
	}
	if err := from.Err(); !errors.Is(err, storage.ErrChanged) || !strings.Contains(err.Error(), f.path) {
		t.Errorf("reason %v", err)
	}
	until(t, "the peers to be gone", func() bool { return len(from.Status().Peers) == 0 })
}

func TestAddTwiceStopAndAddAgain(t *testing.T) {
	f := makeTorrent(t, 53, 32<<10, 1<<20)
	e := start(t)
	to := e.add(t, f.seedSpec(t))
	if _, err := e.Add(f.seedSpec(t)); !errors.Is(err, ErrKnown) {
		t.Errorf("added twice: %v", err)
	}
	p := join(t, e, f, 1)
	stop(t, to)
	p.gone()
	stop(t, to)
	if st := to.Status(); st.BytesDone != 1<<20 {
		t.Errorf("last status %+v", st)
	}
	to.AddPeers([]netip.AddrPort{e.addr()}) // nothing happens
	e.add(t, f.seedSpec(t))
	join(t, e, f, 1).expect(wire.Bitfield)
}

func TestBadSpecs(t *testing.T) {
	f := makeTorrent(t, 54, 32<<10, 1<<20)
	e := start(t)
	content := f.source(t)
	for i, s := range []Spec{
		{},
		{Layout: f.layout},
		{Layout: f.layout, Content: content, Have: wire.NewBits(5)},
		{Layout: &storage.Layout{}, Content: content},
	} {
		if _, err := e.Add(s); err == nil {
			t.Errorf("spec %d was taken", i)
		}
	}
	for i, c := range []Config{{PortMin: 7, PortMax: 6}, {Loops: -1}, {BufferBytes: -1}} {
		if _, err := Start(c); err == nil {
			t.Errorf("configuration %d was taken", i)
		}
	}
}

func TestCloseInTheMiddle(t *testing.T) {
	f := makeTorrent(t, 55, 32<<10, 8<<20)
	seed, leech := start(t), start(t)
	seed.add(t, f.seedSpec(t))
	spec := f.leechSpec(t)
	some := make(chan struct{})
	var once sync.Once
	spec.OnPiece = func(int) { once.Do(func() { close(some) }) }
	to := leech.add(t, spec)
	to.AddPeers([]netip.AddrPort{seed.addr()})
	<-some
	must(t, leech.Close())
	must(t, leech.Close())
	if _, err := leech.Add(spec); !errors.Is(err, ErrClosed) {
		t.Errorf("added after close: %v", err)
	}
	stop(t, to)
	to.Status()
}

// The first free port of the range is taken, and none twice.
func TestPortSearch(t *testing.T) {
	first := start(t)
	p := first.Port()
	if p > 65530 {
		t.Fatalf("the system gave port %d: no room for a range above it", p)
	}
	in := func(c *Config) { c.PortMin, c.PortMax = p, p+5 }
	second := start(t, in)
	if second.Port() <= p || second.Port() > p+5 {
		t.Errorf("port %d of %d-%d", second.Port(), p, p+5)
	}
	_, err := Start(Config{Listen: loopback, PortMin: p, PortMax: p})
	if !errors.Is(err, ErrNoPort) || !strings.Contains(err.Error(), fmt.Sprint(p)) {
		t.Errorf("a taken port: %v", err)
	}
	must(t, first.Close())
	third := start(t, func(c *Config) { c.PortMin, c.PortMax = p, p })
	if third.Port() != p {
		t.Errorf("port %d, not the one that was free again", third.Port())
	}
	if _, err := Start(Config{Listen: netip.MustParseAddr("192.0.2.1")}); err == nil || errors.Is(err, ErrNoPort) {
		t.Errorf("an address of somebody else: %v", err)
	}
}

// An engine that cannot start leaves nothing open.
func TestStartThatFails(t *testing.T) {
	checkDescriptors(t)
	made := 0
	_, err := Start(Config{Listen: loopback, Loops: 2, newPoller: func() (poller.Poller, error) {
		if made++; made == 2 {
			return nil, unix.EMFILE
		}
		return poller.New()
	}})
	if !errors.Is(err, unix.EMFILE) {
		t.Errorf("%v", err)
	}
}

// By default the same port serves both; whoever comes by IPv4 has an IPv4 address here.
func TestIPv4AndIPv6AtOnePort(t *testing.T) {
	f := makeTorrent(t, 56, 32<<10, 1<<20)
	everywhere := func(c *Config) { c.Listen = netip.Addr{} }
	seed := start(t, everywhere)
	from := seed.add(t, f.seedSpec(t))
	for i, addr := range []netip.Addr{loopback, netip.IPv6Loopback()} {
		leech := start(t, everywhere)
		spec := f.leechSpec(t)
		to := leech.add(t, spec)
		join(t, seed, f, i) // somebody is left to see
		to.AddPeers([]netip.AddrPort{netip.AddrPortFrom(addr, seed.Port())})
		done(t, to)
		f.same(t, spec.Content)
		for _, p := range append(from.Status().Peers, to.Status().Peers...) {
			if p.Addr.Addr() != addr && p.Addr.Addr() != loopback || p.Listen.IsValid() && p.Listen.Addr().Is4In6() {
				t.Errorf("a peer at %s that listens at %s", p.Addr, p.Listen)
			}
		}
	}
}

func TestOneFamilyIsEnough(t *testing.T) {
	for _, c := range []struct {
		name   string
		listen netip.Addr
		fails  func(netip.Addr) error
		six    bool
	}{
		{"where IPv6 is off", netip.Addr{}, func(a netip.Addr) error {
			if a.Is6() {
				return unix.EAFNOSUPPORT
			}
			return nil
		}, false},
		{"as it is wanted", netip.IPv4Unspecified(), func(netip.Addr) error { return nil }, false},
		{"with both", netip.Addr{}, func(netip.Addr) error { return nil }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			fd, port, err := listenOn(func(at netip.AddrPort) (int, error) {
				if err := c.fails(at.Addr()); err != nil {
					return -1, err
				}
				return listenAt(at)
			}, c.listen, 0, 0)
			must(t, err)
			defer closeFD(fd)
			name, err := unix.Getsockname(fd)
			must(t, err)
			if _, six := name.(*unix.SockaddrInet6); six != c.six || port == 0 {
				t.Errorf("%+v, port %d", name, port)
			}
		})
	}
	taken := start(t)
	if fd, _, err := listenOn(listenAt, netip.Addr{}, taken.Port(), taken.Port()); !errors.Is(err, ErrNoPort) {
		closeFD(fd)
		t.Errorf("a port that has a listener for IPv4: %v", err)
	}
}

// announcer records what it is told and answers from a script.
type announcer struct {
	calls  chan Progress
	answer func(p Progress) (Answer, error)
}

func (a *announcer) Announce(ctx context.Context, p Progress) (Answer, error) {
	select {
	case a.calls <- p:
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	}
	return a.answer(p)
}

func (a *announcer) next(t *testing.T) Progress {
	t.Helper()
	select {
	case p := <-a.calls:
		return p
	case <-time.After(hung):
		t.Fatal("no announce")
		return Progress{}
	}
}

func TestAnnounces(t *testing.T) {
	f := makeTorrent(t, 57, 32<<10, 1<<20)
	seed, leech := start(t), start(t)
	from := seed.add(t, f.seedSpec(t))
	fails := 1
	a := &announcer{calls: make(chan Progress)}
	a.answer = func(p Progress) (Answer, error) {
		if p.Event == Started && fails > 0 {
			fails--
			return Answer{}, errors.New("nobody there")
		}
		return Answer{Peers: []netip.AddrPort{seed.addr()}, Interval: time.Hour}, nil
	}
	spec := f.leechSpec(t)
	spec.Announcer = a
	to := leech.add(t, spec)
	for range 2 { // the first fails and is said again
		p := a.next(t)
		if p.Event != Started || p.Left != 1<<20 || p.Port != leech.Port() || p.PeerID != leech.PeerID() || len(p.Have) != 32 {
			t.Errorf("%+v", p)
		}
	}
	done(t, to)
	if p := a.next(t); p.Event != Completed || p.Left != 0 || p.Downloaded != 1<<20 || p.Have[0] != 255 {
		t.Errorf("%+v", p)
	}
	stopped := make(chan error)
	go func() { stopped <- to.Stop(context.Background()) }()
	if p := a.next(t); p.Event != Stopped || p.Left != 0 {
		t.Errorf("%+v", p)
	}
	must(t, <-stopped)
	_ = from
}

// An announcer that hangs holds up neither Stop nor Close.
func TestAnnouncerThatHangs(t *testing.T) {
	f := makeTorrent(t, 58, 32<<10, 1<<20)
	e := start(t)
	a := &announcer{calls: make(chan Progress), answer: func(Progress) (Answer, error) { return Answer{}, nil }}
	spec := f.leechSpec(t)
	spec.Announcer = a // nobody reads its calls: it waits for its context
	to := e.add(t, spec)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := to.Stop(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("stop: %v", err)
	}
	spec.Announcer = &announcer{calls: make(chan Progress), answer: a.answer}
	e.add(t, spec)
	must(t, e.Close())
}

// When nobody is connected the swarm is asked again before its interval ends.
func TestAnnouncesAgainWhenPeersRunOut(t *testing.T) {
	f := makeTorrent(t, 59, 32<<10, 1<<20)
	seed, leech := start(t), start(t)
	seed.add(t, f.seedSpec(t))
	calls := 0
	a := &announcer{calls: make(chan Progress, 10)}
	a.answer = func(p Progress) (Answer, error) {
		if calls++; calls == 1 {
			return Answer{Interval: time.Hour, Peers: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}}, nil
		}
		return Answer{Interval: time.Hour, Peers: []netip.AddrPort{seed.addr()}}, nil
	}
	spec := f.leechSpec(t)
	spec.Announcer = a
	to := leech.add(t, spec)
	done(t, to)
	if p := a.next(t); p.Event != Started {
		t.Errorf("%+v", p)
	}
	if p := a.next(t); p.Event != None {
		t.Errorf("%+v", p)
	}
}

func TestReasons(t *testing.T) {
	f := makeTorrent(t, 60, 32<<10, 64<<10)
	e := start(t)
	to := e.add(t, f.leechSpec(t))
	reason := func(want string) {
		t.Helper()
		e.advance(stuckAfter + time.Second)
		until(t, want, func() bool { return strings.Contains(to.Status().Reason, want) })
	}
	reason("no peers known")
	to.AddPeers([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")})
	reason("none of the 1 peer known can be used (127.0.0.1:1: connect failed: connection refused)")
	a := join(t, e, f, 1)
	reason("2 pieces are missing: none of the 1 peer connected has it")
	a.send(wire.Message{ID: wire.Have, Index: 1})
	reason("1 peer has it, chokes us")
	b := join(t, e, f, 2)
	b.send(wire.Message{ID: wire.Have, Index: 1})
	reason("2 peers have it, both choke us")
	a.send(wire.Message{ID: wire.Unchoke})
	a.expect(wire.Request)
	reason("1 choke us and 1 do not answer")
}
