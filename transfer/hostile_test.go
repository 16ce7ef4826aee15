package transfer

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"chordtorrent/transfer/wire"
)

// A peer's fault costs its own connection, has a reason, and the download goes
// on with others.
func TestBadPeersAreDroppedWithReason(t *testing.T) {
	f := makeTorrent(t, 2, 32<<10, 41*32<<10-5)
	n := f.layout.NumPieces()
	empty := wire.Message{ID: wire.Bitfield, Bits: make([]byte, (n+7)/8)}
	block := make([]byte, blockLen)
	full := wire.Message{ID: wire.Bitfield, Bits: f.all().Bytes()}
	shortBy := func(k int) wire.Message { return wire.Message{ID: wire.Bitfield, Bits: make([]byte, (n+7)/8-k)} }

	cases := []struct {
		name string
		why  reason
		do   func(p *testPeer)
	}{
		{"a length without end", tooLong, func(p *testPeer) { p.raw([]byte{0xff, 0xff, 0xff, 0xff, 7}) }},
		{"random bytes", tooLong, func(p *testPeer) { p.raw(bytes.Repeat([]byte("garbage! "), 1000)) }},
		{"a choke with a payload", malformed, func(p *testPeer) { p.raw([]byte{0, 0, 0, 2, 0, 0}) }},
		{"a have that is too short", malformed, func(p *testPeer) { p.raw([]byte{0, 0, 0, 2, 4, 0}) }},
		{"a piece without a block", malformed, func(p *testPeer) { p.raw([]byte{0, 0, 0, 5, 7, 0, 0, 0, 0}) }},
		{"a block that is too large", tooLong, func(p *testPeer) {
			p.raw(wire.AppendPieceHeader(nil, 0, 0, 1<<20+1))
		}},
		{"a bitfield that is too short", badBitfield, func(p *testPeer) { p.send(shortBy(1)) }},
		{"a bitfield that is too long", tooLong, func(p *testPeer) { p.send(shortBy(-1000)) }},
		{"a bitfield with spare bits", badBitfield, func(p *testPeer) {
			bits := f.all().Bytes()
			bits[len(bits)-1] = 0xff
			p.send(wire.Message{ID: wire.Bitfield, Bits: bits})
		}},
		{"bitfields without end", idleFlood, func(p *testPeer) {
			p.raw(bytes.Repeat(empty.Append(nil), 1100+n))
		}},
		{"a have of a piece that does not exist", noSuchPiece, func(p *testPeer) { p.send(wire.Message{ID: wire.Have, Index: uint32(n)}) }},
		{"haves without end", idleFlood, func(p *testPeer) {
			p.raw(bytes.Repeat(wire.Message{ID: wire.Have, Index: 3}.Append(nil), 1100+n))
		}},
		{"an unknown message", outOfOrder, func(p *testPeer) { p.raw([]byte{0, 0, 0, 1, 99}) }},
		{"a message of the fast extension that was not negotiated", outOfOrder, func(p *testPeer) { p.send(wire.Message{ID: wire.HaveAll}) }},
		{"an extension handshake that is no dictionary", malformed, func(p *testPeer) {
			p.send(wire.Message{ID: wire.ExtendedMsg, Payload: []byte("\x00le")})
		}},
		{"an extended message without id", malformed, func(p *testPeer) { p.send(wire.Message{ID: wire.ExtendedMsg}) }},
		{"blocks that nobody asked for", unrequested, func(p *testPeer) {
			for i := range 6 {
				p.send(wire.Message{ID: wire.Piece, Index: uint32(i), Block: block})
			}
		}},
		{"a block beyond its piece", noSuchPiece, func(p *testPeer) {
			p.send(wire.Message{ID: wire.Piece, Index: 0, Begin: 32<<10 - 1, Block: block})
		}},
		{"a block of a piece that does not exist", noSuchPiece, func(p *testPeer) {
			p.send(wire.Message{ID: wire.Piece, Index: 1 << 31, Begin: 0, Block: block})
		}},
		{"an empty block", noSuchPiece, func(p *testPeer) { p.send(wire.Message{ID: wire.Piece, Index: 0}) }},
		{"a request beyond the piece", badRequest, func(p *testPeer) {
			p.send(wire.Message{ID: wire.Request, Index: 0, Begin: 32 << 10, Length: 1})
		}},
		{"a request that overflows", badRequest, func(p *testPeer) {
			p.send(wire.Message{ID: wire.Request, Index: 0, Begin: 0xffffffff, Length: blockLen})
		}},
		{"a request for nothing", badRequest, func(p *testPeer) { p.send(wire.Message{ID: wire.Request, Index: 0}) }},
		{"a request of 2 MiB", tooLong, func(p *testPeer) { p.send(wire.Message{ID: wire.Request, Index: 0, Length: 2 << 20}) }},
		{"a request for what was never announced", badRequest, func(p *testPeer) {
			p.send(wire.Message{ID: wire.Interested})
			p.expect(wire.Unchoke)
			p.send(wire.Message{ID: wire.Request, Index: 7, Length: blockLen})
		}},
		{"requests without end while choked", requestFlood, func(p *testPeer) {
			p.raw(bytes.Repeat(wire.Message{ID: wire.Request, Index: 0, Length: 1}.Append(nil), maxIgnored+10))
		}},
		{"requests without end, answers not read", requestFlood, func(p *testPeer) {
			p.send(wire.Message{ID: wire.Interested})
			p.expect(wire.Unchoke)
			one := wire.Message{ID: wire.Request, Index: 0, Length: blockLen}.Append(nil)
			for range 40 {
				if _, err := p.Write(bytes.Repeat(one, 1000)); err != nil {
					return // closed while we wrote: that is the point
				}
			}
		}},
		{"hangs up", closedByPeer, func(p *testPeer) { p.Close() }},
		{"hangs up in the middle of a block", closedByPeer, func(p *testPeer) {
			p.send(full, wire.Message{ID: wire.Unchoke})
			m := p.expect(wire.Request)
			p.raw(append(wire.AppendPieceHeader(nil, m.Index, m.Begin, m.Length), block[:1000]...))
			p.Close()
		}},
	}

	leech, seed := start(t), start(t)
	spec := f.leechSpec(t)
	spec.Have = wire.NewBits(n)
	spec.Have.Set(0) // so that there is something to ask for
	must(t, spec.Content.WritePiece(0, f.data[:32<<10]))
	to := leech.add(t, spec)
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := leech.drops[c.why].Load()
			p := join(t, leech, f, i)
			c.do(p)
			p.gone()
			until(t, "the reason "+c.why.String(), func() bool { return leech.drops[c.why].Load() == before+1 })
		})
	}
	seed.add(t, f.seedSpec(t))
	to.AddPeers([]netip.AddrPort{seed.addr()})
	done(t, to)
	f.same(t, spec.Content)
}

