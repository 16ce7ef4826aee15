package communicator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chordtorrent/chord"
	"chordtorrent/communicator/ringtest"
)

// peer is the announce of the i-th peer, which has left bytes to fetch.
func peer(i int, left int64) Announce {
	a := Announce{Name: "x", InfoHash: seq20(1), ClientID: uint64(i), Left: left, Size: 100, Have: []byte{byte(i)}}
	copy(a.PeerID[:], fmt.Sprintf("-CH0001-%012d", i))
	a.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 7000)
	return a
}

func announce(t *testing.T, c *Communicator, a Announce) Swarm {
	t.Helper()
	s, err := c.Announce(bg, a)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPeersFindEachOtherAndNeverThemselves(t *testing.T) {
	c, ring := inRing(t)
	if s := announce(t, c, peer(1, 0)); len(s.Peers) != 0 || s.Seeders != 1 || s.Leechers != 0 {
		t.Fatalf("the first peer sees %+v", s)
	}
	s := announce(t, c, peer(2, 50))
	if len(s.Peers) != 1 || s.Seeders != 1 || s.Leechers != 1 {
		t.Fatalf("the second sees %+v", s)
	}
	got, want := s.Peers[0], peer(1, 0)
	if got.PeerID != want.PeerID || got.Addr != want.Addr || got.ClientID != 1 || got.Left != 0 || got.Size != 100 ||
		!slices.Equal(got.Have, want.Have) || !got.Seen.Equal(ring.Now()) {
		t.Errorf("the first is shown as %+v", got)
	}
	for range 3 {
		s = announce(t, c, peer(2, 50))
		if len(s.Peers) != 1 || s.Peers[0].PeerID == peer(2, 0).PeerID || s.Seeders+s.Leechers != 2 {
			t.Fatalf("announced again it sees %+v", s)
		}
	}
}

func TestASeedIsNotToldOfSeeds(t *testing.T) {
	c, _ := inRing(t)
	announce(t, c, peer(1, 0))
	announce(t, c, peer(2, 0))
	announce(t, c, peer(3, 9))
	s := announce(t, c, peer(1, 0))
	if len(s.Peers) != 1 || s.Peers[0].PeerID != peer(3, 0).PeerID || s.Seeders != 2 || s.Leechers != 1 {
		t.Fatalf("a seed sees %+v", s)
	}
	begins := peer(1, 0)
	begins.Event = Started
	if s := announce(t, c, begins); len(s.Peers) != 2 {
		t.Errorf("a seed that begins, or has only a magnet link, sees %+v", s)
	}
	look, err := c.Peers(bg, "x", seq20(1), 0)
	if err != nil || len(look.Peers) != 3 || look.Seeders != 2 || look.Leechers != 1 || look.Interval != 0 {
		t.Fatalf("somebody who only looks sees %+v, %v", look, err)
	}
}

func TestVersionsOfANameAreSwarmsOfTheirOwn(t *testing.T) {
	c, _ := inRing(t)
	other := peer(1, 0)
	other.InfoHash = seq20(9)
	unnamed := peer(2, 0)
	unnamed.Name = ""
	announce(t, c, other)
	announce(t, c, unnamed)
	if s := announce(t, c, peer(3, 5)); len(s.Peers) != 0 {
		t.Fatalf("sees %+v", s)
	}
	if s, err := c.Peers(bg, "x", [20]byte{}, 0); err != nil || len(s.Peers) != 2 {
		t.Fatalf("all versions: %+v, %v", s, err)
	}
	if s, err := c.Peers(bg, "", seq20(1), 0); err != nil || len(s.Peers) != 1 {
		t.Fatalf("without a name: %+v, %v", s, err)
	}
}

func TestAPeerThatGoesAwayLeavesTheList(t *testing.T) {
	c, ring := inRing(t)
	announce(t, c, peer(1, 0))
	announce(t, c, peer(2, 0))
	stop := peer(1, 0)
	stop.Event = Stopped
	if s := announce(t, c, stop); len(s.Peers) != 0 {
		t.Fatalf("told when it stopped: %+v", s)
	}
	if s, err := c.Peers(bg, "x", seq20(1), 0); err != nil || s.Seeders != 1 {
		t.Fatalf("after one stopped: %+v, %v", s, err)
	}
	// The other one dies without a word.
	ring.Advance(minLifetime)
	if s, err := c.Peers(bg, "x", seq20(1), 0); err != nil || s.Seeders != 0 || len(s.Peers) != 0 {
		t.Fatalf("after the other died: %+v, %v", s, err)
	}
}

func TestALargeSwarmIsSampledAndEstimated(t *testing.T) {
	c, _ := inRing(t)
	for i := range 400 {
		announce(t, c, peer(i, int64(i%4))) // a quarter are seeds
	}
	s := announce(t, c, peer(1, 1))
	if len(s.Peers) > 50 || len(s.Peers) < 49 || s.Seeders+s.Leechers != 400 {
		t.Fatalf("%d peers, %d seeders, %d leechers", len(s.Peers), s.Seeders, s.Leechers)
	}
	if s.Seeders < 40 || s.Seeders > 180 {
		t.Errorf("%d seeders are estimated, 100 there are", s.Seeders)
	}
	first := peer(1, 1)
	first.Want = 5
	if s := announce(t, c, first); len(s.Peers) != 5 {
		t.Errorf("wanted 5, got %d", len(s.Peers))
	}
	first.Want = -1
	if s := announce(t, c, first); len(s.Peers) != 0 || s.Leechers == 0 {
		t.Errorf("wanted none, got %d", len(s.Peers))
	}
	if s, err := c.Peers(bg, "x", seq20(1), 300); err != nil || len(s.Peers) != 300 {
		t.Errorf("asked for 300, got %d, %v", len(s.Peers), err)
	}
}

func TestIntervalsOfASwarmsLife(t *testing.T) {
	c, ring := inRing(t)
	within := func(what string, got, want time.Duration) {
		t.Helper()
		if got < want*79/100 || got > want*121/100 {
			t.Errorf("%s: %v, want about %v", what, got, want)
		}
	}
	within("alone", announce(t, c, peer(1, 5)).Interval, aloneInterval)
	announce(t, c, peer(2, 5))
	ring.Advance(fewFor)
	within("young", announce(t, c, peer(1, 5)).Interval, youngInterval)
	for range 60 {
		ring.Advance(10 * time.Second)
		announce(t, c, peer(2, 5))
		announce(t, c, peer(1, 5))
	}
	old := announce(t, c, peer(1, 5)).Interval
	within("after ten minutes", old, 25*time.Second)
	// An entry lives 2.2 of the intervals that its peer was told.
	ring.Advance(2 * old)
	if s, err := c.Peers(bg, "x", seq20(1), 0); err != nil || s.Leechers == 0 {
		t.Errorf("after two intervals: %+v, %v", s, err)
	}
	again := peer(1, 5)
	again.Event = Started
	announce(t, c, peer(2, 5))
	within("started again", announce(t, c, again).Interval, aloneInterval)
}

func TestAnAnnounceThatMakesNoSenseIsRefused(t *testing.T) {
	c, ring := inRing(t)
	for why, change := range map[string]func(*Announce){
		"no address":       func(a *Announce) { a.Addr = netip.AddrPort{} },
		"no port":          func(a *Announce) { a.Addr = netip.AddrPortFrom(a.Addr.Addr(), 0) },
		"any address":      func(a *Announce) { a.Addr = netip.MustParseAddrPort("0.0.0.0:7000") },
		"257 buckets":      func(a *Announce) { a.Have = make([]byte, 257) },
		"name with a path": func(a *Announce) { a.Name = "../x" },
	} {
		a := peer(1, 0)
		change(&a)
		if _, err := c.Announce(bg, a); !errors.Is(err, ErrBadArgument) && !errors.Is(err, ErrName) {
			t.Errorf("%s: %v", why, err)
		}
	}
	if ring.Calls() != 0 {
		t.Error("the ring was asked")
	}
}

func TestPeersAreToldAlthoughRegistrationFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ring := inRing(t)
		announce(t, c, peer(1, 0))
		for _, fault := range []*ringtest.Fault{
			{Code: chord.CodeStore},
			{Code: chord.CodeNotReady},
			{Before: func(ctx context.Context) { <-ctx.Done() }}, // never answered
		} {
			onPuts(ring, func(int, chord.Put) *ringtest.Fault { return fault })
			begin := time.Now()
			s, err := c.Announce(bg, peer(2, 5))
			if err != nil || len(s.Peers) != 1 || s.Interval > youngInterval*6/5 {
				t.Fatalf("%+v, %v", s, err)
			}
			if took := time.Since(begin); took > registerGrace {
				t.Fatalf("answered after %v", took)
			}
		}
	})
}

