package transfer

import (
	"slices"
	"testing"
	"time"

	"chordtorrent/transfer/wire"
)

// serving looks at a torrent's connections on its loop.
func (e *engine) serving(t testing.TB, from *Torrent) (conns []conn) {
	t.Helper()
	seen := make(chan struct{})
	if !from.l.post(look(func() {
		for _, c := range from.s.conns {
			conns = append(conns, *c)
		}
		close(seen)
	})) {
		t.Fatal("the loop has ended")
	}
	<-seen
	return conns
}

// A peer that takes nothing has a turn for no longer than a turn may take; until then those
// who wait are sent nothing.
func TestPeersAreServedInTurns(t *testing.T) {
	const stalled = 4
	f := makeTorrent(t, 120, 1<<20, 16<<20)
	clock := &stoppedClock{at: time.Now()}
	e := start(t, func(c *Config) { c.now = clock.now })
	from := e.add(t, f.seedSpec(t))
	asks := func(n, pieces int) *testPeer {
		p := join(t, e, f, n)
		p.send(wire.Message{ID: wire.Interested})
		p.expect(wire.Unchoke)
		for i := range pieces {
			p.send(wire.Message{ID: wire.Request, Index: uint32(i), Length: 1 << 20})
		}
		return p
	}
	for n := range stalled {
		asks(n, 16)
	}
	until(t, "the sockets of those who read nothing to be full", func() bool {
		conns := e.serving(t, from)
		return len(conns) == stalled && !slices.ContainsFunc(conns, func(c conn) bool { return !c.blocked })
	})
	asks(stalled, 1)
	until(t, "the last to be in line", func() bool {
		conns := e.serving(t, from)
		for _, c := range conns {
			if c.peerID == peerID(stalled) && c.up.total > 0 {
				t.Fatalf("%d bytes went to one whose turn it is not", c.up.total)
			}
		}
		return slices.ContainsFunc(conns, func(c conn) bool { return c.turn.Waits() })
	})
	uploaded := func() int64 {
		for _, p := range from.Status().Peers {
			if p.PeerID == peerID(stalled) {
				return p.Uploaded
			}
		}
		t.Fatal("the last has gone")
		return 0
	}
	for waited := time.Duration(0); uploaded() == 0; waited += 10 * time.Millisecond {
		if waited > time.Second {
			t.Fatal("peers that read nothing keep the others from their turns")
		}
		clock.advance(10 * time.Millisecond)
	}
}
