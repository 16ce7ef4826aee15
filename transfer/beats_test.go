package transfer

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"chordtorrent/transfer/wire"
)

// A client that answers every half second, a little at first and then what it was asked
// until then, is asked for more from beat to beat.
func TestWhoAnswersInBeatsIsAskedForMore(t *testing.T) {
	f := makeTorrent(t, 111, 64<<10, 16<<20)
	e := start(t)
	var mu sync.Mutex
	var asked []wire.Message
	var peer *testPeer
	first := []wire.Message{{ID: wire.HaveAll}, {ID: wire.Unchoke}}
	addr := fastSeed(t, f, first, func(p *testPeer, m wire.Message) {
		mu.Lock()
		defer mu.Unlock()
		peer = p
		if m.ID == wire.Request {
			asked = append(asked, m)
		}
	})
	waiting := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(asked)
	}
	to := e.add(t, f.leechSpec(t))
	to.AddPeers([]netip.AddrPort{addr})
	most := 0
	for beat := 0; beat < 16 && most < usualQueue/2; beat++ {
		until(t, "requests", func() bool { return waiting() > 0 })
		for range 5 {
			e.advance(100 * time.Millisecond)
		}
		mu.Lock()
		n := len(asked)
		if beat < 4 {
			n = min(n, 3)
		}
		most = max(most, n)
		answer, p := asked[:n], peer
		asked = asked[n:]
		mu.Unlock()
		for _, m := range answer {
			at := int64(m.Index)*f.layout.PieceLength + int64(m.Begin)
			p.send(wire.Message{ID: wire.Piece, Index: m.Index, Begin: m.Begin, Block: f.data[at : at+int64(m.Length)]})
		}
	}
	if most < usualQueue/2 {
		t.Errorf("after 16 beats it was never asked for more than %d blocks at a time", most)
	}
	stop(t, to)
}
