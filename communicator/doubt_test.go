package communicator

import (
	"testing"
	"time"
)

// A peer that two others cannot reach is told to nobody any more, until it announces itself.
func TestAPeerThatTwoCannotReachIsTakenOff(t *testing.T) {
	c, _ := inRing(t)
	announce(t, c, peer(1, 0))
	a, b := peer(2, 50), peer(3, 50)
	seen := func(by Announce) (p Peer, found bool) {
		for _, p := range announce(t, c, by).Peers {
			if p.PeerID == peer(1, 0).PeerID {
				return p, true
			}
		}
		return Peer{}, false
	}
	doubt := func(by Announce) {
		t.Helper()
		p, found := seen(by)
		if !found {
			t.Fatal("it is not listed")
		}
		if err := c.Doubt(bg, "x", by.InfoHash, by.PeerID, []Peer{p}); err != nil {
			t.Fatal(err)
		}
	}
	doubt(a)
	doubt(a) // the same one twice is one
	p, found := seen(b)
	if !found || p.Left != 0 || p.Addr != peer(1, 0).Addr || string(p.Have) != "\x01" || len(p.Doubters) != 1 {
		t.Fatalf("after one has doubted it: %+v, %v", p, found)
	}
	announce(t, c, peer(1, 0)) // it lives
	if p, _ := seen(b); len(p.Doubters) != 0 {
		t.Fatalf("after its announce: %+v", p)
	}
	doubt(a)
	doubt(b)
	if _, found := seen(a); found {
		t.Error("two could not reach it, and it is told of still")
	}
	// Who looks is told why.
	if s, err := c.Peers(bg, "x", a.InfoHash, 0); err != nil || s.Seeders != 0 || s.Leechers != 2 || len(s.Peers) != 2 || len(s.Unreachable) != 1 || s.Unreachable[0].PeerID != peer(1, 0).PeerID {
		t.Errorf("a look gives %+v, %v", s, err)
	}
	announce(t, c, peer(1, 0))
	if _, found := seen(a); !found {
		t.Error("its announce does not bring it back")
	}
}

// A doubt tells of what there is: it brings nobody back who has left, nor what a peer had
// before, and does not keep one listed whom only one other meets.
func TestADoubtProlongsNothing(t *testing.T) {
	c, ring := inRing(t)
	announce(t, c, peer(1, 30))
	told := announce(t, c, peer(2, 50)).Peers
	if len(told) != 1 {
		t.Fatalf("told of %+v", told)
	}
	doubt := func() []Peer {
		t.Helper()
		if err := c.Doubt(bg, "x", seq20(1), peer(2, 0).PeerID, told); err != nil {
			t.Fatal(err)
		}
		return announce(t, c, peer(2, 50)).Peers
	}
	announce(t, c, peer(1, 10))
	if now := doubt(); len(now) != 1 || now[0].Left != 10 || len(now[0].Doubters) != 1 {
		t.Errorf("doubted after another announce: %+v", now)
	}
	for range 3 {
		ring.Advance(DoubtFor/3 + time.Second)
		doubt()
	}
	if now := doubt(); len(now) != 0 {
		t.Errorf("after its time: %+v", now)
	}
	gone := peer(1, 10)
	announce(t, c, gone)
	gone.Event = Stopped
	announce(t, c, gone)
	if now := doubt(); len(now) != 0 {
		t.Errorf("after it has left: %+v", now)
	}
}
