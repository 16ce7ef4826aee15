package transfer

import (
	"net/netip"
	"testing"
	"time"

	"chordtorrent/transfer/wire"
)

// suggested reads up to the unchoke and n suggestions.
func (p *testPeer) suggested(n int) (pieces []uint32) {
	p.t.Helper()
	for range n {
		pieces = append(pieces, p.expect(wire.Suggest).Index)
	}
	return pieces
}

// A seed gives different pieces to different peers until each has left once. Who asks
// for what another is getting is given something else.
func TestFirstCopiesGoToDifferentPeers(t *testing.T) {
	f := makeTorrent(t, 90, 16<<10, 100*16<<10)
	e := start(t)
	e.add(t, f.seedSpec(t))
	a, b := joinOwn(t, e, f, 1), joinOwn(t, e, f, 2)
	a.send(wire.Message{ID: wire.Interested})
	a.expect(wire.Unchoke)
	b.send(wire.Message{ID: wire.Interested})
	toB := b.suggested(3) // now there are two
	given := map[uint32]*testPeer{}
	for _, i := range toB {
		given[i] = b
	}
	a.send(request(int(toB[0]), blockLen))
	toA := a.suggested(3)
	if m := a.expect(wire.Reject); m.Index != toB[0] {
		t.Fatalf("rejected %d", m.Index)
	}
	for _, i := range toA {
		if given[i] != nil {
			t.Errorf("piece %d is suggested to both", i)
		}
	}
	// What each takes as suggested it gets, and more is suggested.
	for _, p := range []struct {
		*testPeer
		first uint32
	}{{a, toA[0]}, {b, toB[0]}} {
		p.send(request(int(p.first), blockLen))
		if m := p.expect(wire.Suggest); given[m.Index] != nil {
			t.Errorf("piece %d is suggested to both", m.Index)
		} else {
			given[m.Index] = p.testPeer
		}
		if m := p.expect(wire.Piece); m.Index != p.first {
			t.Errorf("piece %d came", m.Index)
		}
	}
	// One that has left already is not sent again while there are others.
	a.send(wire.Message{ID: wire.Have, Index: toA[0]})
	b.send(request(int(toA[0]), blockLen))
	if m := b.expect(wire.Reject); m.Index != toA[0] {
		t.Errorf("rejected %d", m.Index)
	}
}

// With nobody to share with, and for clients that know no suggestions, a seed serves
// what is asked for.
func TestNothingIsSteeredWithoutNeed(t *testing.T) {
	f := makeTorrent(t, 91, 16<<10, 10*16<<10)
	e := start(t)
	e.add(t, f.seedSpec(t))
	alone := joinOwn(t, e, f, 1)
	alone.send(wire.Message{ID: wire.Interested})
	alone.expect(wire.Unchoke)
	alone.send(request(3, blockLen))
	if m := alone.next(); m.ID != wire.Piece {
		t.Errorf("%v", m.ID)
	}
	other := joinFast(t, e, f, 2)
	other.send(wire.Message{ID: wire.Interested})
	other.expect(wire.Unchoke)
	other.send(request(3, blockLen))
	if m := other.next(); m.ID != wire.Piece {
		t.Errorf("%v", m.ID)
	}
}

// What a peer was given and did not live to pass on, others get.
func TestTheGiftsOfTheGoneAreGivenAgain(t *testing.T) {
	f := makeTorrent(t, 92, 16<<10, 4*16<<10)
	e := start(t)
	tor := e.add(t, f.seedSpec(t))
	a, b := joinOwn(t, e, f, 1), joinOwn(t, e, f, 2)
	for _, p := range []*testPeer{a, b} {
		p.send(wire.Message{ID: wire.Interested})
		p.expect(wire.Unchoke)
	}
	first := b.expect(wire.Suggest).Index
	b.send(request(int(first), blockLen))
	b.expect(wire.Piece)
	b.Close()
	until(t, "b to be gone", func() bool { return len(tor.Status().Peers) == 1 })
	c := joinOwn(t, e, f, 3)
	c.send(wire.Message{ID: wire.Interested})
	c.expect(wire.Unchoke)
	for i := range 4 {
		c.send(request(i, blockLen))
	}
	for got := map[uint32]bool{}; len(got) < 4; {
		switch m := c.next(); m.ID {
		case wire.Piece:
			got[m.Index] = true
			c.send(wire.Message{ID: wire.Have, Index: m.Index})
		case wire.Reject:
			t.Fatalf("piece %d is kept for who is gone, or for a, who asks for nothing", m.Index)
		}
	}
}

