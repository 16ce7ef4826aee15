package transfer

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"chordtorrent/transfer/wire"
)

// A client of anacrolix/torrent is asked for no more at a time than it has room for,
// whatever it says; others for as much as they say.
func TestWhatClientsTakeAtATime(t *testing.T) {
	for client, most := range map[string]int64{"github.com/anacrolix/torrent v1.59.1": anacrolixQueue, "of somebody else": 150} {
		f := makeTorrent(t, 110, 64<<10, 6<<20)
		e := start(t)
		var served, waiting, largest atomic.Int64
		first := []wire.Message{
			{ID: wire.ExtendedMsg, Payload: fmt.Appendf([]byte{0}, "d1:mde4:reqqi150e1:v%d:%se", len(client), client)},
			{ID: wire.HaveAll}, {ID: wire.Unchoke},
		}
		addr := fastSeed(t, f, first, func(p *testPeer, m wire.Message) {
			if m.ID != wire.Request {
				return
			}
			if served.Load() < 200 { // until much is under way
				served.Add(1)
				at := int64(m.Index)*f.layout.PieceLength + int64(m.Begin)
				p.send(wire.Message{ID: wire.Piece, Index: m.Index, Begin: m.Begin, Block: f.data[at : at+int64(m.Length)]})
				return
			}
			largest.Store(max(largest.Load(), waiting.Add(1)))
		})
		to := e.add(t, f.leechSpec(t))
		to.AddPeers([]netip.AddrPort{addr})
		until(t, "as many requests as it takes: "+client, func() bool { return waiting.Load() >= most })
		e.advance(time.Second)
		if n := largest.Load(); n != most {
			t.Errorf("%s: %d requests wait there, %d should", client, n, most)
		}
		stop(t, to)
	}
}
