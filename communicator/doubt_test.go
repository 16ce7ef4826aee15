package communicator

import "testing"

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
	if !found || p.Left != 0 || p.Addr != peer(1, 0).Addr || string(p.Have) != "\x01" || p.Doubt == [4]byte{} {
		t.Fatalf("after one has doubted it: %+v, %v", p, found)
	}
	announce(t, c, peer(1, 0)) // it lives
	if p, _ := seen(b); p.Doubt != [4]byte{} {
		t.Fatalf("after its announce: %+v", p)
	}
	doubt(a)
	doubt(b)
	if _, found := seen(a); found {
		t.Error("two could not reach it, and it is told of still")
	}
	announce(t, c, peer(1, 0))
	if _, found := seen(a); !found {
		t.Error("its announce does not bring it back")
	}
}