func TestAnEndedAnnounceIsNoWarning(t *testing.T) {
	for _, ended := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c, ring := inRing(t)
			var logged bytes.Buffer
			c.log = slog.New(slog.NewTextHandler(&logged, nil)) // warnings, but no debug messages
			onPuts(ring, func(int, chord.Put) *ringtest.Fault {
				return &ringtest.Fault{Before: func(ctx context.Context) { <-ctx.Done() }}
			})
			ctx, cancel := context.WithCancel(bg)
			defer cancel()
			if ended {
				time.AfterFunc(registerGrace/2, cancel)
			}
			if _, err := c.Announce(ctx, peer(2, 5)); err != nil {
				t.Fatal(err)
			}
			if warned := strings.Contains(logged.String(), "level=WARN"); warned == ended {
				t.Errorf("its asker has ended it: %v; logged %q", ended, logged.String())
			}
		})
	}
}

func TestAnnounceFailsWhenTheRingTellsNothing(t *testing.T) {
	c, ring := inRing(t)
	ring.Intercept(func(_ int, op any) *ringtest.Fault {
		if _, ok := op.(chord.Get); ok {
			return &ringtest.Fault{Err: errCut}
		}
		return nil
	})
	if _, err := c.Announce(bg, peer(1, 5)); !errors.Is(err, errCut) {
		t.Fatalf("error %v", err)
	}
}

