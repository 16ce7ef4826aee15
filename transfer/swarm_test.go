package transfer

import (
	"bytes"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"chordtorrent/transfer/poller"
	"chordtorrent/transfer/wire"
)

func TestTransfer(t *testing.T) {
	cases := []struct {
		name     string
		pieceLen int64
		sizes    []int
	}{
		{"one byte", 16 << 10, []int{1}},
		{"exactly one piece", 16 << 10, []int{16 << 10}},
		{"exact multiple of the piece length", 32 << 10, []int{20 * 32 << 10}},
		{"last piece is short", 64 << 10, []int{3<<20 + 12345}},
		{"piece length that is no multiple of a block", 40000, []int{1<<20 + 7}},
		{"several files, some empty, borders inside of blocks", 32 << 10, []int{100, 0, 70000, 0, 1, 32 << 10, 200001, 0}},
		{"many tiny files in a block", 16 << 10, repeat(300, 200)},
		{"large pieces", 4 << 20, []int{17 << 20}},
	}
	pollers := map[string]func() (poller.Poller, error){"best": poller.New, "poll": poller.NewPoll}
	for name, open := range pollers {
		for _, c := range cases {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				f := makeTorrent(t, 1, c.pieceLen, c.sizes...)
				on := func(cfg *Config) { cfg.newPoller = open }
				seed, leech := start(t, on), start(t, on)
				from := seed.add(t, f.seedSpec(t))
				spec := f.leechSpec(t)
				to := leech.add(t, spec)
				to.AddPeers([]netip.AddrPort{seed.addr()})
				done(t, to)
				done(t, from)
				f.same(t, spec.Content)
				st := to.Status()
				if st.BytesDone != int64(len(f.data)) || st.Downloaded-st.Wasted != int64(len(f.data)) {
					t.Errorf("status %+v of %d bytes", st, len(f.data))
				}
				if len(st.From) != 1 || st.From[0].Bytes != int64(len(f.data)) || st.From[0].PeerID != seed.PeerID() {
					t.Errorf("from %+v", st.From)
				}
				if up := from.Status().Uploaded; up != int64(len(f.data)) {
					t.Errorf("uploaded %d", up)
				}
				if used := leech.buffers.inUse(); used != 0 {
					t.Errorf("%d bytes of buffers are still handed out", used)
				}
			})
		}
	}
}

func repeat(n, size int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = size + i
	}
	return all
}

// A has it, B knows A, C only knows B: B passes on what it has while it is
// still downloading.
func TestChain(t *testing.T) {
	f := makeTorrent(t, 20, 32<<10, 4<<20)
	a, b, c := start(t), start(t), start(t)
	specB, specC := f.leechSpec(t), f.leechSpec(t)
	tb, tc := b.add(t, specB), c.add(t, specC)
	tc.AddPeers([]netip.AddrPort{b.addr()})
	until(t, "C to be connected with B", func() bool { return len(tc.Status().Peers) == 1 })
	a.add(t, f.seedSpec(t))
	tb.AddPeers([]netip.AddrPort{a.addr()})
	done(t, tb)
	done(t, tc)
	f.same(t, specB.Content)
	f.same(t, specC.Content)
	if st := tc.Status(); len(st.From) != 1 || st.From[0].PeerID != b.PeerID() {
		t.Errorf("C got it from %+v", st.From)
	}
}

// Four that start together and know each other get everything, and a part of
// it from each other.
func TestSwarmOfFour(t *testing.T) {
	f := makeTorrent(t, 21, 32<<10, 5<<20, 100, 0, 3<<20)
	seed := start(t)
	from := seed.add(t, f.seedSpec(t))
	addrs := []netip.AddrPort{seed.addr()}
	var engines []*engine
	for range 4 {
		e := start(t)
		engines = append(engines, e)
		addrs = append(addrs, e.addr())
	}
	var torrents []*Torrent
	var specs []Spec
	for _, e := range engines {
		spec := f.leechSpec(t)
		specs = append(specs, spec)
		torrents = append(torrents, e.add(t, spec))
	}
	for _, tor := range torrents {
		tor.AddPeers(addrs) // their own address among them
	}
	until(t, "all to be done", func() bool {
		left := len(torrents)
		for _, tor := range torrents {
			sound(t, tor)
			select {
			case <-tor.Done():
				left--
			default:
			}
		}
		return left == 0
	})
	for i, tor := range torrents {
		done(t, tor)
		f.same(t, specs[i].Content)
	}
	total := int64(0)
	for _, tor := range torrents {
		for _, src := range tor.Status().From {
			total += src.Bytes
		}
	}
	if total != 4*int64(len(f.data)) {
		t.Errorf("%d useful bytes for 4 x %d", total, len(f.data))
	}
	t.Logf("the seed sent %.2f copies", float64(from.Status().Uploaded)/float64(len(f.data)))
	for i, tor := range torrents {
		until(t, "the complete ones to leave each other", func() bool { return len(tor.Status().Peers) == 0 })
		if st := tor.Status(); st.PeersWanting != 0 || st.Reason != "" {
			t.Errorf("%d: %+v", i, st)
		}
	}
}

