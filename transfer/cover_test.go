package transfer

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/sys/unix"

	"chordtorrent/transfer/mse"
	"chordtorrent/transfer/wire"
)

const either = mse.Plain | mse.RC4

// hush is a connection behind a covered handshake.
type hush struct {
	net.Conn
	s mse.Session
}

// coverOf makes the handshake over c, reading n bytes at a time.
func coverOf(c net.Conn, hs *mse.Handshake, n int) (*hush, error) {
	var in []byte
	for {
		out, need, err := hs.Step(in)
		if err != nil {
			return nil, err
		}
		if _, err := c.Write(out); err != nil {
			return nil, err
		}
		in = nil
		switch need {
		case mse.Work:
			hs.Compute()
		case mse.Nothing:
			return &hush{c, hs.Session()}, nil
		case mse.Bytes:
			in = make([]byte, n)
			got, err := c.Read(in)
			if err != nil {
				return nil, err
			}
			in = in[:got]
		}
	}
}

func (h *hush) Read(b []byte) (int, error) {
	if n := copy(b, h.s.Rest); n > 0 {
		h.s.Rest = h.s.Rest[n:]
		return n, nil
	}
	n, err := h.Conn.Read(b)
	if h.s.In != nil {
		h.s.In.XORKeyStream(b[:n], b[:n])
	}
	return n, err
}

func (h *hush) Write(b []byte) (int, error) {
	if h.s.Out != nil {
		b = bytes.Clone(b)
		h.s.Out.XORKeyStream(b, b)
	}
	return h.Conn.Write(b)
}

// joinCovered is join by a covered handshake, as peer n.
func joinCovered(t *testing.T, e *engine, f *fixture, n int, provide mse.Method, initial []byte) *testPeer {
	t.Helper()
	p := dialTo(t, e)
	p.id = peerID(n)
	h, err := coverOf(p.Conn, mse.Initiate(f.hash, provide, initial, rand.Reader), 1<<10)
	must(t, err)
	if encrypted := provide == mse.RC4; (h.s.Out != nil) != encrypted {
		t.Fatalf("encrypted: %v", !encrypted)
	}
	p.Conn = h
	return p
}

// get fetches all that f has over p, in requests of that size.
func (p *testPeer) get(f *fixture, size int) {
	p.t.Helper()
	p.send(wire.Message{ID: wire.Interested})
	p.expect(wire.Unchoke)
	for i := range f.layout.NumPieces() {
		for at := 0; at < int(f.layout.PieceSize(i)); at += size {
			p.send(wire.Message{ID: wire.Request, Index: uint32(i), Begin: uint32(at), Length: uint32(min(size, int(f.layout.PieceSize(i))-at))})
		}
	}
	got := 0
	for got < len(f.data) {
		m := p.expect(wire.Piece)
		at := int(m.Index)*int(f.layout.PieceLength) + int(m.Begin)
		if !bytes.Equal(m.Block, f.data[at:at+len(m.Block)]) {
			p.t.Fatalf("wrong block %d+%d of piece %d", m.Begin, len(m.Block), m.Index)
		}
		got += len(m.Block)
	}
}

func TestPeersThatComeCovered(t *testing.T) {
	for name, f := range map[string]*fixture{
		"one file":   makeTorrent(t, 110, 256<<10, 1<<20+12345),
		"many files": makeTorrent(t, 111, 64<<10, 100<<10, 1, 300<<10, 17),
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			from := e.add(t, f.seedSpec(t))
			hello := wire.Handshake{InfoHash: f.hash, PeerID: peerID(1)}.Append(nil)
			early := wire.Message{ID: wire.Interested}.Append(bytes.Clone(hello))
			for i, c := range []struct {
				name    string
				provide mse.Method
				initial []byte // nil: the handshake is said afterwards
			}{
				{"plain text offered", either, hello},
				{"plain text only, nothing initial", mse.Plain, nil},
				{"insists", mse.RC4, hello},
				{"insists, nothing initial", mse.RC4, nil},
				{"insists, with a part of its handshake", mse.RC4, hello[:30]},
				{"plain text, with more than its handshake", mse.Plain, early},
				{"insists, with more than its handshake", mse.RC4, early},
			} {
				t.Run(c.name, func(t *testing.T) {
					p := joinCovered(t, e, f, i, c.provide, c.initial)
					if len(c.initial) < len(hello) {
						p.raw(hello[len(c.initial):])
					}
					if h := p.readHello(); h.InfoHash != f.hash || h.PeerID != e.PeerID() {
						t.Fatalf("handshake %+v", h)
					}
					p.get(f, 50000)
					st := from.Status().Peers
					if len(st) != 1 || st[0].Encrypted != (c.provide == mse.RC4) {
						t.Errorf("%+v", st)
					}
					p.Close()
					until(t, "it to be gone", func() bool { return len(from.Status().Peers) == 0 })
				})
			}
		})
	}
}

