package transfer

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"chordtorrent/transfer/wire"
)

// fetched is how Engine.Metadata ended.
type fetched struct {
	info []byte
	err  error
}

// seek calls Engine.Metadata and returns when peers may come.
func seek(t testing.TB, e *engine, m MetadataSpec) (end <-chan fetched, cancel func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hung)
	t.Cleanup(cancel)
	ended := make(chan fetched, 1)
	go func() {
		info, err := e.Metadata(ctx, m)
		ended <- fetched{info, err}
	}()
	until(t, "the torrent to be there", func() bool { return e.torrent(m.InfoHash) != nil })
	return ended, cancel
}

// torrent is the one of that info hash, nil if there is none.
func (e *engine) torrent(hash [20]byte) *Torrent {
	asked := make(chan *Torrent)
	e.loops[0].post(theTorrent{hash, asked})
	return <-asked
}

type theTorrent struct {
	hash  [20]byte
	reply chan *Torrent
}

func (a theTorrent) handle(l *loop) { a.reply <- l.lobby.torrents[a.hash] }

// gives answers every request of the engine with parts of info.
func (p *testPeer) gives(info []byte) {
	p.t.Helper()
	for left := partsOf(len(info)); left > 0; left-- {
		m, _ := p.metadata()
		p.givesPart(info, m.Piece)
	}
}

func (p *testPeer) givesPart(info []byte, part int) {
	at := part * metadataPart
	p.says("d8:msg_typei1e5:piecei"+strconv.Itoa(part)+"e10:total_sizei"+strconv.Itoa(len(info))+"ee", info[at:min(at+metadataPart, len(info))])
}

// offers joins as a peer that says it has the info dictionary.
func offers(t testing.TB, e *engine, f *fixture, n int) *testPeer {
	return joinExtended(t, e, f, n, extended{Messages: speaksMetadata, InfoSize: f.layout.InfoSize})
}

// From one of ours to another: the one is known, and afterwards the torrent is fetched.
func TestAMagnetLinkIsEnough(t *testing.T) {
	f := makeTorrent(t, 140, 16<<10, 160<<10)
	info := f.withInfo(5*metadataPart + 1)
	seed, leech := start(t), start(t)
	spec := f.seedSpec(t)
	spec.Info = func() ([]byte, error) { return info, nil }
	seed.add(t, spec)
	a := &announcer{calls: make(chan Progress, 10), answer: func(Progress) (Answer, error) {
		return Answer{Peers: []netip.AddrPort{seed.addr()}}, nil
	}}
	got, err := leech.Metadata(t.Context(), MetadataSpec{InfoHash: f.hash, Announcer: a})
	if err != nil || !bytes.Equal(got, info) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if p := a.next(t); p.Event != Started || p.Left == 0 {
		t.Errorf("announces %+v", p)
	}
	to := f.leechSpec(t)
	to.Announcer = a
	done(t, leech.add(t, to))
	f.same(t, to.Content)
	if p := a.next(t); p.Event != Started {
		t.Errorf("announces %+v in between", p)
	}
	if _, err := leech.Metadata(t.Context(), MetadataSpec{InfoHash: f.hash}); !errors.Is(err, ErrKnown) {
		t.Errorf("of a torrent that is here: %v", err)
	}
}

// Peers of any kind find and are found: those that are told of by others, and those
// that call.
func TestPeersTellOfOthersThatHaveTheInfoDictionary(t *testing.T) {
	f := makeTorrent(t, 141, 16<<10, 160<<10)
	info := f.withInfo(100)
	seed, leech := start(t), start(t)
	spec := f.seedSpec(t)
	spec.Info = func() ([]byte, error) { return info, nil }
	seed.add(t, spec)
	end, _ := seek(t, leech, MetadataSpec{InfoHash: f.hash})
	p := joinExtended(t, leech, f, 1, extended{})
	p.send(wire.Message{ID: wire.ExtendedMsg, Payload: append([]byte{pexID}, "d5:added6:"+string(appendCompact(nil, seed.addr()))+"e"...)})
	if r := <-end; r.err != nil || !bytes.Equal(r.info, info) {
		t.Fatalf("%d bytes, %v", len(r.info), r.err)
	}
}

