package transfer

import (
	"net/netip"
	"testing"

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
