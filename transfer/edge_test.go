package transfer

import (
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"chordtorrent/transfer/wire"
)

// A peer stops in the middle of a block; another one sends it; then the first
// goes on. Nothing is mixed up and nobody is blamed.
func TestBlockFromTwoPeersAtOnce(t *testing.T) {
	f := makeTorrent(t, 100, 128<<10, 256<<10)
	leech := start(t)
	spec := f.leechSpec(t)
	to := leech.add(t, spec)
	half := join(t, leech, f, 1)
	half.send(wire.Message{ID: wire.Bitfield, Bits: f.all().Bytes()}, wire.Message{ID: wire.Unchoke})
	m := half.expect(wire.Request)
	at := int64(m.Index)*f.layout.PieceLength + int64(m.Begin)
	block := f.data[at : at+int64(m.Length)]
	half.raw(append(wire.AppendPieceHeader(nil, m.Index, m.Begin, m.Length), block[:5000]...))
	until(t, "half a block", func() bool { p := to.Status().Peers; return len(p) == 1 && p[0].Downloaded == 5000 })
	leech.advance(snubAfter + time.Second)
	until(t, "the snub", func() bool { return to.Status().Peers[0].Snubbed })
	// The other one has this piece only, so that the download is not over with it.
	other := join(t, leech, f, 2)
	other.send(wire.Message{ID: wire.Have, Index: m.Index}, wire.Message{ID: wire.Unchoke})
	for range f.layout.PieceLength / blockLen {
		q := other.expect(wire.Request)
		at := int64(q.Index)*f.layout.PieceLength + int64(q.Begin)
		other.send(wire.Message{ID: wire.Piece, Index: q.Index, Begin: q.Begin, Block: f.data[at : at+int64(q.Length)]})
	}
	until(t, "the piece from the other one", func() bool { return to.Status().BytesDone == f.layout.PieceLength })
	half.raw(block[5000:])
	until(t, "the rest of the block", func() bool {
		for _, p := range to.Status().Peers {
			if p.PeerID == peerID(1) && p.Downloaded == int64(m.Length) {
				return true
			}
		}
		return false
	})
	to.AddPeers([]netip.AddrPort{serve(t, f, 3, nil).addr})
	done(t, to)
	f.same(t, spec.Content)
	if n := leech.drops[wrongPiece].Load() + leech.drops[unrequested].Load(); n != 0 {
		t.Errorf("%v", leech.Drops())
	}
}

// Whoever we call may be anything.
func TestCallingTheWrongOnes(t *testing.T) {
	f, g := makeTorrent(t, 101, 32<<10, 100<<10), makeTorrent(t, 102, 32<<10, 100<<10)
	e := start(t)
	to := e.add(t, f.leechSpec(t))
	cases := []struct {
		name string
		why  reason
		say  []byte
	}{
		{"a web server", notBitTorrent, []byte("HTTP/1.1 400 Bad Request\r\n\r\n")},
		{"a peer of another torrent", unknownTorrent, wire.Handshake{InfoHash: g.hash, PeerID: peerID(1)}.Append(nil)},
		{"somebody who hangs up", closedByPeer, []byte{19}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err)
			defer ln.Close()
			before := e.drops[c.why].Load()
			to.AddPeers([]netip.AddrPort{netip.MustParseAddrPort(ln.Addr().String())})
			conn, err := ln.Accept()
			must(t, err)
			var hello [wire.HandshakeLen]byte
			_, err = conn.Read(hello[:])
			must(t, err)
			_, err = conn.Write(c.say)
			must(t, err)
			if c.why == closedByPeer {
				conn.Close()
			}
			until(t, "the reason", func() bool { return e.drops[c.why].Load() == before+1 })
			conn.Close()
		})
	}
	if all := e.Drops(); all["not bittorrent"] != 1 || all["unknown torrent"] != 1 {
		t.Errorf("%v", all)
	}
	t.Run("somebody who says nothing", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer ln.Close()
		to.AddPeers([]netip.AddrPort{netip.MustParseAddrPort(ln.Addr().String())})
		conn, err := ln.Accept()
		must(t, err)
		defer conn.Close()
		until(t, "the connection", func() bool { return e.loops[0].load.Load()+e.loops[1].load.Load() >= 2 })
		e.advance(handshakeWithin + time.Second)
		until(t, "the reason", func() bool { return e.drops[handshakeTimeOut].Load() == 1 })
	})
}

// A host that does not answer at all: the listener's queue is full, so that the
// system drops what comes.
func TestConnectTimeOut(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(t, unix.Listen(fd, 0))
	name, err := unix.Getsockname(fd)
	must(t, err)
	at := fromSockaddr(name)
	for range 4 { // as many as it takes, and some that wait
		c, err := dial(at)
		must(t, err)
		defer unix.Close(c)
	}
	f := makeTorrent(t, 103, 32<<10, 100<<10)
	e := start(t)
	to := e.add(t, f.leechSpec(t))
	to.AddPeers([]netip.AddrPort{at})
	until(t, "the call", func() bool { to.Status(); return e.loops[0].load.Load()+e.loops[1].load.Load() == 2 })
	e.advance(connectWithin + time.Second)
	until(t, "the reason", func() bool { return e.drops[connectTimeOut].Load() == 1 })
	e.advance(stuckAfter)
	if r := to.Status().Reason; !strings.Contains(r, "connect timed out") && !strings.Contains(r, "known") {
		t.Errorf("reason %q", r)
	}
}

