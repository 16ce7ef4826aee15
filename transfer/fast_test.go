package transfer

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"chordtorrent/transfer/wire"
)

// joinFast is join as a peer that speaks the fast extension.
func joinFast(t testing.TB, e *engine, f *fixture, n int) *testPeer {
	t.Helper()
	p := dialTo(t, e)
	p.id = peerID(n)
	h := wire.Handshake{InfoHash: f.hash, PeerID: p.id}
	h.Set(wire.Fast)
	p.raw(h.Append(nil))
	if h := p.readHello(); !h.Has(wire.Fast) {
		t.Fatal("the engine does not speak it")
	}
	return p
}

// joinOwn is joinFast as one of our own engines would: it takes large requests, and
// follows suggestions.
func joinOwn(t testing.TB, e *engine, f *fixture, n int) *testPeer {
	t.Helper()
	p := dialTo(t, e)
	own := e.PeerID()
	p.id = peerID(n)
	copy(p.id[:8], own[:8])
	h := wire.Handshake{InfoHash: f.hash, PeerID: p.id}
	h.Set(wire.Fast)
	h.Set(wire.Extended)
	p.raw(h.Append(nil))
	p.readHello()
	p.send(wire.Message{ID: wire.HaveNone})
	p.introduce(extended{MaxRequest: largestRequest})
	return p
}

func request(piece int, size uint32) wire.Message {
	return wire.Message{ID: wire.Request, Index: uint32(piece), Length: size}
}

// next is the next message that is not a keep-alive.
func (p *testPeer) next() wire.Message {
	p.t.Helper()
	for {
		m, err := p.read()
		must(p.t, err)
		if m.ID != wire.KeepAlive {
			return m
		}
	}
}

func TestWhatIsHereIsSaidInOneMessage(t *testing.T) {
	f := makeTorrent(t, 80, 16<<10, 160<<10)
	seed, leech := start(t), start(t)
	tor := seed.add(t, f.seedSpec(t))
	leech.add(t, f.leechSpec(t))
	first := joinFast(t, seed, f, 1)
	if m := first.next(); m.ID != wire.HaveAll {
		t.Errorf("a seed says %v first", m.ID)
	}
	first.Close()
	until(t, "it to be alone again", func() bool { return len(tor.Status().Peers) == 0 })
	if m := joinFast(t, leech, f, 1).next(); m.ID != wire.HaveNone {
		t.Errorf("who has nothing says %v first", m.ID)
	}
	if m := join(t, seed, f, 2).next(); m.ID != wire.Bitfield {
		t.Errorf("a seed says %v first to a peer that does not know better", m.ID)
	}
}

// Whatever is not answered is rejected: what waits when the peer is choked or takes
// it back, and what it asks for while choked.
func TestEveryRequestHasAnAnswer(t *testing.T) {
	f := makeTorrent(t, 81, 64<<10, 300<<10, 300<<10)
	e := start(t)
	spec := f.seedSpec(t)
	disk := &slowDisk{spec.Content, make(chan struct{}, 100), make(chan struct{})}
	spec.content = disk
	e.add(t, spec)
	p := joinFast(t, e, f, 1)
	p.send(request(7, 10))
	if m := p.expect(wire.Reject); m.Index != 7 || m.Length != 10 {
		t.Errorf("%+v", m)
	}
	p.send(wire.Message{ID: wire.Interested})
	p.expect(wire.Unchoke)
	for i := range 6 {
		p.send(request(i, blockLen))
	}
	for range prepareAhead {
		<-disk.begun
	}
	p.send(wire.Message{ID: wire.Cancel, Index: 5, Length: blockLen})
	if m := p.expect(wire.Reject); m.Index != 5 {
		t.Errorf("%+v", m)
	}
	p.send(wire.Message{ID: wire.NotInterested})
	p.expect(wire.Choke)
	rejected := map[uint32]bool{}
	for range 5 {
		rejected[p.expect(wire.Reject).Index] = true
	}
	if len(rejected) != 5 {
		t.Errorf("rejected %v", rejected)
	}
	close(disk.goOn)
}

