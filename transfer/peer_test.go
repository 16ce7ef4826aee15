package transfer

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/anacrolix/torrent/bencode"

	"chordtorrent/transfer/wire"
)

// testPeer is a peer written by hand over a net.Conn: it can lie, stall and
// break every rule.
type testPeer struct {
	t testing.TB
	net.Conn
	id   [20]byte
	have []byte // read and not yet parsed
	lim  wire.Limits
}

func peerID(n int) (id [20]byte) {
	copy(id[:], "-XX0001-test peer ")
	id[18], id[19] = byte(n>>8), byte(n)
	return id
}

// dialTo connects to an engine and says nothing.
func dialTo(t testing.TB, e *engine) *testPeer {
	t.Helper()
	return dialFrom(t, e, loopback)
}

// dialFrom is dialTo from another address of this host.
func dialFrom(t testing.TB, e *engine, from netip.Addr) *testPeer {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	c, err := d.DialContext(t.Context(), "tcp", e.addr().String())
	must(t, err)
	p := &testPeer{t: t, Conn: c, lim: wire.DefaultLimits(1 << 20)}
	t.Cleanup(func() { c.Close() })
	must(t, c.SetDeadline(time.Now().Add(hung)))
	return p
}

// join connects to an engine and exchanges handshakes as peer n.
func join(t testing.TB, e *engine, f *fixture, n int) *testPeer {
	t.Helper()
	p := dialTo(t, e)
	p.id = peerID(n)
	p.hello(f.hash)
	if h := p.readHello(); h.InfoHash != f.hash || h.PeerID != e.PeerID() {
		t.Fatalf("handshake %+v", h)
	}
	return p
}

func (p *testPeer) hello(hash [20]byte) {
	p.t.Helper()
	p.raw(wire.Handshake{InfoHash: hash, PeerID: p.id}.Append(nil))
}

func (p *testPeer) readHello() wire.Handshake {
	p.t.Helper()
	var b [wire.HandshakeLen]byte
	_, err := io.ReadFull(p, b[:])
	must(p.t, err)
	h, err := wire.ParseHandshake(b[:])
	must(p.t, err)
	return h
}

func (p *testPeer) raw(b []byte) {
	p.t.Helper()
	if _, err := p.Write(b); err != nil {
		p.t.Fatalf("peer writes: %v", err)
	}
}

func (p *testPeer) send(ms ...wire.Message) {
	p.t.Helper()
	var b []byte
	for _, m := range ms {
		b = m.Append(b)
	}
	p.raw(b)
}

// introduce sends an extension handshake.
func (p *testPeer) introduce(x extended) {
	p.t.Helper()
	if x.Messages == nil {
		x.Messages = map[string]int{}
	}
	payload, err := bencode.Marshal(x)
	must(p.t, err)
	p.send(wire.Message{ID: wire.ExtendedMsg, Payload: append([]byte{0}, payload...)})
}

// read returns the next message.
func (p *testPeer) read() (wire.Message, error) {
	for {
		m, n, err := wire.Parse(p.have, p.lim)
		if err != nil {
			return m, err
		}
		if n > 0 {
			p.have = p.have[n:]
			return m, nil
		}
		room := make([]byte, 64<<10)
		got, err := p.Read(room)
		p.have = append(p.have[:len(p.have):len(p.have)], room[:got]...)
		if got == 0 && err != nil {
			return m, err
		}
	}
}

// expect reads until a message of the given kind comes.
func (p *testPeer) expect(id wire.MessageID) wire.Message {
	p.t.Helper()
	for {
		m, err := p.read()
		if err != nil {
			p.t.Fatalf("waiting for %v: %v", id, err)
		}
		if m.ID == id {
			return m
		}
	}
}

// gone reads until the engine closes the connection.
func (p *testPeer) gone() {
	p.t.Helper()
	for {
		if _, err := p.read(); err != nil {
			var late net.Error
			if errors.As(err, &late) && late.Timeout() {
				p.t.Fatal("the connection was not closed")
			}
			return
		}
	}
}

// server is a seeder written by hand: it listens, and answers each request
// with what tamper makes of the right block (nil: the right block; a nil
// result: no answer).
type server struct {
	addr   netip.AddrPort
	mu     sync.Mutex
	calls  int
	asked  []wire.Message
	served int
}

func serve(t testing.TB, f *fixture, n int, tamper func(m wire.Message, block []byte) []byte) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := &server{addr: netip.MustParseAddrPort(ln.Addr().String())}
	var wg sync.WaitGroup
	var conns sync.Map
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.calls++
			s.mu.Unlock()
			conns.Store(c, true)
			wg.Go(func() {
				defer c.Close()
				s.talk(&testPeer{t: t, Conn: c, id: peerID(n), lim: wire.DefaultLimits(1 << 20)}, f, tamper)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		conns.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
		wg.Wait()
	})
	return s
}

func (s *server) talk(p *testPeer, f *fixture, tamper func(m wire.Message, block []byte) []byte) {
	var b [wire.HandshakeLen]byte
	if _, err := io.ReadFull(p, b[:]); err != nil {
		return
	}
	out := wire.Handshake{InfoHash: f.hash, PeerID: p.id}.Append(nil)
	out = wire.Message{ID: wire.Bitfield, Bits: f.all().Bytes()}.Append(out)
	out = wire.Message{ID: wire.Unchoke}.Append(out)
	if _, err := p.Write(out); err != nil {
		return
	}
	for {
		m, err := p.read()
		if err != nil {
			return
		}
		if m.ID != wire.Request {
			continue
		}
		at := int64(m.Index)*f.layout.PieceLength + int64(m.Begin)
		block := append([]byte(nil), f.data[at:at+int64(m.Length)]...)
		if tamper != nil {
			block = tamper(m, block)
		}
		s.mu.Lock()
		s.asked = append(s.asked, m)
		if block != nil {
			s.served++
		}
		s.mu.Unlock()
		if block == nil {
			continue
		}
		if _, err := p.Write(wire.Message{ID: wire.Piece, Index: m.Index, Begin: m.Begin, Block: block}.Append(nil)); err != nil {
			return
		}
	}
}

func (s *server) count(what func(*server) int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return what(s)
}
