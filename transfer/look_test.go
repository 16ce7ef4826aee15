package transfer

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"chordtorrent/transfer/wire"
)

// A download that has two neighbours, slow ones, finds another that gives more, and parts
// with one of the two.
func TestBetterNeighboursAreFound(t *testing.T) {
	clock := &stoppedClock{at: time.Now()}
	f := makeTorrent(t, 110, 64<<10, 16<<20)
	on := func(cfg *Config) { cfg.now, cfg.Neighbours = clock.now, 1 }
	leech := start(t, on)
	to := leech.add(t, f.leechSpec(t))
	var addrs []netip.AddrPort
	var fast *engine
	var seeds []*Torrent
	for _, rate := range []int64{40 << 10, 40 << 10, 400 << 10} {
		fast = start(t, on)
		fast.SetLimits(0, rate)
		seeds = append(seeds, fast.add(t, f.seedSpec(t)))
		addrs = append(addrs, fast.addr())
	}
	to.AddPeers(addrs)
	until(t, "a slow one to be left", func() bool {
		clock.advance(50 * time.Millisecond)
		for _, seed := range seeds {
			seed.Status() // a turn of its loop, in which it sends
		}
		to.Status()
		return leech.drops[notTheBest].Load() == 1
	})
	st := to.Status()
	if len(st.Peers) != 2 || st.Peers[0].PeerID != fast.PeerID() && st.Peers[1].PeerID != fast.PeerID() {
		t.Errorf("left are %+v", st.Peers)
	}
	sound(t, to)
}

// Whoever is called by nobody calls twice as many as others.
func TestWhoIsCalledByFewCallsMore(t *testing.T) {
	clock := &stoppedClock{at: time.Now()}
	f := makeTorrent(t, 111, 64<<10, 1<<20)
	on := func(cfg *Config) { cfg.now, cfg.Neighbours = clock.now, 2 }
	leech := start(t, on)
	leech.SetLimits(1, 0) // it is never done
	to := leech.add(t, f.leechSpec(t))
	var addrs []netip.AddrPort
	for range 7 {
		seed := start(t, on)
		seed.add(t, f.seedSpec(t))
		addrs = append(addrs, seed.addr())
	}
	to.AddPeers(addrs)
	called := func() int { return len(to.Status().Peers) }
	until(t, "two to be called", func() bool { return called() >= 2 })
	until(t, "four to be called", func() bool {
		clock.advance(tickEvery)
		return called() >= 4
	})
	for range 20 {
		clock.advance(tickEvery)
		if n := called(); n > 4+1 { // and one that it looks at, now and then
			t.Fatalf("%d are called", n)
		}
	}
}

// stuck starts a peer that gets nothing, and calls nobody as it knows nobody.
func stuck(t *testing.T, spec Spec, with func(*Config)) netip.AddrPort {
	e := start(t, with)
	e.SetLimits(1, 0)
	spec.Private = true
	e.add(t, spec)
	return e.addr()
}

// Whoever several have got ahead of calls more, and goes on with them as long as that is
// so. One that is ahead is not enough: it may lie. Nor are those that had more already when
// they were met: who comes late gets as much as others; and nor do they hide those that
// are ahead.
func TestWhoIsBehindCallsMore(t *testing.T) {
	type group struct{ peers, had, gets int } // pieces, of 16: at first, without a bitfield if none; and since
	for _, step := range []struct {
		own  int // pieces that are here at first
		come []group
		// So many of 17 are called. Those that came choke, and are no good ones; and one
		// more than ten is looked at.
		least, most int
	}{
		{0, []group{{1, 0, 15}}, 9, 11},
		{0, []group{{3, 0, 15}}, 17, 17},
		{0, []group{{3, 15, 0}}, 7, 11},
		{5, []group{{3, 0, 4}}, 17, 17},
		{5, []group{{3, 2, 4}}, 17, 17},
		{0, []group{{3, 0, 15}, {24, 15, 0}}, 13, 17},
	} {
		clock := &stoppedClock{at: time.Now()}
		f := makeTorrent(t, 113, 64<<10, 1<<20)
		on := func(cfg *Config) { cfg.now, cfg.Neighbours = clock.now, 5 }
		leech := start(t, on)
		leech.SetLimits(1, 1) // it stays behind
		spec := f.leechSpec(t)
		spec.Have = wire.NewBits(16)
		for i := range step.own {
			spec.Have.Set(i)
		}
		to := leech.add(t, spec)
		came, pieces := 0, 0
		for _, g := range step.come {
			for range g.peers {
				p := join(t, leech, f, came)
				if g.had > 0 {
					bits := wire.NewBits(16)
					for i := range g.had {
						bits.Set(i)
					}
					p.send(wire.Message{ID: wire.Bitfield, Bits: bits.Bytes()})
				}
				for i := range g.gets {
					p.send(wire.Message{ID: wire.Have, Index: uint32(g.had + i)})
				}
				came, pieces = came+1, pieces+g.had+g.gets
			}
		}
		until(t, "all to say what they have", func() bool {
			n := 0
			for _, p := range to.Status().Peers {
				n += p.Pieces
			}
			return n == pieces
		})
		var addrs []netip.AddrPort
		for range 17 {
			addrs = append(addrs, stuck(t, f.leechSpec(t), on))
		}
		to.AddPeers(addrs)
		called := func() int { return len(to.Status().Peers) - came }
		until(t, "five to be called", func() bool { return called() >= 5 })
		until(t, fmt.Sprintf("%d to be called: %+v", step.least, step), func() bool {
			clock.advance(tickEvery)
			return called() >= step.least
		})
		for range 5 * 30 { // seconds, in which it looks around, too
			clock.advance(tickEvery)
			if n := called(); n < step.least-1 || n > step.most {
				t.Fatalf("%+v: %d are called", step, n)
			}
		}
	}
}

// Peers that give nothing are not good ones, and still there are no more than so many that
// it calls, and one that it looks at.
func TestThoseThatGiveNothingAreNotCalledWithoutEnd(t *testing.T) {
	clock := &stoppedClock{at: time.Now()}
	f := makeTorrent(t, 112, 64<<10, 1<<20)
	leech := start(t, func(cfg *Config) { cfg.now, cfg.Neighbours = clock.now, 2 })
	to := leech.add(t, f.leechSpec(t))
	var addrs []netip.AddrPort
	for n := range 12 {
		mute := serve(t, f, n, func(wire.Message, []byte) []byte { return nil })
		addrs = append(addrs, mute.addr)
	}
	to.AddPeers(addrs)
	until(t, "two to be called", func() bool { return len(to.Status().Peers) >= 2 })
	for range 400 {
		clock.advance(tickEvery)
		// And one more that it is still calling, as here the clock is faster than a call.
		if n := len(to.Status().Peers); n > 2*2+2 {
			t.Fatalf("%d are called", n)
		}
	}
}