// fastSeed is a seeder written by hand that answers as do says.
func fastSeed(t *testing.T, f *fixture, first []wire.Message, do func(p *testPeer, m wire.Message)) netip.AddrPort {
	t.Helper()
	checkDescriptors(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ended := make(chan struct{})
	t.Cleanup(func() { ln.Close(); <-ended })
	go func() {
		defer close(ended)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		p := &testPeer{t: t, Conn: c, id: peerID(77), lim: wire.DefaultLimits(1 << 20)}
		binary.BigEndian.PutUint16(p.id[18:], netip.MustParseAddrPort(ln.Addr().String()).Port()) // there may be several
		_ = c.SetDeadline(time.Now().Add(hung))
		var hello [wire.HandshakeLen]byte
		if _, err := c.Read(hello[:]); err != nil {
			return
		}
		h := wire.Handshake{InfoHash: f.hash, PeerID: p.id}
		h.Set(wire.Fast)
		out := h.Append(nil)
		for _, m := range first {
			out = m.Append(out)
		}
		if _, err := c.Write(out); err != nil {
			return
		}
		for {
			m, err := p.read()
			if err != nil {
				return
			}
			do(p, m)
		}
	}()
	return netip.MustParseAddrPort(ln.Addr().String())
}

// A peer that rejects everything costs nothing but its rejects: others are asked at
// once, and it is not asked again for every piece in every moment.
func TestWhatIsRejectedIsAskedOfOthers(t *testing.T) {
	f := makeTorrent(t, 82, 64<<10, 1<<20)
	rejects := make(chan int, 1)
	rejects <- 0
	stingy := fastSeed(t, f, []wire.Message{{ID: wire.HaveAll}, {ID: wire.Unchoke}}, func(p *testPeer, m wire.Message) {
		if m.ID == wire.Request {
			rejects <- 1 + <-rejects
			_, _ = p.Write(wire.Message{ID: wire.Reject, Index: m.Index, Begin: m.Begin, Length: m.Length}.Append(nil))
		}
	})
	seed, leech := start(t), start(t)
	spec := f.leechSpec(t)
	to := leech.add(t, spec)
	to.AddPeers([]netip.AddrPort{stingy})
	until(t, "it to have rejected all pieces", func() bool { n := <-rejects; rejects <- n; return n >= 16 })
	sound(t, to)
	if st := to.Status(); len(st.Peers) != 1 || !st.Peers[0].Wanted {
		t.Errorf("no longer interested in who may change its mind: %+v", st.Peers)
	}
	seed.add(t, f.seedSpec(t))
	to.AddPeers([]netip.AddrPort{seed.addr()})
	done(t, to)
	f.same(t, spec.Content)
}

func TestASuggestedPieceIsAskedForFirst(t *testing.T) {
	f := makeTorrent(t, 83, 64<<10, 4<<20)
	asked := make(chan uint32, 1000)
	first := []wire.Message{{ID: wire.HaveAll}, {ID: wire.Suggest, Index: 41}, {ID: wire.Suggest, Index: 17}, {ID: wire.Unchoke}}
	addr := fastSeed(t, f, first, func(_ *testPeer, m wire.Message) {
		if m.ID == wire.Request {
			asked <- m.Index
		}
	})
	leech := start(t)
	leech.add(t, f.leechSpec(t)).AddPeers([]netip.AddrPort{addr})
	var order []uint32
	for len(order) < 2 {
		if i := <-asked; len(order) == 0 || order[len(order)-1] != i {
			order = append(order, i)
		}
	}
	if order[0] != 41 || order[1] != 17 {
		t.Errorf("asked for %v", order)
	}
}

// What somebody waits for is asked for before everything else.
func TestWhatIsUrgentIsAskedForFirst(t *testing.T) {
	f := makeTorrent(t, 85, 64<<10, 4<<20)
	asked := make(chan uint32, 1000)
	unchoke := make(chan struct{})
	addr := fastSeed(t, f, []wire.Message{{ID: wire.HaveAll}}, func(p *testPeer, m wire.Message) {
		switch m.ID {
		case wire.Interested:
			<-unchoke
			_, _ = p.Write(wire.Message{ID: wire.Unchoke}.Append(nil))
		case wire.Request:
			asked <- m.Index
		}
	})
	leech := start(t)
	to := leech.add(t, f.leechSpec(t))
	to.AddPeers([]netip.AddrPort{addr})
	to.Hurry([]int{50, 3, -1, 64})
	to.Status() // in its turn
	close(unchoke)
	var order []uint32
	for len(order) < 2 {
		if i := <-asked; len(order) == 0 || order[len(order)-1] != i {
			order = append(order, i)
		}
	}
	if order[0] != 50 || order[1] != 3 {
		t.Errorf("asked for %v", order)
	}
}

func TestHostileFastPeers(t *testing.T) {
	f := makeTorrent(t, 84, 16<<10, 160<<10)
	e := start(t)
	e.add(t, f.leechSpec(t))
	reject := wire.Message{ID: wire.Reject, Index: 3, Length: blockLen}
	for i, c := range []struct {
		name string
		why  reason
		say  []byte
	}{
		{"have all without end", idleFlood, bytes.Repeat(wire.Message{ID: wire.HaveAll}.Append(nil), maxIdle+200)},
		{"have none after a have", outOfOrder, wire.Message{ID: wire.HaveNone}.Append(wire.Message{ID: wire.Have}.Append(nil))},
		{"suggests what does not exist", noSuchPiece, wire.Message{ID: wire.Suggest, Index: 10}.Append(nil)},
		{"allows what does not exist", noSuchPiece, wire.Message{ID: wire.AllowedFast, Index: 1 << 31}.Append(nil)},
		{"rejects without end", idleFlood, bytes.Repeat(reject.Append(nil), maxIdle+20)},
		{"suggests without end what it has not", idleFlood, bytes.Repeat(wire.Message{ID: wire.Suggest, Index: 3}.Append(nil), maxIdle+20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := e.drops[c.why].Load()
			p := joinFast(t, e, f, i)
			p.raw(c.say)
			p.gone()
			until(t, "the reason "+c.why.String(), func() bool { return e.drops[c.why].Load() == before+1 })
		})
	}
}

// One of ours is not told at once of what it has itself: that comes when all is here.
func TestWhatAPeerHasIsToldInTheEnd(t *testing.T) {
	f := makeTorrent(t, 89, 16<<10, 8*16<<10)
	leech := start(t)
	to := leech.add(t, f.leechSpec(t))
	p := joinOwn(t, leech, f, 1)
	others := []*testPeer{joinOwn(t, leech, f, 3), joinOwn(t, leech, f, 4)}
	for i := range uint32(4) {
		p.send(wire.Message{ID: wire.Have, Index: i})
		for _, o := range others { // what p has is the rarest, and comes first
			o.send(wire.Message{ID: wire.Have, Index: i + 4})
		}
	}
	until(t, "what they have to be known", func() bool {
		n := 0
		for _, st := range to.Status().Peers {
			n += st.Pieces
		}
		return n == 12
	})
	to.AddPeers([]netip.AddrPort{serve(t, f, 2, nil).addr})
	done(t, to)
	for n := range 8 {
		if i := p.expect(wire.Have).Index; (i < 4) != (n >= 4) {
			t.Errorf("message %d is of piece %d", n, i)
		}
	}
}

// aria2 says in one bitfield what would be many haves, at any time.
func TestABitfieldMayComeLater(t *testing.T) {
	f := makeTorrent(t, 88, 16<<10, 20*16<<10)
	seed := start(t)
	from := seed.add(t, f.seedSpec(t))
	p := join(t, seed, f, 1)
	has := func(n int) func() bool {
		return func() bool { st := from.Status().Peers; return len(st) == 1 && st[0].Pieces == n }
	}
	p.send(wire.Message{ID: wire.Interested}, wire.Message{ID: wire.Have, Index: 3})
	until(t, "the first piece to be known", has(1))
	bits := wire.NewBits(20)
	for i := range 10 {
		bits.Set(2 * i) // but 3: what it had it keeps
	}
	p.send(wire.Message{ID: wire.Bitfield, Bits: bits.Bytes()})
	until(t, "the others to be known", has(11))
	p.send(wire.Message{ID: wire.Bitfield, Bits: f.all().Bytes()})
	p.gone() // two that have all have nothing to say to each other
	until(t, "the reason", func() bool { return seed.drops[bothSeeds].Load() == 1 })
}
