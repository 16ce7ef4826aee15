package tracker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chordtorrent/chord"
	"chordtorrent/communicator"
	"chordtorrent/communicator/ringtest"
)

// town is a ring with several trackers, in virtual time.
type town struct {
	t        *testing.T
	ring     *ringtest.Ring
	trackers []*Tracker
}

// inTown runs f within a bubble of virtual time, in which the ring's clock goes with it.
func inTown(t *testing.T, trackers int, f func(w *town)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &town{t: t, ring: ringtest.New(1)}
		ctx, end := context.WithCancel(context.Background())
		var running sync.WaitGroup
		for range trackers {
			ring := communicator.New(w.ring, netip.MustParseAddr("10.0.0.1"))
			tr := New(Config{Ring: ring})
			w.trackers = append(w.trackers, tr)
			running.Go(func() { tr.Run(ctx); ring.Close() })
		}
		running.Go(func() {
			for ctx.Err() == nil {
				pass(tick)
				w.ring.Advance(tick)
			}
		})
		f(w)
		end()
		running.Wait()
	})
}

// pass lets the bubble's time go on.
func pass(d time.Duration) { <-time.After(d) }

// somebody is the announce of the i-th peer of a swarm.
func somebody(swarm, i int, left int64) announce {
	a := announce{left: left, want: mostWanted, port: uint16(1024 + i%60000)}
	binary.BigEndian.PutUint32(a.infoHash[:], uint32(swarm))
	copy(a.peerID[:], fmt.Sprintf("-TT0001-%012d", i))
	a.ip = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).As16()
	return a
}

// announce carries one out at a tracker.
func (w *town) announce(tracker int, a announce) answer {
	w.t.Helper()
	var ans answer
	tr := w.trackers[tracker]
	if err := tr.enter(w.t.Context(), &a, &ans, tr.view.now()); err != nil {
		w.t.Fatal(err)
	}
	return ans
}

func stopped(a announce) announce {
	a.event = communicator.Stopped
	return a
}