// Two torrents in one engine, on different loops, do not mix.
func TestSeveralTorrentsOnSeveralLoops(t *testing.T) {
	seed, leech := start(t), start(t, func(c *Config) { c.Loops = 3 })
	var fs []*fixture
	var tors []*Torrent
	var specs []Spec
	for i := range 5 {
		f := makeTorrent(t, uint64(30+i), 16<<10, 300<<10+i)
		seed.add(t, f.seedSpec(t))
		spec := f.leechSpec(t)
		tor := leech.add(t, spec)
		tor.AddPeers([]netip.AddrPort{seed.addr()})
		fs, tors, specs = append(fs, f), append(tors, tor), append(specs, spec)
	}
	loops := make(map[*loop]bool)
	for i, tor := range tors {
		done(t, tor)
		fs[i].same(t, specs[i].Content)
		loops[tor.l] = true
	}
	if len(loops) != 3 {
		t.Errorf("5 torrents on %d of 3 loops", len(loops))
	}
}

// What is there already is not fetched again.
func TestResume(t *testing.T) {
	f := makeTorrent(t, 40, 32<<10, 2<<20)
	seed, leech := start(t), start(t)
	from := seed.add(t, f.seedSpec(t))
	spec := f.leechSpec(t)
	var mu sync.Mutex
	var got []int
	spec.OnPiece = func(i int) { mu.Lock(); got = append(got, i); mu.Unlock() }
	spec.Have = wire.NewBits(f.layout.NumPieces())
	for i := range f.layout.NumPieces() {
		if i%3 != 0 {
			spec.Have.Set(i)
			must(t, spec.Content.WritePiece(i, f.data[i*32<<10:(i+1)*32<<10]))
		}
	}
	to := leech.add(t, spec)
	to.AddPeers([]netip.AddrPort{seed.addr()})
	done(t, to)
	f.same(t, spec.Content)
	missing := spec.Have.Len() - spec.Have.Count()
	if up := from.Status().Uploaded; up != int64(missing)*32<<10 {
		t.Errorf("%d bytes were sent for %d pieces", up, missing)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(got) != missing {
		t.Errorf("OnPiece was called for %d of %d pieces", len(got), missing)
	}
	for _, i := range got {
		if i%3 != 0 {
			t.Errorf("OnPiece was called for piece %d, which was there", i)
		}
	}
}

func TestNothingToDo(t *testing.T) {
	e := start(t)
	f := makeTorrent(t, 41, 16<<10, 0)
	to := e.add(t, f.leechSpec(t))
	done(t, to)
	g := makeTorrent(t, 42, 16<<10, 50000)
	done(t, e.add(t, g.seedSpec(t)))
	if st := to.Status(); st.BytesTotal != 0 || st.Reason != "" {
		t.Errorf("%+v", st)
	}
	p := dialTo(t, e) // peers of an empty torrent have nothing to say either
	p.hello(f.hash)
	p.readHello()
	p.send(wire.Message{ID: wire.Have, Index: 0})
	p.gone()
}

// With room for one piece in memory a download is slow, not stuck, also when
// the pieces are larger than that.
func TestSmallBuffer(t *testing.T) {
	f := makeTorrent(t, 43, 256<<10, 4<<20)
	seed := start(t)
	seed.add(t, f.seedSpec(t))
	for _, bytes := range []int64{1, 256 << 10, 600 << 10} {
		leech := start(t, func(c *Config) { c.BufferBytes = bytes })
		spec := f.leechSpec(t)
		to := leech.add(t, spec)
		to.AddPeers([]netip.AddrPort{seed.addr(), serve(t, f, 1, nil).addr})
		done(t, to)
		f.same(t, spec.Content)
		if used := leech.buffers.inUse(); used != 0 {
			t.Errorf("%d bytes are still handed out", used)
		}
	}
}

// A peer that knows nothing of our extension is asked for 16 KiB at a time.
func TestRequestSizes(t *testing.T) {
	f := makeTorrent(t, 44, 1<<20, 4<<20)
	leech := start(t)
	spec := f.leechSpec(t)
	to := leech.add(t, spec)
	plain := serve(t, f, 1, nil)
	to.AddPeers([]netip.AddrPort{plain.addr})
	done(t, to)
	if n := plain.count(func(s *server) int {
		return len(slices.DeleteFunc(s.asked, func(m wire.Message) bool { return m.Length == blockLen }))
	}); n != 0 {
		t.Errorf("%d requests were not of 16 KiB", n)
	}

	seed := start(t)
	seed.add(t, f.seedSpec(t))
	p := dialTo(t, seed)
	p.id = peerID(2)
	h := wire.Handshake{InfoHash: f.hash, PeerID: p.id}
	h.Set(wire.Extended)
	p.raw(h.Append(nil))
	p.readHello()
	if m := p.expect(wire.ExtendedMsg); !bytes.Contains(m.Payload, []byte("14:"+keyMaxRequest+"i1048576e")) {
		t.Errorf("extension handshake %q", m.Payload)
	}
	p.send(wire.Message{ID: wire.Interested})
	p.expect(wire.Unchoke)
	p.send(wire.Message{ID: wire.Request, Index: 2, Begin: 0, Length: 1 << 20})
	if m := p.expect(wire.Piece); !bytes.Equal(m.Block, f.data[2<<20:3<<20]) {
		t.Error("wrong block")
	}
}
