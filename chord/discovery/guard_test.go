package discovery

import (
	"net/netip"
	"testing"
	"time"

	"chordtorrent/chord"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestAPacketCountsOnce(t *testing.T) {
	g := newGuard()
	for i, c := range []struct {
		epoch, seq uint64
		fresh      bool
	}{
		{5, 100, true},
		{5, 100, false}, // again
		{5, 102, true},
		{5, 101, true}, // overtaken
		{5, 101, false},
		{5, 102, false},
		{5, 200, true},
		{5, 137, true},  // as old as may be
		{5, 136, false}, // too old to tell
		{5, 200, false},
		{4, 300, false}, // before its last start
		{6, 1, true},    // started again
		{6, 1, false},
		{5, 400, false},
		{6, 1 << 63, true},
		{6, 1<<63 - 1, true},
		{6, 1<<64 - 1, true},
		{6, 1<<64 - 1, false},
	} {
		if got := g.fresh(begin, packet{Kind: announce, Sender: chord.ID{1}, Epoch: c.epoch, Seq: c.seq}); got != c.fresh {
			t.Errorf("packet %d, epoch %d seq %d: fresh %v", i, c.epoch, c.seq, got)
		}
	}
	if !g.fresh(begin, packet{Kind: announce, Sender: chord.ID{2}, Epoch: 1, Seq: 1}) {
		t.Error("another sender's first packet")
	}
	if n := g.members(begin); n != 2 {
		t.Errorf("%d members", n)
	}
	g.fresh(begin, packet{Kind: query, Sender: chord.ID{3}})
	g.fresh(begin, packet{Kind: bye, Sender: chord.ID{2}, Epoch: 1, Seq: 2})
	if n := g.members(begin); n != 1 {
		t.Errorf("%d members after one left and one asked", n)
	}
	if n := g.members(begin.Add(nearby)); n != 0 {
		t.Errorf("%d members after silence", n)
	}
}

func TestAFloodIsDroppedAndOthersAreHeard(t *testing.T) {
	g := newGuard()
	loud, calm := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.1:2")
	admitted, answered := 0, 0
	for i := range 10_000 { // in one second
		now := begin.Add(time.Duration(i) * time.Second / 10_000)
		if g.admit(now, loud) {
			admitted++
			if g.mayAnswer(now, loud) {
				answered++
			}
		}
	}
	if admitted < sourceBurst || admitted > sourceBurst+sourceRate {
		t.Errorf("%d of a flood admitted", admitted)
	}
	if answered < answerBurst || answered > answerBurst+answerRate {
		t.Errorf("%d of a flood answered", answered)
	}
	if !g.admit(begin.Add(time.Second), calm) {
		t.Error("another source is not heard")
	}
	if !g.admit(begin.Add(time.Minute), loud) {
		t.Error("it is not forgiven")
	}
	if g.mayAnswer(begin, netip.MustParseAddrPort("10.9.9.9:9")) {
		t.Error("a source that was never admitted is answered")
	}
}

func TestAFloodFromManySourcesIsBounded(t *testing.T) {
	g := newGuard()
	admitted := 0
	for i := range 100_000 {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if g.admit(begin, netip.AddrPortFrom(addr, 1)) {
			admitted++
		}
		g.fresh(begin, packet{Kind: announce, Sender: chord.ID{byte(i >> 16), byte(i >> 8), byte(i)}})
	}
	if admitted > totalBurst || len(g.sources) > maxSources || len(g.senders) > maxSenders {
		t.Errorf("%d admitted, %d sources, %d senders", admitted, len(g.sources), len(g.senders))
	}
	later := begin.Add(forget + time.Second)
	if !g.admit(later, netip.MustParseAddrPort("10.99.0.1:1")) || !g.fresh(later, packet{Kind: announce, Sender: chord.ID{0xff}}) {
		t.Error("a newcomer is not heard")
	}
	if len(g.sources) > maxSources || len(g.senders) > maxSenders {
		t.Errorf("%d sources and %d senders are kept", len(g.sources), len(g.senders))
	}
}

// TestWhoIsSilentIsForgotten has many come and go, far fewer than there is room for.
func TestWhoIsSilentIsForgotten(t *testing.T) {
	g := newGuard()
	now := time.Unix(1_700_000_000, 0)
	for i := range 300 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 1234)
		if !g.admit(now, from) || !g.fresh(now, packet{Sender: chord.ID{1, byte(i >> 8), byte(i)}, Seq: 1}) {
			t.Fatalf("packet %d does not count", i)
		}
	}
	now = now.Add(forget + time.Second)
	g.admit(now, netip.MustParseAddrPort("10.1.0.1:1234"))
	g.fresh(now, packet{Sender: chord.ID{2}, Seq: 1})
	if len(g.sources) != 1 || len(g.senders) != 1 {
		t.Errorf("%d sources and %d senders are remembered, of whom one has spoken lately", len(g.sources), len(g.senders))
	}
}
