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