// Whatever a peer does, it loses its connection at most, with a reason, and the next one
// is asked.
func TestBadPeersDoNotKeepTheInfoDictionary(t *testing.T) {
	const size = 6*metadataPart + 50
	says := func(size int) extended { return extended{Messages: speaksMetadata, InfoSize: size} }
	other := make([]byte, size)
	for i, c := range []struct {
		name string
		why  reason
		says extended
		do   func(p *testPeer, e *engine)
	}{
		{"one that promises more than anybody wants", noMetadata, says(MaxMetadata + 1), func(*testPeer, *engine) {}},
		{"one that says less than it is", wrongMetadata, says(size - 1), func(p *testPeer, _ *engine) { p.gives(other[:size-1]) }},
		{"one that sends something else", wrongMetadata, says(size), func(p *testPeer, _ *engine) { p.gives(other) }},
		{"one that sends short parts", wrongMetadata, says(size), func(p *testPeer, _ *engine) {
			p.metadata()
			p.says("d8:msg_typei1e5:piecei0ee", other[:metadataPart-1])
		}},
		{"one that contradicts itself", wrongMetadata, says(size), func(p *testPeer, _ *engine) {
			p.metadata()
			p.says("d8:msg_typei1e5:piecei0e10:total_sizei5ee", other[:metadataPart])
		}},
		{"one that sends parts that are far ahead", unrequested, says(size), func(p *testPeer, _ *engine) {
			p.metadata()
			p.givesPart(other, 6)
		}},
		{"one that sends the same part again and again", unrequested, says(size), func(p *testPeer, _ *engine) {
			p.metadata()
			p.givesPart(other, 1)
			p.givesPart(other, 1)
		}},
		{"one that never answers", noMetadata, says(size), func(p *testPeer, e *engine) {
			p.metadata()
			e.advance(answerWithin + time.Second)
		}},
		{"one that is far too slow", noMetadata, says(100 * size), func(p *testPeer, e *engine) {
			p.metadata()
			e.advance(answerWithin - 5*time.Second)
			p.givesPart(make([]byte, 100*size), 0)
			for range partsAhead {
				p.metadata() // it may go on
			}
			e.advance(metadataPart/leastRate*time.Second + 6*time.Second)
		}},
		{"one that has none", noMetadata, extended{Messages: speaksMetadata}, func(p *testPeer, e *engine) {
			p.hears()
			e.advance(offerWithin + time.Second)
		}},
		{"one that sends pieces", noSuchPiece, says(size), func(p *testPeer, _ *engine) {
			p.send(wire.Message{ID: wire.Piece, Block: make([]byte, blockLen)})
		}},
		{"one that asks for pieces", badRequest, says(size), func(p *testPeer, _ *engine) {
			p.send(wire.Message{ID: wire.Request, Length: blockLen})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := makeTorrent(t, 142+uint64(i), 16<<10, 160<<10)
			info := f.withInfo(size)
			e := start(t)
			end, _ := seek(t, e, MetadataSpec{InfoHash: f.hash})
			bad := joinExtended(t, e, f, 1, c.says)
			c.do(bad, e)
			bad.gone()
			until(t, "the reason "+c.why.String(), func() bool { return e.drops[c.why].Load() == 1 })
			offers(t, e, f, 2).gives(info)
			if r := <-end; r.err != nil || !bytes.Equal(r.info, info) {
				t.Fatalf("%d bytes, %v", len(r.info), r.err)
			}
		})
	}
}

// A peer without the extension protocol is of no use, and goes at once.
func TestOldPeersHaveNoInfoDictionary(t *testing.T) {
	f := makeTorrent(t, 160, 16<<10, 160<<10)
	f.withInfo(10)
	e := start(t)
	end, cancel := seek(t, e, MetadataSpec{InfoHash: f.hash})
	p := dialTo(t, e)
	p.hello(f.hash)
	p.gone()
	cancel()
	if r := <-end; !errors.Is(r.err, context.Canceled) || !strings.Contains(r.err.Error(), "no peers known") {
		t.Errorf("%v", r.err)
	}
}