// A swarm of our own from one seed, on one machine: all is well, and afterwards the
// seed remembers nobody.
func TestSteeredSwarm(t *testing.T) {
	f := makeTorrent(t, 93, 16<<10, 200*16<<10)
	seed := start(t)
	from := seed.add(t, f.seedSpec(t))
	var to []*Torrent
	var addrs []netip.AddrPort
	for range 5 {
		e := start(t)
		spec := f.leechSpec(t)
		to = append(to, e.add(t, spec))
		addrs = append(addrs, e.addr())
		defer f.same(t, spec.Content)
	}
	for i, tor := range to {
		tor.AddPeers(append([]netip.AddrPort{seed.addr()}, addrs[i+1:]...))
	}
	for _, tor := range to {
		done(t, tor)
	}
	until(t, "the seed to be alone", func() bool { return len(from.Status().Peers) == 0 })
	sound(t, from)
}

// Another client, while there is one more that fetches, sees only pieces that nobody was
// given, each its own; when each piece is somebody's it sees all.
func TestOthersAreShownPieceByPiece(t *testing.T) {
	const pieces = 30
	f := makeTorrent(t, 98, 16<<10, pieces*16<<10)
	clock := &stoppedClock{at: time.Now()}
	e := start(t, func(cfg *Config) { cfg.now = clock.now })
	e.add(t, f.seedSpec(t))
	own := joinOwn(t, e, f, 1)
	own.send(wire.Message{ID: wire.Interested})
	own.expect(wire.Unchoke)

	fast, plain := joinFast(t, e, f, 2), join(t, e, f, 3)
	if m := fast.next(); m.ID != wire.HaveNone {
		t.Fatalf("it begins with %v", m.ID)
	}
	saw := map[*testPeer]map[uint32]bool{fast: {}, plain: {}}
	// look reads up to a message of the given kind, and notes what is shown before it.
	look := func(p *testPeer, end wire.MessageID) (m wire.Message) {
		for m = p.next(); m.ID != end; m = p.next() {
			if m.ID != wire.Have || saw[p][m.Index] {
				t.Fatalf("%v %d", m.ID, m.Index)
			}
			saw[p][m.Index] = true
		}
		return m
	}
	for p := range saw {
		p.send(wire.Message{ID: wire.Interested})
		look(p, wire.Unchoke)
		for i := range saw[p] {
			p.send(request(int(i), blockLen), wire.Message{ID: wire.Have, Index: i})
			if m := look(p, wire.Piece); m.Index != i {
				t.Errorf("piece %d came", m.Index)
			}
			break
		}
	}
	if len(saw[fast]) < 2 || len(saw[plain]) < 2 {
		t.Errorf("%d and %d are shown: nothing follows on the first", len(saw[fast]), len(saw[plain]))
	}
	for i := range saw[fast] {
		if saw[plain][i] {
			t.Errorf("piece %d is shown to both", i)
		}
	}
	// The one of ours asks for all the rest: then there is nothing left to steer.
	for i := range pieces {
		own.send(request(i, blockLen))
	}
	for i := range pieces - 1 { // not the last, or it would be gone, and all else again with it
		own.send(wire.Message{ID: wire.Have, Index: uint32(i)})
	}
	for p := range saw {
		for len(saw[p]) < pieces {
			clock.advance(tickEvery)
			p.send(wire.Message{ID: wire.NotInterested}, wire.Message{ID: wire.Interested})
			look(p, wire.Choke)
			look(p, wire.Unchoke)
		}
	}
}