func TestStrangersAtTheDoor(t *testing.T) {
	f := makeTorrent(t, 4, 16<<10, 100)
	e := start(t)
	e.add(t, f.seedSpec(t))
	hello := wire.Handshake{InfoHash: f.hash, PeerID: peerID(1)}.Append(nil)
	cases := []struct {
		name string
		why  reason
		say  []byte
		wait time.Duration
	}{
		{"HTTP", handshakeTimeOut, []byte("GET / HTTP/1.1\r\n\r\n"), handshakeWithin + time.Second},
		{"HTTP with a long cookie", notBitTorrent, append([]byte("GET / HTTP/1.1\r\nCookie: "), bytes.Repeat([]byte("x"), 1000)...), 0},
		{"another torrent", unknownTorrent, wire.Handshake{PeerID: peerID(1)}.Append(nil), 0},
		{"ourselves", selfConnection, wire.Handshake{InfoHash: f.hash, PeerID: e.PeerID()}.Append(nil), 0},
		{"silence", handshakeTimeOut, nil, handshakeWithin + time.Second},
		{"half a handshake", handshakeTimeOut, hello[:40], handshakeWithin + time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := e.drops[c.why].Load()
			p := dialTo(t, e)
			if c.say != nil {
				p.raw(c.say)
			}
			if c.wait > 0 {
				until(t, "the connection", func() bool { return e.loops[0].load.Load() > 1 }) // the torrent is one
				e.advance(c.wait)
			}
			p.gone()
			until(t, "the reason", func() bool { return e.drops[c.why].Load() == before+1 })
		})
	}
	t.Run("a handshake in pieces is fine", func(t *testing.T) {
		p := dialTo(t, e)
		for _, b := range hello {
			p.raw([]byte{b})
		}
		p.readHello()
	})
}