// What comes before the info dictionary is here is passed over, however long it is.
func TestPiecesAreOfNoConcernYet(t *testing.T) {
	f := makeTorrent(t, 161, 16<<10, 160<<10)
	info := f.withInfo(3 * metadataPart)
	e := start(t)
	end, _ := seek(t, e, MetadataSpec{InfoHash: f.hash})
	p := joinExtended(t, e, f, 1, extended{})
	p.send(wire.Message{ID: wire.Bitfield, Bits: bytes.Repeat([]byte{0xff}, 300_000)}, wire.Message{ID: wire.Unchoke})
	p.send(wire.Message{ID: wire.Have, Index: 1 << 20}, wire.Message{ID: wire.HaveAll}, wire.Message{ID: wire.AllowedFast, Index: 9})
	p.introduce(extended{Messages: speaksMetadata, InfoSize: len(info)})
	p.metadata()
	for _, part := range []int{2, 0, 1} { // in any order
		p.givesPart(info, part)
	}
	if r := <-end; r.err != nil || !bytes.Equal(r.info, info) {
		t.Fatalf("%d bytes, %v", len(r.info), r.err)
	}
}

// Who rejects keeps its connection, and is asked again later.
func TestARejectedRequestIsMadeAgain(t *testing.T) {
	f := makeTorrent(t, 162, 16<<10, 160<<10)
	info := f.withInfo(100)
	e := start(t)
	end, _ := seek(t, e, MetadataSpec{InfoHash: f.hash})
	p := offers(t, e, f, 1)
	p.metadata()
	p.says("d8:msg_typei2e5:piecei0ee", nil)
	q := joinExtended(t, e, f, 2, extended{})
	q.send(wire.Message{ID: wire.Request, Length: 1})
	q.gone() // so the reject has been heard
	e.advance(rejectedFor + time.Second)
	p.gives(info)
	if r := <-end; r.err != nil || !bytes.Equal(r.info, info) {
		t.Fatalf("%d bytes, %v", len(r.info), r.err)
	}
}

// The error tells what was tried, and trackers hear that this peer leaves.
func TestAMagnetLinkThatNobodyHelps(t *testing.T) {
	e := start(t)
	a := &announcer{calls: make(chan Progress), answer: func(Progress) (Answer, error) {
		return Answer{Peers: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}}, nil
	}}
	hash := sha1.Sum([]byte("nobody has it"))
	end, cancel := seek(t, e, MetadataSpec{InfoHash: hash, Announcer: a, Peers: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:2")}})
	if p := a.next(t); p.Event != Started {
		t.Errorf("announces %+v", p)
	}
	until(t, "both to be tried", func() bool { return e.drops[connectFailed].Load() >= 2 })
	cancel()
	if p := a.next(t); p.Event != Stopped {
		t.Errorf("announces %+v", p)
	}
	r := <-end
	if !errors.Is(r.err, context.Canceled) || !strings.Contains(r.err.Error(), "2 peers known, none has sent metadata (127.0.0.1:") ||
		!strings.Contains(r.err.Error(), "connect failed") {
		t.Errorf("%v", r.err)
	}
}

func TestMetadataEndsWithTheEngine(t *testing.T) {
	e := start(t)
	end, _ := seek(t, e, MetadataSpec{InfoHash: sha1.Sum(nil)})
	must(t, e.Close())
	if r := <-end; !errors.Is(r.err, ErrClosed) {
		t.Errorf("%v", r.err)
	}
	if _, err := e.Metadata(t.Context(), MetadataSpec{}); !errors.Is(err, ErrClosed) {
		t.Errorf("of a closed engine: %v", err)
	}
	if _, err := e.Metadata(t.Context(), MetadataSpec{MaxBytes: -1}); err == nil {
		t.Error("a negative bound is taken")
	}
}

// host is one of the addresses of this host.
func host(n int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 1, byte(n)}) }

// places is how many peers are asked for the info dictionary, and how much all of them
// offer.
func (e *engine) places(hash [20]byte) (talks, offered int) {
	t := e.torrent(hash)
	reply := make(chan [2]int)
	t.l.post(lookAtQuest{t, reply})
	all := <-reply
	return all[0], all[1]
}