func TestTooManyPeers(t *testing.T) {
	f := makeTorrent(t, 104, 32<<10, 100<<10)
	e := start(t, func(c *Config) { c.MaxPeers = 2 })
	to := e.add(t, f.leechSpec(t))
	for i := range 2 {
		join(t, e, f, i)
	}
	until(t, "two peers", func() bool { return len(to.Status().Peers) == 2 })
	p := dialTo(t, e)
	p.id = peerID(3)
	p.hello(f.hash)
	p.gone()
	if e.drops[tooManyPeers].Load() != 1 {
		t.Errorf("%v", e.Drops())
	}
}

// With one slot for two that want it, both get their turns.
func TestSlotsGoRound(t *testing.T) {
	f := makeTorrent(t, 105, 32<<10, 100<<10)
	e := start(t, func(c *Config) { c.UploadSlots = 1 })
	from := e.add(t, f.seedSpec(t))
	a, b := join(t, e, f, 1), join(t, e, f, 2)
	a.send(wire.Message{ID: wire.Interested})
	a.expect(wire.Unchoke)
	b.send(wire.Message{ID: wire.Interested})
	until(t, "both to want", func() bool { return from.Status().PeersWanting == 2 })
	e.advance(rechokeEvery + time.Second)
	a.expect(wire.Choke)
	b.expect(wire.Unchoke)
	b.send(wire.Message{ID: wire.Request, Index: 0, Length: 100})
	b.expect(wire.Piece)
	b.send(wire.Message{ID: wire.NotInterested})
	b.expect(wire.Choke)
	e.advance(time.Second)
	a.expect(wire.Unchoke)
	b.Close()
	a.send(wire.Message{ID: wire.NotInterested})
	a.expect(wire.Choke)
}

// A process that is out of descriptors accepts again when it has some.
func TestOutOfDescriptors(t *testing.T) {
	f := makeTorrent(t, 106, 32<<10, 100<<10)
	e := start(t)
	e.add(t, f.seedSpec(t))
	var before syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before))
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before)
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: uint64(descriptors() + 20), Max: before.Max}))
	var taken []*os.File
	for {
		null, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		taken = append(taken, null)
	}
	free := func() {
		for _, file := range taken {
			file.Close()
		}
		taken = nil
	}
	defer free()
	taken[0].Close() // for the socket of the caller, none for the other end
	taken = taken[1:]
	p := dialTo(t, e)
	p.id = peerID(1)
	p.hello(f.hash)
	until(t, "the pause", func() bool {
		deaf := make(chan bool, 1)
		e.loops[0].post(lookAtLobby(deaf))
		return <-deaf
	})
	free()
	e.advance(2 * time.Second)
	p.readHello()
}

type lookAtLobby chan bool

func (c lookAtLobby) handle(l *loop) { c <- !l.lobby.deafUntil.IsZero() }

// A peer that never reads what we tell it is dropped when that piles up.
func TestMessagesPileUp(t *testing.T) {
	f := makeTorrent(t, 107, 32<<10, 100<<10)
	e := start(t)
	to := e.add(t, f.leechSpec(t))
	ours, c := socketPair(t)
	defer c.Close()
	to.l.post(adopt{t: to, fd: ours, from: netip.MustParseAddrPort("192.0.2.1:1"), hello: wire.Handshake{InfoHash: f.hash, PeerID: peerID(1)}})
	to.l.post(chatter{to})
	until(t, "the drop", func() bool { return e.drops[slowReader].Load() == 1 })
}

// chatter says far more to each peer than may wait.
type chatter struct{ t *Torrent }

func (a chatter) handle(l *loop) {
	for _, c := range a.t.s.conns {
		for range 2 * maxOutput / 9 {
			c.tell(wire.Message{ID: wire.Have})
		}
	}
}

// Those who read nothing do not keep their slots while others wait for one.
func TestWhoTakesNothingMakesRoom(t *testing.T) {
	s := newTurns(t, 3, func(c *Config) { c.UploadSlots = 3 })
	s.stall()
	var others []*testPeer
	for n := range 3 {
		p := join(s, s.e, s.f, 10+n)
		p.send(wire.Message{ID: wire.Interested})
		others = append(others, p)
	}
	until(t, "all to want", func() bool { return s.from.Status().PeersWanting == 6 })
	s.clock.advance(rechokeEvery + time.Second)
	s.look(func() {}) // which has the loop look at the clock
	for _, p := range others {
		p.expect(wire.Unchoke)
	}
}
