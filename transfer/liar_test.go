package transfer

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"chordtorrent/transfer/wire"
)

func spoiled(_ wire.Message, block []byte) []byte {
	block[len(block)/2] ^= 1
	return block
}

// A peer whose pieces are wrong is banned after the first one; the download
// completes from an honest one.
func TestLiarIsBanned(t *testing.T) {
	f := makeTorrent(t, 10, 32<<10, 1<<20)
	leech := start(t)
	liar := serve(t, f, 1, spoiled)
	spec := f.leechSpec(t)
	to := leech.add(t, spec)
	to.AddPeers([]netip.AddrPort{liar.addr})
	until(t, "the ban", func() bool { return leech.drops[wrongPiece].Load() == 1 })
	leech.advance(time.Hour)
	leech.advance(time.Hour)
	if n := liar.count(func(s *server) int { return s.calls }); n != 1 {
		t.Errorf("the liar was called %d times", n)
	}
	// It comes back by itself, from another port.
	back := dialTo(t, leech)
	back.id = peerID(1)
	back.hello(f.hash)
	back.gone()
	if leech.drops[bannedPeer].Load() != 1 {
		t.Errorf("%v", leech.Drops())
	}
	// Another peer of the same machine is welcome.
	honest := serve(t, f, 2, nil)
	to.AddPeers([]netip.AddrPort{honest.addr})
	done(t, to)
	f.same(t, spec.Content)
	st := to.Status()
	if len(st.From) == 0 || st.From[0].PeerID != peerID(2) || st.From[0].Bytes != 1<<20 {
		t.Errorf("from %+v", st.From)
	}
	if st.Wasted == 0 {
		t.Error("the wrong piece does not count as wasted")
	}
}

// A piece that was put together from several peers and is wrong is fetched
// again from one of them; then it is known which of its blocks were wrong.
func TestLiarAmongSeveralSendersIsFound(t *testing.T) {
	f := makeTorrent(t, 11, 1<<20, 1<<20) // one piece of 64 blocks
	leech := start(t)
	spec := f.leechSpec(t)
	to := leech.add(t, spec)
	// The liar joins by hand and sends one wrong block, then chokes: the piece
	// has two senders.
	liar := join(t, leech, f, 1)
	liar.send(wire.Message{ID: wire.Bitfield, Bits: f.all().Bytes()}, wire.Message{ID: wire.Unchoke})
	m := liar.expect(wire.Request)
	block := spoiled(m, append([]byte(nil), f.data[m.Begin:m.Begin+m.Length]...))
	liar.send(wire.Message{ID: wire.Piece, Index: 0, Begin: m.Begin, Block: block}, wire.Message{ID: wire.Choke})
	until(t, "the choke", func() bool { p := to.Status().Peers; return len(p) == 1 && p[0].ChokesUs && p[0].Downloaded > 0 })
	honest := serve(t, f, 2, nil)
	to.AddPeers([]netip.AddrPort{honest.addr})
	done(t, to)
	f.same(t, spec.Content)
	liar.gone()
	if n := leech.drops[wrongPiece].Load(); n != 1 {
		t.Errorf("%v", leech.Drops())
	}
	until(t, "the honest one to stay alone", func() bool {
		p := to.Status().Peers
		return len(p) == 1 && p[0].PeerID == peerID(2) || len(p) == 0 && leech.drops[bothSeeds].Load() == 1
	})
}

// All peers lie: nothing is ever written, and the status says what happened.
func TestOnlyLiars(t *testing.T) {
	f := makeTorrent(t, 12, 64<<10, 256<<10)
	leech := start(t)
	spec := f.leechSpec(t)
	to := leech.add(t, spec)
	for i := range 3 {
		to.AddPeers([]netip.AddrPort{serve(t, f, i, spoiled).addr})
	}
	until(t, "three bans", func() bool { return leech.drops[wrongPiece].Load() == 3 })
	leech.advance(stuckAfter + time.Second)
	if r := to.Status().Reason; !strings.Contains(r, "it sent wrong data") {
		t.Errorf("reason %q", r)
	}
	if st := to.Status(); st.BytesDone != 0 {
		t.Errorf("%+v", st)
	}
}

// A peer that takes requests and does not answer loses them to others.
func TestSnubbedPeer(t *testing.T) {
	f := makeTorrent(t, 13, 32<<10, 512<<10)
	leech := start(t)
	spec := f.leechSpec(t)
	to := leech.add(t, spec)
	mute := serve(t, f, 1, func(wire.Message, []byte) []byte { return nil })
	to.AddPeers([]netip.AddrPort{mute.addr})
	until(t, "requests", func() bool { return mute.count(func(s *server) int { return len(s.asked) }) >= 8 })
	leech.advance(snubAfter + time.Second)
	until(t, "the snub", func() bool { p := to.Status().Peers; return len(p) == 1 && p[0].Snubbed && p[0].Requests <= 1 })
	leech.advance(stuckAfter)
	if r := to.Status().Reason; !strings.Contains(r, "do not answer") {
		t.Errorf("reason %q", r)
	}
	good := serve(t, f, 2, nil)
	to.AddPeers([]netip.AddrPort{good.addr})
	done(t, to)
	f.same(t, spec.Content)
}