func TestCoveredHandshakeByteByByte(t *testing.T) {
	f := makeTorrent(t, 112, 64<<10, 100<<10)
	e := start(t)
	e.add(t, f.seedSpec(t))
	p := dialTo(t, e)
	h, err := coverOf(slowly{p.Conn}, mse.Initiate(f.hash, mse.RC4, nil, rand.Reader), 1)
	must(t, err)
	p.Conn = h
	for _, b := range (wire.Handshake{InfoHash: f.hash, PeerID: peerID(1)}).Append(nil) {
		p.raw([]byte{b})
	}
	p.readHello()
	p.get(f, blockLen)
}

// slowly writes byte by byte.
type slowly struct{ net.Conn }

func (s slowly) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := s.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

func TestCoveredStrangers(t *testing.T) {
	f := makeTorrent(t, 113, 64<<10, 100<<10)
	e := start(t)
	from := e.add(t, f.seedSpec(t))
	key := func() []byte { // step 1, of somebody who says no more
		hs := mse.Initiate(f.hash, mse.RC4, nil, rand.Reader)
		hs.Step(nil)
		hs.Compute()
		out, _, err := hs.Step(nil)
		must(t, err)
		return out
	}
	cases := []struct {
		name string
		why  reason
		do   func(p *testPeer)
		wait time.Duration
	}{
		{"another torrent", unknownTorrent, func(p *testPeer) {
			coverOf(p.Conn, mse.Initiate([20]byte{1}, either, nil, rand.Reader), 1<<10)
		}, 0},
		{"no method", notBitTorrent, func(p *testPeer) {
			coverOf(p.Conn, mse.Initiate(f.hash, 8, nil, rand.Reader), 1<<10)
		}, 0},
		{"a key of zeros", notBitTorrent, func(p *testPeer) { p.raw(make([]byte, 96)) }, 0},
		{"padding without end", notBitTorrent, func(p *testPeer) {
			p.raw(key()[:96])
			_, err := io.ReadFull(p, make([]byte, 96)) // our key: it is past its own
			must(t, err)
			p.raw(make([]byte, 600))
		}, 0},
		{"half a key", handshakeTimeOut, func(p *testPeer) { p.raw(key()[:50]) }, handshakeWithin + time.Second},
		{"a key and no more", handshakeTimeOut, func(p *testPeer) { p.raw(key()) }, handshakeWithin + time.Second},
		{"a key, then it hangs up", closedByPeer, func(p *testPeer) {
			p.raw(key())
			must(t, p.Conn.(*net.TCPConn).CloseWrite())
		}, 0},
		{"nothing behind the cover", handshakeTimeOut, func(p *testPeer) {
			_, err := coverOf(p.Conn, mse.Initiate(f.hash, mse.RC4, nil, rand.Reader), 1<<10)
			must(t, err)
		}, handshakeWithin + time.Second},
		{"something else behind the cover", notBitTorrent, func(p *testPeer) {
			_, err := coverOf(p.Conn, mse.Initiate(f.hash, mse.RC4, []byte("GET / HTTP/1.1\r\n\r\n"), rand.Reader), 1<<10)
			must(t, err)
		}, 0},
		{"another torrent behind the cover", unknownTorrent, func(p *testPeer) {
			_, err := coverOf(p.Conn, mse.Initiate(f.hash, mse.RC4, wire.Handshake{PeerID: peerID(1)}.Append(nil), rand.Reader), 1<<10)
			must(t, err)
		}, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := e.drops[c.why].Load()
			p := dialTo(t, e)
			c.do(p)
			if c.wait > 0 {
				until(t, "the connection", func() bool { return e.loops[0].load.Load()+e.loops[1].load.Load() > 1 })
				e.advance(c.wait)
			}
			p.gone()
			until(t, "the reason "+c.why.String(), func() bool { return e.drops[c.why].Load() == before+1 })
		})
	}
	t.Run("more than it can know to say", func(t *testing.T) {
		// Whether it all comes while the worker has the key, nobody knows; it ends either way.
		p := dialTo(t, e)
		p.Write(append(key()[:96], make([]byte, 64<<10)...))
		p.gone()
	})
	t.Run("ourselves", func(t *testing.T) {
		p := joinCovered(t, e, f, 0, mse.RC4, wire.Handshake{InfoHash: f.hash, PeerID: e.PeerID()}.Append(nil))
		if h := p.readHello(); h.PeerID != e.PeerID() {
			t.Errorf("%+v", h)
		}
		p.gone()
	})
	if st := from.Status(); len(st.Peers) != 0 || from.Err() != nil {
		t.Errorf("%+v %v", st.Peers, from.Err())
	}
}