func (w *town) inRing(swarm int) communicator.Swarm {
	w.t.Helper()
	a := somebody(swarm, 0, 0)
	s, err := w.trackers[0].cfg.Ring.Peers(w.t.Context(), "", a.infoHash, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func TestPeersOfSeveralNodesFindEachOtherWithinSeconds(t *testing.T) {
	inTown(t, 2, func(w *town) {
		w.announce(0, somebody(1, 1, 0))
		// The other node has looked before the ring knew of the first peer.
		if ans := w.announce(1, somebody(1, 2, 5)); len(ans.peers) != 0 {
			t.Errorf("at once: %d peers", len(ans.peers))
		}
		pass(time.Second)
		if s := w.inRing(1); s.Seeders != 1 || s.Leechers != 1 {
			t.Errorf("after a second the ring has %+v", s)
		}
		pass(2 * time.Second)
		if ans := w.announce(1, somebody(1, 2, 5)); len(ans.peers) != 1 || ans.seeders != 1 || ans.leechers != 1 {
			t.Errorf("after three seconds: %+v", ans)
		}
		// A node that has never heard of the swarm looks at once.
		third := New(Config{Ring: w.trackers[0].cfg.Ring})
		var ans answer
		a := somebody(1, 3, 5)
		if err := third.enter(w.t.Context(), &a, &ans, third.view.now()); err != nil || len(ans.peers) != 2 {
			t.Errorf("a third node: %+v, %v", ans, err)
		}
		// Who stops is gone: here at once, at the others after their next look.
		w.announce(0, stopped(somebody(1, 1, 0)))
		if ans := w.announce(0, somebody(1, 4, 5)); ans.seeders != 0 || len(ans.peers) > 1 {
			t.Errorf("after it stopped: %+v", ans)
		}
		w.announce(1, somebody(1, 2, 5))
		pass(3 * time.Second)
		w.announce(1, somebody(1, 2, 5))
		pass(time.Second)
		if ans := w.announce(1, somebody(1, 2, 5)); ans.seeders != 0 || ans.leechers != 2 {
			t.Errorf("elsewhere after it stopped: %+v", ans)
		}
	})
}

func TestWhoStopsAtAnotherNodeIsForgotten(t *testing.T) {
	inTown(t, 2, func(w *town) {
		for i := range 3 {
			w.announce(0, somebody(1, i, 5))
		}
		pass(3 * time.Second)
		w.announce(1, somebody(1, 2, 5))
		w.announce(1, stopped(somebody(1, 2, 5)))
		for range 3 {
			pass(2 * time.Second)
			w.announce(0, somebody(1, 0, 5))
			w.announce(0, somebody(1, 1, 5))
		}
		if ans := w.announce(0, somebody(1, 0, 5)); ans.leechers != 2 {
			t.Errorf("%+v", ans)
		}
	})
}

func TestWhoComesAndGoesAgainWithinASecondIsTakenOutOfTheRing(t *testing.T) {
	inTown(t, 1, func(w *town) {
		w.announce(0, somebody(1, 1, 5))
		pass(2 * time.Second)
		w.announce(0, stopped(somebody(1, 1, 5)))
		w.announce(0, somebody(1, 1, 5))
		w.announce(0, stopped(somebody(1, 1, 5)))
		pass(2 * time.Second)
		if s := w.inRing(1); s.Leechers != 0 {
			t.Errorf("the ring has %+v", s)
		}
	})
}

// elsewhere is the same peer, or somebody who says so, at another address.
func elsewhere(a announce) announce {
	a.ip = netip.MustParseAddr("10.9.9.9").As16()
	return a
}

func TestWhoKnowsAPeersIDCannotRemoveOrMoveIt(t *testing.T) {
	inTown(t, 2, func(w *town) {
		seeder := somebody(1, 1, 0)
		w.announce(0, seeder)
		pass(3 * time.Second)
		// At its own node, and at another that has it from the ring.
		for tracker := range 2 {
			w.announce(tracker, somebody(1, 10+tracker, 5))
			pass(3 * time.Second)
			for _, a := range []announce{elsewhere(seeder), stopped(elsewhere(seeder))} {
				w.announce(0, seeder)
				if ans := w.announce(tracker, a); ans.seeders != 1 || a.event != communicator.Stopped && len(ans.peers) == 0 {
					t.Errorf("tracker %d told them %+v", tracker, ans)
				}
				pass(3 * time.Second)
				ans := w.announce(tracker, somebody(1, 10+tracker, 5))
				if !slices.ContainsFunc(ans.peers, func(r record) bool { return r.id == seeder.peerID && r.ip == seeder.ip }) {
					t.Errorf("tracker %d knows of the seeder no more: %+v", tracker, ans)
				}
				if s := w.inRing(1); s.Seeders != 1 || !slices.ContainsFunc(s.Peers, func(p communicator.Peer) bool { return p.Addr.Addr().As16() == seeder.ip }) {
					t.Errorf("after tracker %d the ring has %+v", tracker, s)
				}
			}
		}
		w.announce(0, seeder)
		pass(time.Second)
		// One that leaves may come back, from its address at once.
		w.announce(0, stopped(seeder))
		if ans := w.announce(0, elsewhere(seeder)); ans.seeders != 0 {
			t.Errorf("somebody else took the place of one that leaves: %+v", ans)
		}
		if ans := w.announce(0, seeder); ans.seeders != 1 {
			t.Errorf("it is not back: %+v", ans)
		}
	})
}

func TestAPeerIsAtAnotherAddressAfterItsTime(t *testing.T) {
	inTown(t, 1, func(w *town) {
		life := communicator.Lifetime(w.announce(0, somebody(1, 1, 5)).interval)
		pass(life + 2*time.Second)
		moved := elsewhere(somebody(1, 1, 5))
		w.announce(0, moved)
		pass(3 * time.Second)
		if s := w.inRing(1); s.Leechers != 1 || s.Peers[0].Addr.Addr().As16() != moved.ip {
			t.Errorf("the ring has %+v", s)
		}
	})
}

func TestAClientThatIsStartedAnewIsOne(t *testing.T) {
	inTown(t, 2, func(w *town) {
		w.announce(0, somebody(1, 1, 5))
		pass(3 * time.Second)
		for tracker := range 2 { // with the ids 2 and 3
			anew := somebody(1, 2+tracker, 5)
			anew.ip, anew.port = somebody(1, 1, 5).ip, somebody(1, 1, 5).port
			if ans := w.announce(tracker, anew); ans.leechers != 1 || len(ans.peers) != 0 {
				t.Errorf("tracker %d: %+v", tracker, ans)
			}
			pass(5 * time.Second)
			if s := w.inRing(1); s.Leechers != 1 || s.Peers[0].PeerID != anew.peerID {
				t.Errorf("after tracker %d the ring has %+v", tracker, s)
			}
		}
		if st := w.trackers[1].Stats(); st.Own != 1 || st.Peers != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// Those that died without a word, told by others who could not reach them, are forgotten long
// before their time; by the doubt of one alone when that is over, and not if they announce.
func TestWhoCannotBeReachedIsForgottenAtItsOwnNodeToo(t *testing.T) {
	for _, test := range []struct {
		doubters    int
		lives       bool
		soon, later int
	}{{0, false, 2, 2}, {1, false, 2, 0}, {2, false, 0, 0}, {1, true, 2, 2}, {2, true, 2, 2}} {
		inTown(t, 2, func(w *town) {
			seeds := []announce{somebody(1, 1, 0), somebody(1, 2, 0)}
			all := func() (comeAgain time.Duration) {
				for _, a := range seeds {
					comeAgain = w.announce(0, a).interval
				}
				return comeAgain
			}
			for range 600 { // so often that they are to come again in minutes only
				w.announce(0, somebody(1, 10, 5))
				if comeAgain := all(); comeAgain > 3*time.Minute {
					break
				}
				pass(10 * time.Second)
			}
			told := w.inRing(1)
			told.Peers = slices.DeleteFunc(told.Peers, func(p communicator.Peer) bool { return p.Left != 0 })
			if len(told.Peers) != len(seeds) {
				w.t.Fatalf("the ring has %+v", told)
			}
			pass(20 * time.Second)
			for i := range test.doubters { // all between two looks
				a := somebody(1, 20+i, 5)
				if err := w.trackers[1].cfg.Ring.(*communicator.Communicator).Doubt(w.t.Context(), "", a.infoHash, a.peerID, told.Peers); err != nil {
					w.t.Fatal(err)
				}
			}
			if test.lives {
				all()
			}
			seeders := func(after time.Duration) int {
				for began := time.Now(); time.Since(began) < after; pass(5 * time.Second) {
					w.announce(0, somebody(1, 10, 5))
				}
				return w.announce(0, somebody(1, 10, 5)).seeders
			}
			soon, later := seeders(20*time.Second), seeders(communicator.DoubtFor)
			if inRing := w.inRing(1).Seeders; soon != test.soon || later != test.later || inRing != test.later {
				w.t.Errorf("%+v: %d soon after, %d later, %d in the ring", test, soon, later, inRing)
			}
		})
	}
}

// Who is refused a place has not completed anything, however often it says so.
func TestWhoIsRefusedDoesNotCountAsDone(t *testing.T) {
	inTown(t, 1, func(w *town) {
		a := somebody(1, 1, 5)
		w.announce(0, a)
		tr := w.trackers[0]
		tr.sources.peers, tr.sources.free = 1, nil
		another := somebody(1, 2, 0)
		another.ip, another.event = a.ip, communicator.Completed
		var ans answer
		if err := tr.enter(w.t.Context(), &another, &ans, tr.view.now()); !errors.Is(err, errTooManyPeers) {
			t.Fatal(err)
		}
		if c, ok := tr.view.count(a.infoHash); !ok || c.downloaded != 0 {
			t.Errorf("counted: %+v %v", c, ok)
		}
		a.left, a.event = 0, communicator.Completed
		w.announce(0, a)
		if c, ok := tr.view.count(a.infoHash); !ok || c.downloaded != 1 {
			t.Errorf("counted: %+v %v", c, ok)
		}
	})
}

func TestAPeerIsForgottenAfterItsTime(t *testing.T) {
	inTown(t, 1, func(w *town) {
		life := communicator.Lifetime(w.announce(0, somebody(1, 1, 5)).interval)
		pass(life - 2*time.Second)
		if ans := w.announce(0, somebody(1, 2, 5)); len(ans.peers) != 1 {
			t.Errorf("before its time is over: %+v", ans)
		}
		pass(4 * time.Second)
		if ans := w.announce(0, somebody(1, 2, 5)); len(ans.peers) != 0 {
			t.Errorf("after it: %+v", ans)
		}
		pass(shardCount * tick)
		if st := w.trackers[0].Stats(); st.Peers != 1 || st.Own != 1 {
			t.Errorf("%+v", st)
		}
		pass(time.Minute)
		if st := w.trackers[0].Stats(); st.Peers != 0 || st.Swarms != 0 {
			t.Errorf("after all are gone: %+v", st)
		}
		if s := w.inRing(1); s.Leechers != 0 {
			t.Errorf("the ring has %+v", s)
		}
	})
}

func TestARingThatLostItsPeersHasThemBackWithinAnInterval(t *testing.T) {
	inTown(t, 1, func(w *town) {
		var interval time.Duration
		for i := range 5 {
			interval = max(interval, w.announce(0, somebody(1, i, 5)).interval)
		}
		pass(time.Second)
		a := somebody(1, 0, 0)
		for i := range 5 {
			p := somebody(1, i, 0)
			if err := w.trackers[0].cfg.Ring.Register(w.t.Context(), "", a.infoHash, []communicator.Entry{{PeerID: p.peerID}}); err != nil {
				t.Fatal(err)
			}
		}
		if s := w.inRing(1); s.Leechers != 0 {
			t.Fatalf("%+v", s)
		}
		pass(interval)
		for i := range 5 {
			w.announce(0, somebody(1, i, 5))
		}
		pass(2 * time.Second)
		if s := w.inRing(1); s.Leechers != 5 {
			t.Errorf("after an interval: %+v", s)
		}
	})
}

func TestAnswersDoNotWaitForTheRing(t *testing.T) {
	inTown(t, 1, func(w *town) {
		w.announce(0, somebody(1, 1, 5))
		pass(time.Second)
		w.ring.Intercept(func(int, any) *ringtest.Fault {
			return &ringtest.Fault{Before: func(ctx context.Context) { <-ctx.Done() }}
		})
		began := time.Now()
		for i := range 10 {
			w.announce(0, somebody(1, i, 5))
			pass(time.Second)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("ten announces to a swarm that is known took %v", took-10*time.Second)
		}
		began = time.Now()
		if ans := w.announce(0, somebody(2, 1, 5)); ans.warning == "" {
			t.Errorf("%+v", ans)
		}
		if took := time.Since(began); took > firstWait {
			t.Errorf("the first to an unknown one took %v", took)
		}
		// When the ring is back it is told of all.
		w.ring.Intercept(nil)
		for i := range 10 {
			w.announce(0, somebody(1, i, 5))
		}
		pass(jobWait + 2*retryAfter)
		if s := w.inRing(1); s.Leechers != 10 {
			t.Errorf("%+v", s)
		}
		if s := w.inRing(2); s.Leechers != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestAPartOfTheRingThatIsSilentHoldsUpNoOther has more swarms there than workers, all of one
// shard and always due again.
func TestAPartOfTheRingThatIsSilentHoldsUpNoOther(t *testing.T) {
	inTown(t, 1, func(w *town) {
		const swarms = 3 * workers
		other := shardCount - 1
		elsewhere := func(i int) announce {
			a := somebody(1, i, 5)
			a.infoHash[0] = byte(other)
			return a
		}
		w.ring.Intercept(func(_ int, op any) *ringtest.Fault {
			var key chord.Key
			switch op := op.(type) {
			case chord.Get:
				key = op.Key
			case chord.Put:
				key = op.Key
			}
			if !strings.HasPrefix(string(key[1:]), "00") {
				return nil
			}
			return &ringtest.Fault{Before: func(ctx context.Context) { <-ctx.Done() }}
		})
		var arriving sync.WaitGroup
		for i := range swarms {
			arriving.Go(func() { w.announce(0, somebody(i, 1, 5)) })
		}
		arriving.Wait()
		w.announce(0, elsewhere(1)) // and never again
		tr, hash := w.trackers[0], elsewhere(0).infoHash
		for range 40 {
			for i := range swarms {
				w.announce(0, somebody(i, 1, 5))
			}
			w.announce(0, elsewhere(0))
			pass(time.Second)
		}
		if s, err := tr.cfg.Ring.Peers(w.t.Context(), "", hash, 0); err != nil || s.Leechers != 1 {
			t.Errorf("the ring has %+v, %v", s, err)
		}
		if s := tr.Stats(); s.Own != swarms+1 {
			t.Errorf("%d peers after one has left without a word, want %d", s.Own, swarms+1)
		}
	})
}

func TestManyPeersCostFewOperations(t *testing.T) {
	inTown(t, 1, func(w *town) {
		w.announce(0, somebody(1, 0, 5))
		before := w.ring.Calls()
		for i := range 500 {
			w.announce(0, somebody(1, i, 5))
		}
		pass(2 * time.Second)
		if s := w.inRing(1); s.Leechers != 500 {
			t.Errorf("%+v", s)
		}
		if n := w.ring.Calls() - before; n > 12 {
			t.Errorf("%d operations", n)
		}
	})
}

func TestFiftyThatStartTogetherKnowOthersWithinSeconds(t *testing.T) {
	const clients, spike = 50, 10 * time.Minute
	inTown(t, 3, func(w *town) {
		began := time.Now()
		var mu sync.Mutex
		known := make([]int, clients)
		announces := map[int64]int{} // by second
		var all sync.WaitGroup
		for i := range clients {
			all.Go(func() {
				pass(time.Duration(rand.Int64N(int64(time.Second))))
				met := map[[20]byte]bool{}
				started := time.Now()
				for time.Since(began) < spike+time.Minute {
					ans := w.announce(i%3, somebody(1, i, 5))
					for _, p := range ans.peers {
						met[p.id] = true
					}
					mu.Lock()
					announces[int64(time.Since(began)/time.Second)]++
					if time.Since(started) <= 5*time.Second {
						known[i] = len(met)
					}
					mu.Unlock()
					pass(time.Duration(seconds(ans.interval)) * time.Second)
				}
			})
		}
		all.Wait()
		for i, n := range known {
			if n < 8 {
				t.Errorf("client %d knew %d others after five seconds", i, n)
			}
		}
		// Ten minutes later they come each at its own time: one in 25 s from each, two a second.
		for s, n := range announces {
			if s >= int64(spike/time.Second)-60 && n > 12 {
				t.Errorf("%d announces in second %d", n, s)
			}
		}
	})
}

func TestAViewIsBounded(t *testing.T) {
	ring := communicator.New(ringtest.New(1), netip.MustParseAddr("10.0.0.1"))
	defer ring.Close()
	tr := New(Config{Ring: ring})
	const room = 1000
	tr.view.mostStored = room
	// Swarms of one shard, the second idle since long ago, until there is no more room.
	enter := func(swarm, i int, at time.Time) {
		a := somebody(swarm*shardCount<<24, i, 5)
		a.infoHash[1] = byte(swarm)
		var ans answer
		if err := tr.enter(t.Context(), &a, &ans, at); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	enter(2, 0, now.Add(-time.Hour))
	for i := range room - 1 {
		enter(1, i%(room/2), now)
	}
	sh := tr.view.shard(&[20]byte{})
	if sh.stored != room/2+1 || len(sh.swarms) != 2 {
		t.Fatalf("%d peers in %d swarms", sh.stored, len(sh.swarms))
	}
	for i := range room {
		enter(3, i, now)
	}
	if sh.stored > room || len(sh.swarms) != 1 {
		t.Errorf("%d peers in %d swarms, there is room for %d", sh.stored, len(sh.swarms), room)
	}
	if tr.view.stored.Load() != int64(sh.stored) || tr.view.own.Load() != int64(sh.stored) || tr.Refused()["no_room"] == 0 {
		t.Errorf("%+v, %v", tr.Stats(), tr.Refused())
	}
}

// BenchmarkViewPeers tells what a peer costs the node that it announces to.
func BenchmarkViewPeers(b *testing.B) {
	for _, per := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint("of ", per), func(b *testing.B) {
			const peers = 200_000
			ring := communicator.New(ringtest.New(1), netip.MustParseAddr("10.0.0.1"))
			defer ring.Close()
			var before, after runtime.MemStats
			for b.Loop() {
				runtime.GC()
				runtime.ReadMemStats(&before)
				tr := New(Config{Ring: ring})
				var ans answer
				for i := range peers {
					a := somebody(i%(peers/per), i, 5)
					if err := tr.enter(b.Context(), &a, &ans, time.Now()); err != nil {
						b.Fatal(err)
					}
				}
				tr.names.known = nil
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/peers, "B/peer")
				runtime.KeepAlive(tr)
			}
		})
	}
}

func BenchmarkAnnounce(b *testing.B) {
	ring := communicator.New(ringtest.New(1), netip.MustParseAddr("10.0.0.1"))
	defer ring.Close()
	tr := New(Config{Ring: ring, SourceRate: 1 << 30, SourcePeers: 1 << 30})
	const swarms, peers = 1000, 30
	var x exchange
	asks := make([]announce, swarms*peers)
	for i := range asks {
		asks[i] = somebody(i/peers, i, int64(i%3))
		if err := tr.enter(b.Context(), &asks[i], &x.answer, time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		x.answer.peers = x.answer.peers[:0]
		if known, err := tr.view.announce(&asks[rand.IntN(len(asks))], &x.answer, now); !known || err != nil {
			b.Fatal(known, err)
		}
	}
}
