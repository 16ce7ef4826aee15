package transfer

import (
	"net/netip"
	"sync"
	"testing"

	"chordtorrent/transfer/wire"
)

// mute is a seed that remembers what it is asked for and answers when it is told to.
type mute struct {
	mu    sync.Mutex
	p     *testPeer
	asked []wire.Message // and not answered
	all   int
}

func (s *mute) hear(p *testPeer, m wire.Message) {
	if m.ID == wire.Request {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.p, s.asked, s.all = p, append(s.asked, m), s.all+1
	}
}

func (s *mute) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

func (s *mute) answer(f *fixture) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.asked {
		at := int64(m.Index)*f.layout.PieceLength + int64(m.Begin)
		s.p.send(wire.Message{ID: wire.Piece, Index: m.Index, Begin: m.Begin, Block: f.data[at : at+int64(m.Length)]})
	}
	s.asked = nil
}

// What one owes at the end another is asked for two blocks at a time, as it may be on its way;
// for all of it when it does not come.
func TestLittleIsAskedForTwiceAtTheEnd(t *testing.T) {
	f := makeTorrent(t, 128, blockLen, 8*blockLen)
	e := start(t)
	to := e.add(t, f.leechSpec(t))
	first := []wire.Message{{ID: wire.HaveAll}, {ID: wire.Unchoke}}
	var owes, helps mute
	to.AddPeers([]netip.AddrPort{fastSeed(t, f, first, owes.hear)})
	until(t, "all to be asked of one", func() bool { return owes.requests() == 8 })
	to.AddPeers([]netip.AddrPort{fastSeed(t, f, first, helps.hear)})
	until(t, "the other to be asked", func() bool { return helps.requests() >= 2 })
	helps.answer(f)
	until(t, "it to be asked again", func() bool { return helps.requests() >= 4 })
	e.advance(0)
	if n := helps.requests(); n != 4 {
		t.Errorf("%d blocks were asked for twice, four should", n)
	}
	e.advance(tickEvery)
	e.advance(tailFor)
	helps.answer(f)
	until(t, "the rest to be asked for", func() bool { return helps.requests() == 8 })
	helps.answer(f)
	done(t, to)
	f.same(t, to.spec.Content)
}