// insisting stands before a server: it closes what does not begin with a cover,
// and selects what is accepted.
func insisting(t *testing.T, f *fixture, to netip.AddrPort, accept mse.Method) (addr netip.AddrPort, plainCalls func() int) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	named := func(name [20]byte) ([20]byte, bool) { return f.hash, name == mse.Name(f.hash) }
	plain := make(chan struct{}, 1000)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	serve := func(c net.Conn) {
		defer c.Close()
		defer context.AfterFunc(ctx, func() { c.Close() })()
		var first [20]byte
		if _, err := io.ReadFull(c, first[:]); err != nil {
			return
		}
		if string(first[1:]) == "BitTorrent protocol" {
			plain <- struct{}{}
			return
		}
		h, err := coverOf(&hush{c, mse.Session{Rest: first[:]}}, mse.Respond(named, accept, rand.Reader), 1<<10)
		if err != nil {
			return
		}
		behind, err := net.Dial("tcp", to.String())
		if err != nil {
			return
		}
		back := make(chan struct{})
		go func() { defer close(back); io.Copy(h, behind); c.Close() }()
		io.Copy(behind, h)
		behind.Close()
		<-back
	}
	go func() {
		defer close(ended)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			serve(c)
		}
	}()
	t.Cleanup(func() { ln.Close(); cancel(); <-ended })
	return netip.MustParseAddrPort(ln.Addr().String()), func() int { return len(plain) }
}