func TestSelfAndDuplicateConnections(t *testing.T) {
	f := makeTorrent(t, 5, 16<<10, 1<<20)
	t.Run("own address is tried once", func(t *testing.T) {
		e := start(t)
		to := e.add(t, f.leechSpec(t))
		to.AddPeers([]netip.AddrPort{e.addr()})
		until(t, "both ends to see it", func() bool { return e.drops[selfConnection].Load() >= 1 && len(to.Status().Peers) == 0 })
		e.advance(10 * time.Minute)
		e.advance(10 * time.Minute)
		if n := e.drops[selfConnection].Load(); n > 2 {
			t.Errorf("%d self connections", n)
		}
	})
	t.Run("the second connection of a peer is closed", func(t *testing.T) {
		e := start(t)
		to := e.add(t, f.leechSpec(t))
		first := join(t, e, f, 1)
		second := dialTo(t, e)
		second.id = peerID(1)
		second.hello(f.hash)
		second.gone()
		first.send(wire.Message{ID: wire.Have, Index: 0})
		first.expect(wire.Interested)
		if n := len(to.Status().Peers); n != 1 || e.drops[duplicate].Load() != 1 {
			t.Errorf("%d peers, %v", n, e.Drops())
		}
	})
	t.Run("two that call each other keep one connection", func(t *testing.T) {
		for range 10 {
			a, b := start(t), start(t)
			ta, tb := a.add(t, f.leechSpec(t)), b.add(t, f.leechSpec(t))
			ta.AddPeers([]netip.AddrPort{b.addr()})
			tb.AddPeers([]netip.AddrPort{a.addr()})
			until(t, "one connection", func() bool {
				pa, pb := ta.Status().Peers, tb.Status().Peers
				return len(pa) == 1 && len(pb) == 1 && pa[0].Outgoing != pb[0].Outgoing &&
					pa[0].Listen == b.addr() && pb[0].Listen == a.addr()
			})
		}
	})
	t.Run("many peers behind one address", func(t *testing.T) {
		e := start(t)
		to := e.add(t, f.leechSpec(t))
		for i := range 20 {
			join(t, e, f, i)
		}
		until(t, "20 peers", func() bool { return len(to.Status().Peers) == 20 })
	})
}

func TestSilence(t *testing.T) {
	f := makeTorrent(t, 6, 16<<10, 1<<20)
	e := start(t)
	e.add(t, f.leechSpec(t))
	p := join(t, e, f, 1)
	e.advance(keepAliveEvery + time.Second)
	p.expect(wire.KeepAlive)
	p.send(wire.Message{ID: wire.KeepAlive})
	p.send(wire.Message{ID: wire.Have, Index: 0})
	p.expect(wire.Interested)
	e.advance(keepAliveEvery + time.Second)
	p.expect(wire.KeepAlive)
	e.advance(silenceAtMost - keepAliveEvery)
	p.gone()
	if e.drops[silent].Load() != 1 {
		t.Errorf("%v", e.Drops())
	}
}

func TestSlowReaderIsDropped(t *testing.T) {
	f := makeTorrent(t, 7, 1<<20, 16<<20)
	e := start(t)
	from := e.add(t, f.seedSpec(t))
	p := join(t, e, f, 1)
	p.readsNothing(e, from)
}

// readsNothing asks for 16 pieces of 1 MiB and reads nothing of them, until it is dropped.
func (p *testPeer) readsNothing(e *engine, from *Torrent) {
	p.t.Helper()
	p.send(wire.Message{ID: wire.Interested})
	p.expect(wire.Unchoke)
	for i := range 16 {
		p.send(wire.Message{ID: wire.Request, Index: uint32(i), Length: 1 << 20})
	}
	// What the kernel takes goes out, then nothing moves.
	moved := int64(-1)
	until(p.t, "the socket to be full", func() bool {
		now := from.Status().Uploaded
		defer func() { moved = now }()
		return now == moved && now > 0
	})
	e.advance(stalledAtMost + time.Second)
	until(p.t, "the drop", func() bool { return e.drops[slowReader].Load() == 1 })
}

func TestCancelStorm(t *testing.T) {
	f := makeTorrent(t, 8, 64<<10, 1<<20)
	e := start(t)
	e.add(t, f.seedSpec(t))
	p := join(t, e, f, 1)
	p.send(wire.Message{ID: wire.Interested})
	p.expect(wire.Unchoke)
	var storm []byte
	for i := range 20000 {
		storm = wire.Message{ID: wire.Cancel, Index: uint32(i % 20), Begin: uint32(i), Length: blockLen}.Append(storm)
	}
	p.raw(storm)
	p.send(wire.Message{ID: wire.Request, Index: 3, Begin: 16, Length: 100})
	m := p.expect(wire.Piece)
	if at := 3*64<<10 + 16; !bytes.Equal(m.Block, f.data[at:at+100]) {
		t.Error("wrong block")
	}
}
