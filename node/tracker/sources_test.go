package tracker

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"chordtorrent/communicator/ringtest"
)

func TestSourcesAreBounded(t *testing.T) {
	s := newSources(10, 2)
	a, b := netip.MustParseAddr("10.0.0.1").As16(), netip.MustParseAddr("2001:db8::1").As16()
	asked := 0
	for s.mayAsk(&a, 1000, 1) {
		asked++
	}
	if asked != 10*sourceBurst {
		t.Errorf("%d requests at once", asked)
	}
	if !s.mayAsk(&b, 1000, 1) || s.mayAsk(&a, 1050, 1) || !s.mayAsk(&a, 1100, 1) {
		t.Error("the debts of one are not its own, or do not end")
	}
	// Whoever has some credit may do what costs more, and pays for it afterwards.
	if !s.mayAsk(&a, 1200, 20) || s.mayAsk(&a, 3100, 1) || !s.mayAsk(&a, 3250, 1) {
		t.Error("what costs as much as 20 has another price")
	}
	same := netip.MustParseAddr("2001:db8::2").As16()
	hold := func(ip *[16]byte) bool {
		_, ok := s.hold(ip, 0)
		return ok
	}
	if !hold(&b) || !hold(&same) || hold(&same) || !hold(&a) {
		t.Error("a network of IPv6 has not two peers")
	}
	if s.release(&b, false); !hold(&same) {
		t.Error("there is no room after one has left")
	}
	s.most = 100
	for i := range 100 * sourceShards * 2 {
		ip := netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}).As16()
		s.mayAsk(&ip, 2000, 1)
	}
	total := 0
	for i := range s.shards {
		total += len(s.shards[i].known)
	}
	if total > 100*sourceShards {
		t.Errorf("%d are remembered", total)
	}
}

// What an address may have beyond what is granted to each depends on who else asks: alone
// it has no limit, many alike share what there is, and one that floods beside another gets
// less and less.
func TestSourcesShare(t *testing.T) {
	s := newSources(10, 2)
	s.beFair(func() int64 { return 1000 })
	ips := make([][16]byte, 10)
	for i := range ips {
		ips[i] = netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}).As16()
	}
	got := func(ip *[16]byte, second int64, want int) (n int) {
		for range want {
			if s.mayAsk(ip, second*1000+int64(n%1000), 1) {
				n++
			}
		}
		return n
	}
	for second := range int64(3) {
		if n := got(&ips[0], second, 5000); n != 5000 {
			t.Fatalf("alone, in second %d: %d of 5000", second, n)
		}
	}
	for second := int64(3); second < 8; second++ {
		for i := range ips {
			if n := got(&ips[i], second, 1000); n != 1000 {
				t.Fatalf("one of ten alike, in second %d: %d of 1000", second, n)
			}
		}
	}
	last := 1 << 20
	for second := int64(8); second < 40; second++ {
		if n := got(&ips[1], second, 5); n != 5 {
			t.Fatalf("a quiet one, in second %d: %d of 5", second, n)
		}
		last = got(&ips[0], second, 100_000)
	}
	if last > 2*10 {
		t.Errorf("one that floods beside another has %d answers a second at last", last)
	}
	for i := range 500 {
		if _, ok := s.hold(&ips[0], 40_000); !ok {
			t.Fatalf("%d peers, and 1000 have room", i)
		}
	}
	if _, ok := s.hold(&ips[0], 40_000); ok {
		t.Error("one address has more than half of the room that is left")
	}
}

func TestAPeerLeavesTheAccountThatItCameTo(t *testing.T) {
	s := newSources(10, 2)
	s.most = 1
	a, b := netip.MustParseAddr("10.0.0.1").As16(), netip.MustParseAddr("10.0.0.17").As16()
	shard := s.shard(&a)
	if s.shard(&b) != shard {
		t.Fatal("they are in two shards")
	}
	if inRest, ok := s.hold(&a, 0); inRest || !ok {
		t.Fatalf("the first: %v %v", inRest, ok)
	}
	if inRest, ok := s.hold(&b, 0); !inRest || !ok {
		t.Fatalf("the second: %v %v", inRest, ok)
	}
	// The first goes, so the second gets an account of its own meanwhile.
	s.release(&a, false)
	if inRest, ok := s.hold(&b, 60_000); inRest || !ok {
		t.Fatalf("the second again: %v %v", inRest, ok)
	}
	s.release(&b, true)
	if shard.rest.peers != 0 || shard.known[b].peers != 1 {
		t.Errorf("%d share an account, %d have their own", shard.rest.peers, shard.known[b].peers)
	}
	s.release(&b, false)
	if shard.known[b].peers != 0 {
		t.Errorf("%d are left", shard.known[b].peers)
	}
}

func TestAPeerOfASharedAccountIsReleasedThere(t *testing.T) {
	inTown(t, 1, func(w *town) {
		src := w.trackers[0].sources
		src.most = 0
		a := somebody(1, 1, 5)
		w.announce(0, a)
		src.most = 10
		w.announce(0, a) // as before
		a.infoHash[0]++
		w.announce(0, a) // in an account of its own
		account := accountOf(a.ip)
		shard := src.shard(&account)
		if shard.rest.peers != 1 || shard.known[account].peers != 1 {
			t.Errorf("%d share an account, %d have their own", shard.rest.peers, shard.known[account].peers)
		}
		w.announce(0, stopped(somebody(1, 1, 5)))
		w.announce(0, stopped(a))
		if shard.rest.peers != 0 || shard.known[account].peers != 0 {
			t.Errorf("after they left %d share an account, %d have their own", shard.rest.peers, shard.known[account].peers)
		}
	})
}

func TestOneAddressDoesNotHaveAllOfTheRing(t *testing.T) {
	inTown(t, 1, func(w *town) {
		var blocked atomic.Int64
		replies := make(chan struct{})
		w.ring.Intercept(func(int, any) *ringtest.Fault {
			return &ringtest.Fault{Before: func(context.Context) { blocked.Add(1); <-replies }}
		})
		tr := w.trackers[0]
		from := netip.MustParseAddr("10.0.0.7").As16()
		look := func(i int) error {
			_, err := tr.look(w.t.Context(), &from, [20]byte{byte(i >> 8), byte(i)})
			return err
		}
		var waiting sync.WaitGroup
		for i := range sourceWaits {
			waiting.Go(func() {
				if err := look(i); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		a := somebody(1, 1, 5)
		a.ip = from
		var ans answer
		if err := tr.enter(w.t.Context(), &a, &ans, tr.view.now()); !errors.Is(err, errBusy) || !errors.Is(look(sourceWaits), errBusy) {
			t.Errorf("an announce: %v", err)
		}
		other := netip.MustParseAddr("10.0.0.8").As16()
		if done, ok := tr.sources.mayWait(&other, 0); !ok {
			t.Error("another address may not wait")
		} else {
			done()
		}
		if n := blocked.Load(); n != sourceWaits {
			t.Errorf("%d look-ups are under way", n)
		}
		close(replies)
		waiting.Wait()
		if err := look(sourceWaits); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}
