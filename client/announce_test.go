package client

import (
	"testing"

	"chordtorrent/transfer"
)

// What the ring is told of a peer is what others read of it: how much it has, and how
// fast it gets on.
func TestTheRingHearsHowADownloadGetsOn(t *testing.T) {
	w := newWorld(t)
	c := w.client(newStorage(t))
	c.id.Store(1)
	a := c.newAnnouncer("x", [20]byte{1}, 1000)
	p := transfer.Progress{Event: transfer.Started, Left: 600, RateDown: 250.9, PeerID: [20]byte{2}, Port: 7000, Have: []byte{255, 100}}
	if _, err := a.Announce(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s, err := w.communicator().Peers(t.Context(), "x", [20]byte{1}, 0)
	if err != nil || len(s.Peers) != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	got := s.Peers[0]
	if got.Left != 600 || got.Size != 1000 || got.Rate != 250 || string(got.Have) != "\xffd" || got.Seen.IsZero() {
		t.Errorf("%+v", got)
	}
}

// Who did not take a call of two is not told to a third.
func TestWhoIsRefusedByTwoIsForgotten(t *testing.T) {
	w := newWorld(t)
	hash := [20]byte{1}
	say := func(n byte, p transfer.Progress) transfer.Answer {
		t.Helper()
		c := w.client(newStorage(t))
		c.id.Store(uint64(n))
		a := c.newAnnouncer("x", hash, 1000)
		p.PeerID, p.Port = [20]byte{19: n}, 7000+uint16(n)
		answer, err := a.Announce(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if len(answer.Peers) > 0 && p.Left > 0 {
			p.Refused = answer.Peers[:1]
			if answer, err = a.Announce(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		return answer
	}
	say(1, transfer.Progress{Event: transfer.Started})
	for n := byte(2); n <= 3; n++ {
		if got := say(n, transfer.Progress{Left: 10}); n == 2 && len(got.Peers) != 1 {
			t.Fatalf("one doubt takes it off: %v", got.Peers)
		}
		say(n, transfer.Progress{Event: transfer.Stopped})
	}
	if got := say(4, transfer.Progress{Left: 10}); len(got.Peers) != 0 {
		t.Errorf("a third is told of %v", got.Peers)
	}
}
