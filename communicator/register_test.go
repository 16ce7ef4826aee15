package communicator

import (
	"errors"
	"testing"
	"time"

	"chordtorrent/chord"
	"chordtorrent/communicator/ringtest"
)

func TestPeersAreRegisteredTogether(t *testing.T) {
	c, ring := inRing(t)
	entries := make([]Entry, entriesPerPut+1)
	for i := range entries {
		a := peer(i, int64(i%2))
		entries[i] = Entry{PeerID: a.PeerID, Addr: a.Addr, Left: a.Left, Life: time.Minute}
	}
	if err := c.Register(bg, "x", seq20(1), entries); err != nil {
		t.Fatal(err)
	}
	if n := ring.Calls(); n != 2 {
		t.Errorf("%d operations", n)
	}
	s, err := c.Peers(bg, "x", seq20(1), len(entries))
	if err != nil || len(s.Peers) != len(entries) || s.Seeders != entriesPerPut/2+1 {
		t.Fatalf("%d peers, %d seeders, %v", len(s.Peers), s.Seeders, err)
	}
	// Who has left is gone at once, whoever is not told of again after its life.
	if err := c.Register(bg, "x", seq20(1), []Entry{{PeerID: entries[0].PeerID}, {PeerID: entries[1].PeerID, Addr: entries[1].Addr, Life: time.Hour}}); err != nil {
		t.Fatal(err)
	}
	if s, err := c.Peers(bg, "x", seq20(1), 0); err != nil || s.Seeders+s.Leechers != entriesPerPut {
		t.Errorf("after one left: %d, %v", s.Seeders+s.Leechers, err)
	}
	ring.Advance(time.Minute)
	if s, err := c.Peers(bg, "x", seq20(1), 0); err != nil || len(s.Peers) != 1 || s.Peers[0].PeerID != entries[1].PeerID {
		t.Errorf("after a minute: %+v, %v", s, err)
	}
}

func TestARegistrationThatFailsSaysSo(t *testing.T) {
	c, ring := inRing(t)
	if err := c.Register(bg, "../x", seq20(1), nil); !errors.Is(err, ErrName) {
		t.Errorf("a bad name: %v", err)
	}
	onPuts(ring, func(int, chord.Put) *ringtest.Fault { return &ringtest.Fault{Err: errCut} })
	a := peer(1, 0)
	if err := c.Register(bg, "x", seq20(1), []Entry{{PeerID: a.PeerID, Addr: a.Addr, Life: time.Minute}}); !errors.Is(err, errCut) {
		t.Errorf("error %v", err)
	}
}