func TestForeignEntriesAreLeftOut(t *testing.T) {
	c, _ := inRing(t)
	announce(t, c, peer(1, 0))
	for _, u := range []chord.Update{
		{Name: peerField(seq20(1), seq20(7)), Value: []byte{9, 9, 9}},
		{Name: string(make([]byte, 0)) + peerField(seq20(1), seq20(8)) + "longer", Value: encodePeer(peer(3, 0))},
	} {
		if _, err := c.put(bg, peersKey("x", seq20(1)), u); err != nil {
			t.Fatal(err)
		}
	}
	if s := announce(t, c, peer(2, 5)); len(s.Peers) != 1 {
		t.Fatalf("sees %+v", s)
	}
}

func TestFewPeersAreCountedFromAsLargeASampleAsMany(t *testing.T) {
	ring := ringtest.New(1)
	c := New(ring, netip.MustParseAddr("10.0.0.1"))
	defer c.Close()
	hash := [20]byte{1}
	for i := range 10 {
		a := Announce{Name: "x", InfoHash: hash, PeerID: [20]byte{byte(i + 1)}, Addr: netip.MustParseAddrPort("10.0.0.2:7000"), Left: int64(i % 2), Size: 1}
		if _, err := c.Announce(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Peers(t.Context(), "x", hash, 1)
	if err != nil || len(s.Peers) != 1 || s.Seeders != 5 || s.Leechers != 5 {
		t.Errorf("%d peers of %d seeders and %d leechers, %v", len(s.Peers), s.Seeders, s.Leechers, err)
	}
}