type lookAtQuest struct {
	t     *Torrent
	reply chan [2]int
}

func (a lookAtQuest) handle(*loop) {
	offered := 0
	for _, t := range a.t.s.quest.talks {
		offered += t.size
	}
	a.reply <- [2]int{len(a.t.s.quest.talks), offered}
}

// Whoever is many at one address is asked twice at a time, and others are asked beside.
func TestManyLiarsAtOneAddress(t *testing.T) {
	f := makeTorrent(t, 163, 16<<10, 160<<10)
	info := f.withInfo(3*metadataPart + 5)
	e := start(t)
	end, _ := seek(t, e, MetadataSpec{InfoHash: f.hash})
	for i := range 24 {
		joinFrom(t, e, f, host(1), i, extended{Messages: speaksMetadata, InfoSize: 3 << 20})
	}
	until(t, "two to be asked", func() bool { n, _ := e.places(f.hash); return n == askedAtAddress })
	joinFrom(t, e, f, host(2), 30, extended{Messages: speaksMetadata, InfoSize: len(info)}).gives(info)
	if r := <-end; r.err != nil || !bytes.Equal(r.info, info) {
		t.Fatalf("%d bytes, %v", len(r.info), r.err)
	}
}

// What is offered by all that are asked is bounded; who has sent least of it makes room,
// after a while, for somebody who was not asked yet.
func TestSlowPeersMakeRoom(t *testing.T) {
	f := makeTorrent(t, 164, 16<<10, 160<<10)
	info := f.withInfo(3*metadataPart + 5)
	e := start(t)
	end, _ := seek(t, e, MetadataSpec{InfoHash: f.hash})
	slow := func(n, size, parts int) *testPeer {
		p := joinFrom(t, e, f, host(n), n, extended{Messages: speaksMetadata, InfoSize: size})
		for part := range parts {
			p.metadata()
			p.givesPart(make([]byte, size), part)
		}
		for range partsAhead {
			p.metadata() // all of them have been taken
		}
		return p
	}
	slow(1, MaxMetadata, 3)
	slowest := slow(2, besideLargest, 2)
	good := joinFrom(t, e, f, host(3), 3, extended{Messages: speaksMetadata, InfoSize: len(info)})
	late := joinFrom(t, e, f, host(4), 4, extended{Messages: speaksMetadata, InfoSize: MaxMetadata})
	late.hears()
	if n, offered := e.places(f.hash); n != 2 || offered != MaxMetadata+besideLargest {
		t.Fatalf("%d are asked for %d bytes", n, offered)
	}
	e.advance(placeFor + time.Second)
	slowest.gone()
	good.gives(info)
	if r := <-end; r.err != nil || !bytes.Equal(r.info, info) {
		t.Fatalf("%d bytes, %v", len(r.info), r.err)
	}
}

// Who has lied comes behind all others of whom nothing is known, from whatever port.
func TestLiarsComeLast(t *testing.T) {
	f := makeTorrent(t, 165, 16<<10, 160<<10)
	info := f.withInfo(100)
	e := start(t)
	end, _ := seek(t, e, MetadataSpec{InfoHash: f.hash})
	ours := e.torrent(f.hash)
	ours.AddPeers([]netip.AddrPort{netip.AddrPortFrom(host(1), 1)})
	liar := joinFrom(t, e, f, host(1), 1, extended{Messages: speaksMetadata, InfoSize: 100})
	liar.gives(make([]byte, 100))
	liar.gone()
	wait := make(chan time.Duration)
	ours.l.post(lookAtBook{ours, netip.AddrPortFrom(host(1), 1), wait})
	if w := <-wait; w < placeFor-5*time.Second {
		t.Errorf("its address is called again in %v", w)
	}
	offers(t, e, f, 2).gives(info)
	if r := <-end; r.err != nil || !bytes.Equal(r.info, info) {
		t.Fatalf("%d bytes, %v", len(r.info), r.err)
	}
}

type lookAtBook struct {
	t     *Torrent
	addr  netip.AddrPort
	reply chan time.Duration
}

func (a lookAtBook) handle(l *loop) { a.reply <- a.t.s.book.by[a.addr].next.Sub(l.now) }
