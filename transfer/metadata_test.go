package transfer

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"chordtorrent/transfer/wire"
)

// metadataTheirs is what a testPeer calls ut_metadata.
const metadataTheirs = 7

// withInfo gives a fixture an info dictionary of so many bytes. Nobody here looks into it.
func (f *fixture) withInfo(size int) []byte {
	info := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size), 7}).Read(info)
	f.hash, f.layout.InfoSize = sha1.Sum(info), size
	return info
}

// joinExtended is joinFast as a peer that speaks the extension protocol, and says x.
func joinExtended(t testing.TB, e *engine, f *fixture, n int, x extended) *testPeer {
	t.Helper()
	return joinFrom(t, e, f, loopback, n, x)
}

// joinFrom is joinExtended from another address of this host.
func joinFrom(t testing.TB, e *engine, f *fixture, from netip.Addr, n int, x extended) *testPeer {
	t.Helper()
	p := dialFrom(t, e, from)
	p.id = peerID(n)
	h := wire.Handshake{InfoHash: f.hash, PeerID: p.id}
	h.Set(wire.Fast)
	h.Set(wire.Extended)
	p.raw(h.Append(nil))
	p.readHello()
	p.introduce(x)
	return p
}

// hears returns what the engine says of itself.
func (p *testPeer) hears() extended {
	p.t.Helper()
	for {
		if m := p.expect(wire.ExtendedMsg); m.Payload[0] == 0 {
			x, err := parseExtended(m.Payload[1:])
			must(p.t, err)
			return x
		}
	}
}

// metadata returns the next message of metadata exchange.
func (p *testPeer) metadata() (metadataMessage, []byte) {
	p.t.Helper()
	for {
		if x := p.expect(wire.ExtendedMsg); x.Payload[0] == metadataTheirs {
			m, part, err := parseMetadata(x.Payload[1:])
			must(p.t, err)
			return m, part
		}
	}
}

// says sends a message of metadata exchange, and a part after it.
func (p *testPeer) says(bencoded string, part []byte) {
	p.t.Helper()
	p.send(wire.Message{ID: wire.ExtendedMsg, Payload: append(append([]byte{metadataID}, bencoded...), part...)})
}

var speaksMetadata = map[string]int{metadataName: metadataTheirs}

func TestTheInfoDictionaryIsGiven(t *testing.T) {
	f := makeTorrent(t, 130, 16<<10, 160<<10)
	info := f.withInfo(20*metadataPart + 100)
	e := start(t)
	spec := f.seedSpec(t)
	var reads atomic.Int32
	spec.Info = func() ([]byte, error) { reads.Add(1); return info, nil }
	e.add(t, spec)
	p := joinExtended(t, e, f, 1, extended{Messages: speaksMetadata})
	if x := p.hears(); x.Messages[metadataName] != metadataID || x.InfoSize != len(info) {
		t.Fatalf("it says %+v", x)
	}
	// All of it is asked for at once, as some clients do, as often as it is given.
	for round := range givenAtMost {
		for part := range 21 {
			p.says("d8:msg_typei0e5:piecei"+strconv.Itoa(part)+"ee", nil)
		}
		var got []byte
		for part := range 21 {
			m, b := p.metadata()
			if m.Type != metadataData || m.Piece != part || m.Total != len(info) {
				t.Fatalf("round %d, part %d: %+v", round, part, m)
			}
			got = append(got, b...)
		}
		if !bytes.Equal(got, info) {
			t.Fatalf("round %d: wrong bytes", round)
		}
	}
	p.says("d8:msg_typei0e5:piecei0ee", nil)
	if m, _ := p.metadata(); m.Type != metadataReject || m.Piece != 0 {
		t.Errorf("and once more: %+v", m)
	}
	if n := reads.Load(); n != 1 {
		t.Errorf("read %d times", n)
	}
	q := joinExtended(t, e, f, 2, extended{Messages: speaksMetadata})
	q.says("d8:msg_typei0e5:piecei21ee", nil)
	if m, _ := q.metadata(); m.Type != metadataReject || m.Piece != 21 {
		t.Errorf("a part that is not there: %+v", m)
	}
	e.advance(keepInfo + time.Second)
	e.advance(time.Second)
	q.says("d8:msg_typei0e5:piecei20ee", nil)
	if m, b := q.metadata(); m.Type != metadataData || !bytes.Equal(b, info[20*metadataPart:]) {
		t.Errorf("the last part: %+v", m)
	}
	if n := reads.Load(); n != 2 {
		t.Errorf("it stayed in memory: read %d times", n)
	}
}

func TestTheInfoDictionaryIsNotGiven(t *testing.T) {
	for _, c := range []struct {
		name   string
		size   bool // is said
		change func(s *Spec)
	}{
		{"nobody has it", false, func(s *Spec) { s.Info = nil }},
		{"the torrent is private", false, func(s *Spec) { s.Private = true }},
		{"it cannot be read", true, func(s *Spec) { s.Info = func() ([]byte, error) { return nil, errors.New("no") } }},
		{"it is that of another version", true, func(s *Spec) { s.Info = func() ([]byte, error) { return []byte("de"), nil } }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := makeTorrent(t, 131, 16<<10, 160<<10)
			info := f.withInfo(1000)
			e := start(t)
			spec := f.seedSpec(t)
			spec.Info = func() ([]byte, error) { return info, nil }
			c.change(&spec)
			e.add(t, spec)
			p := joinExtended(t, e, f, 1, extended{Messages: speaksMetadata})
			if x := p.hears(); (x.InfoSize == len(info)) != c.size {
				t.Errorf("it says %+v", x)
			}
			for range 2 {
				p.says("d8:msg_typei0e5:piecei0ee", nil)
				if m, _ := p.metadata(); m.Type != metadataReject {
					t.Errorf("%+v", m)
				}
			}
		})
	}
}

func TestHostileMetadataMessages(t *testing.T) {
	f := makeTorrent(t, 132, 16<<10, 160<<10)
	info := f.withInfo(1000)
	e := start(t)
	spec := f.leechSpec(t)
	spec.Info = func() ([]byte, error) { return info, nil }
	e.add(t, spec)
	storm := func(bencoded string, part int) []byte {
		m := wire.Message{ID: wire.ExtendedMsg, Payload: append([]byte{metadataID}, bencoded...)}
		m.Payload = append(m.Payload, make([]byte, part)...)
		return bytes.Repeat(m.Append(nil), maxIdle+100)
	}
	for i, c := range []struct {
		name string
		why  reason
		say  []byte
	}{
		{"no dictionary", malformed, storm("8:msg_type", 0)},
		{"a number that is none", malformed, storm("d8:msg_type1:0e", 0)},
		{"requests without end", idleFlood, storm("d8:msg_typei0e5:piecei0ee", 0)},
		{"parts that nobody asked for", idleFlood, storm("d8:msg_typei1e5:piecei0ee", 100)},
		{"types that nobody knows", idleFlood, storm("d8:msg_typei77e5:piecei0ee", 0)},
		{"a message that is too long", tooLong, wire.Message{ID: wire.ExtendedMsg, Payload: make([]byte, maxExtended+1)}.Append(nil)},
		{"handshakes without end", idleFlood, bytes.Repeat(wire.Message{ID: wire.ExtendedMsg, Payload: []byte("\x00de")}.Append(nil), maxIdle+100)},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := e.drops[c.why].Load()
			p := joinExtended(t, e, f, i, extended{})
			p.raw(c.say)
			p.gone()
			until(t, "the reason "+c.why.String(), func() bool { return e.drops[c.why].Load() == before+1 })
		})
	}
}