// A peer passes over one request and answers all others.
func TestSkippedRequest(t *testing.T) {
	f := makeTorrent(t, 14, 32<<10, 512<<10)
	leech := start(t)
	spec := f.leechSpec(t)
	to := leech.add(t, spec)
	var mu sync.Mutex // time that flies may end one connection and begin another
	asked := make(map[[2]uint32]int)
	odd := serve(t, f, 1, func(m wire.Message, block []byte) []byte {
		mu.Lock()
		defer mu.Unlock()
		key := [2]uint32{m.Index, m.Begin}
		asked[key]++
		if asked[key] == 1 && m.Index == 3 {
			return nil // the first time only
		}
		return block
	})
	to.AddPeers([]netip.AddrPort{odd.addr})
	late := time.Now().Add(hung)
	for finished := false; !finished; {
		select {
		case <-to.Done():
			finished = true
		default:
			if time.Now().After(late) {
				t.Fatalf("%+v", to.Status())
			}
			leech.advance(time.Second)
		}
	}
	f.same(t, spec.Content)
}

// A choke in the middle takes the requests back; blocks that were on their way
// are no offence.
func TestChokeInTheMiddle(t *testing.T) {
	f := makeTorrent(t, 15, 128<<10, 128<<10)
	leech := start(t)
	spec := f.leechSpec(t)
	to := leech.add(t, spec)
	p := join(t, leech, f, 1)
	p.send(wire.Message{ID: wire.Bitfield, Bits: f.all().Bytes()}, wire.Message{ID: wire.Unchoke})
	var first []wire.Message
	for range 8 {
		first = append(first, p.expect(wire.Request))
	}
	answer := func(m wire.Message) wire.Message {
		at := int64(m.Index)*f.layout.PieceLength + int64(m.Begin)
		return wire.Message{ID: wire.Piece, Index: m.Index, Begin: m.Begin, Block: f.data[at : at+int64(m.Length)]}
	}
	p.send(answer(first[0]), wire.Message{ID: wire.Choke}, answer(first[1]), answer(first[2]), wire.Message{ID: wire.Unchoke})
	missing := map[uint32]bool{}
	for at := uint32(0); at < 128<<10; at += blockLen {
		missing[at] = true
	}
	for _, m := range first[:3] {
		delete(missing, m.Begin)
	}
	for len(missing) > 0 {
		m := p.expect(wire.Request)
		p.send(answer(m))
		delete(missing, m.Begin)
	}
	done(t, to)
	f.same(t, spec.Content)
	if n := leech.drops[unrequested].Load(); n != 0 {
		t.Error("blocks that crossed the choke were held against the peer")
	}
}

// Accounts under made-up names do not last, and a liar is found out when there is no room
// for one more.
func TestALiarAmongManyNamesIsBanned(t *testing.T) {
	f := makeTorrent(t, 16, 32<<10, 256<<10)
	leech := start(t)
	spec := f.leechSpec(t)
	to := leech.add(t, spec)
	accounts := func(fill int) int {
		reply := make(chan int)
		to.l.post(fillAccounts{to, fill, reply})
		return <-reply
	}
	for i := range 10 {
		join(t, leech, f, 100+i).Close()
	}
	until(t, "all to be forgotten", func() bool { return accounts(0) == 0 })
	if n := accounts(maxSources); n != maxSources {
		t.Fatalf("%d accounts", n)
	}
	liar := serve(t, f, 1, spoiled)
	to.AddPeers([]netip.AddrPort{liar.addr})
	until(t, "the ban", func() bool { return leech.drops[wrongPiece].Load() == 1 })
	back := dialTo(t, leech)
	back.id = peerID(1)
	back.hello(f.hash)
	back.gone()
	if leech.drops[bannedPeer].Load() != 1 {
		t.Errorf("%v", leech.Drops())
	}
	to.AddPeers([]netip.AddrPort{serve(t, f, 2, nil).addr})
	done(t, to)
	f.same(t, spec.Content)
}

// fillAccounts makes that many accounts of peers that have given something, and tells how
// many there are when nobody is connected; -1 while somebody is.
type fillAccounts struct {
	t     *Torrent
	n     int
	reply chan int
}

func (a fillAccounts) handle(*loop) {
	s := a.t.s
	for i := range a.n {
		src := &source{addr: netip.AddrPortFrom(host(1), 1), id: peerID(1000 + i), gave: true}
		s.sources[src.key()] = src
	}
	if len(s.conns) > 0 {
		a.reply <- -1
		return
	}
	a.reply <- len(s.sources)
}