// Whoever closes at our plain handshake is called with a covered one, and then takes
// part as others do.
func TestPeersThatInsist(t *testing.T) {
	for name, accept := range map[string]mse.Method{"on encryption": mse.RC4, "on a covered handshake": either} {
		t.Run(name, func(t *testing.T) {
			f := makeTorrent(t, 114, 256<<10, 1<<20+77)
			seed, leech := start(t), start(t)
			seed.add(t, f.seedSpec(t))
			at, plainCalls := insisting(t, f, seed.addr(), accept)
			spec := f.leechSpec(t)
			to := leech.add(t, spec)
			to.AddPeers([]netip.AddrPort{at})
			until(t, "the plain call to fail", func() bool { return leech.drops[closedByPeer].Load() == 1 })
			leech.advance(2 * firstBackOff)
			done(t, to)
			f.same(t, spec.Content)
			if n := plainCalls(); n != 1 {
				t.Errorf("%d plain calls", n)
			}
			if st := to.Status(); len(st.From) != 1 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// One that closes at everything is called in both ways in turn.
func TestPlainAndCoveredInTurn(t *testing.T) {
	f := makeTorrent(t, 115, 64<<10, 100<<10)
	e := start(t)
	to := e.add(t, f.leechSpec(t))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	to.AddPeers([]netip.AddrPort{netip.MustParseAddrPort(ln.Addr().String())})
	for i := range 4 {
		c, err := ln.Accept()
		must(t, err)
		first := make([]byte, 20)
		_, err = io.ReadFull(c, first)
		must(t, err)
		if plain := string(first[1:]) == "BitTorrent protocol"; plain != (i%2 == 0) {
			t.Errorf("call %d: plain %v", i, plain)
		}
		c.Close()
		until(t, "the reason", func() bool { return e.drops[closedByPeer].Load() == uint64(i+1) })
		e.advance(lastBackOff * 2)
	}
}

// callInsisting has a torrent call an address as a client would that insists on RC4.
type callInsisting struct {
	t    *Torrent
	fd   int
	addr netip.AddrPort
}

func (a callInsisting) handle(*loop) {
	s := a.t.s
	c := newConn(s, a.fd, a.addr)
	c.outgoing, c.known, c.state = true, s.book.entry(a.addr), covering
	c.known.conn = c
	if s.enter(c) {
		c.cover = &cover{l: c.l, fd: c.fd, owner: c, hs: mse.Initiate(s.t.spec.InfoHash, mse.RC4, s.handshake(), rand.Reader)}
		c.cover.heard(nil)
	}
}

// callEncrypted connects two engines by RC4.
func callEncrypted(t testing.TB, to *Torrent, addr netip.AddrPort) {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	must(t, err)
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	must(t, err)
	fd := -1
	must(t, raw.Control(func(its uintptr) { fd, err = unix.FcntlInt(its, unix.F_DUPFD_CLOEXEC, 0) }))
	must(t, err)
	if !to.l.post(callInsisting{to, fd, addr}) {
		unix.Close(fd)
	}
}

// Two engines with RC4 between them: large requests, both directions, a limit, a disk
// that takes its time.
func TestEncryptedBetweenEngines(t *testing.T) {
	f := makeTorrent(t, 116, 1<<20, 3<<20+4321)
	half := func(from int) *wire.Bits {
		b := wire.NewBits(f.layout.NumPieces())
		for i := from; i < b.Len(); i += 2 {
			b.Set(i)
		}
		return b
	}
	var specs [2]Spec
	var tors [2]*Torrent
	var engines [2]*engine
	for i := range 2 {
		engines[i] = start(t)
		specs[i] = f.leechSpec(t)
		specs[i].Have = half(i)
		for p := i; p < f.layout.NumPieces(); p += 2 {
			at := p << 20
			must(t, specs[i].Content.WritePiece(p, f.data[at:min(at+1<<20, len(f.data))]))
		}
		tors[i] = engines[i].add(t, specs[i])
	}
	engines[0].SetLimits(0, 2<<20) // it waits for room with something encrypted
	callEncrypted(t, tors[0], engines[1].addr())
	until(t, "the connection", func() bool {
		st := tors[1].Status()
		return len(st.Peers) == 1 && st.Peers[0].Encrypted || st.BytesDone == st.BytesTotal
	})
	for i, tor := range tors {
		done(t, tor)
		f.same(t, specs[i].Content)
		if st := tor.Status(); len(st.From) != 1 || st.Wasted != 0 {
			t.Errorf("%+v", st)
		}
	}
}

// No key is made for who has hung up while it waited: to make one needs randomness.
func TestWhoHasGoneCostsNoArithmetic(t *testing.T) {
	v := &cover{hs: mse.Respond(nil, either, iotest.ErrReader(io.EOF))}
	v.leave()
	v.run()
}

func TestEncryptedSlowReaderIsDropped(t *testing.T) {
	f := makeTorrent(t, 117, 1<<20, 16<<20)
	e := start(t)
	from := e.add(t, f.seedSpec(t))
	p := joinCovered(t, e, f, 1, mse.RC4, wire.Handshake{InfoHash: f.hash, PeerID: peerID(1)}.Append(nil))
	p.readHello()
	p.readsNothing(e, from)
}
