package communicator

import (
	"testing"
	"time"
)

// How fast a peer gets on is told by two announces that were looked at, and until then by
// itself, if it says so.
func TestSpeedsAreBetweenTwoAnnounces(t *testing.T) {
	var s Speeds
	at := time.Unix(1e9, 0)
	p := Peer{PeerID: seq20(2), Left: 1000, Seen: at}
	look := func(what string, want float64, known bool) {
		t.Helper()
		if rate, ok := s.Of(seq20(1), &p); rate != want || ok != known {
			t.Errorf("%s: %v, %v", what, rate, ok)
		}
	}
	look("an ordinary client at first", 0, false)
	p.Rate = 70
	look("the same announce again, of one that says it", 70, true)
	p.Left, p.Seen = 400, at.Add(10*time.Second)
	look("its next announce", 60, true)
	look("that one again", 60, true)
	p.Seen = at.Add(20 * time.Second)
	look("it stands still", 0, true)
	p.Left, p.Seen = 900, at.Add(30*time.Second)
	look("it began anew", 70, true)
	p.PeerID, p.Left, p.Rate = seq20(3), -1, 0
	look("one that does not say what it has left", 0, false)
}
