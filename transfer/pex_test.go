package transfer

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/anacrolix/torrent/bencode"

	"chordtorrent/transfer/wire"
)

// A knows B, C knows B: A and C learn of each other from B, with nobody announcing.
func TestPeersTellOfEachOther(t *testing.T) {
	f := makeTorrent(t, 100, 16<<10, 160<<10)
	a, b, c := start(t), start(t), start(t)
	ta, tb, tc := a.add(t, f.leechSpec(t)), b.add(t, f.leechSpec(t)), c.add(t, f.leechSpec(t))
	ta.AddPeers([]netip.AddrPort{b.addr()})
	tc.AddPeers([]netip.AddrPort{b.addr()})
	until(t, "both to be connected to B", func() bool {
		st := tb.Status()
		return len(st.Peers) == 2 && st.Peers[0].Listen.IsValid() && st.Peers[1].Listen.IsValid()
	})
	b.advance(pexFirst)
	b.advance(time.Second)
	until(t, "A and C to be connected", func() bool { return len(ta.Status().Peers) == 2 && len(tc.Status().Peers) == 2 })
}

// Whom a private torrent calls comes from its announcer, and it tells nobody of others
// (BEP 27).
func TestPrivateTorrents(t *testing.T) {
	f := makeTorrent(t, 102, 16<<10, 160<<10)
	a, b := start(t), start(t)
	ofB := f.leechSpec(t)
	ofB.Private = true
	tb := b.add(t, ofB)
	f.layout.Private = true
	ofA, trackers := f.leechSpec(t), &announcer{calls: make(chan Progress, 10)}
	trackers.answer = func(Progress) (Answer, error) {
		return Answer{Peers: []netip.AddrPort{b.addr()}, Interval: time.Hour}, nil
	}
	ofA.Announcer = trackers
	ta := a.add(t, ofA)
	tb.AddPeers([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")})
	c := joinExtended(t, b, f, 1, extended{Messages: map[string]int{pexName: 9, metadataName: 8}, Port: 1001})
	if x := c.hears(); len(x.Messages) != 0 {
		t.Errorf("it speaks %v", x.Messages)
	}
	c.send(wire.Message{ID: wire.ExtendedMsg, Payload: []byte("\x01d5:added6:\x7f\x00\x00\x01\x03\xe97:added.f1:\x10e")})
	until(t, "both to be connected to B", func() bool { return len(tb.Status().Peers) == 2 && len(ta.Status().Peers) == 1 })
	b.advance(pexFirst)
	b.advance(2 * pexEvery)
	c.send(wire.Message{ID: wire.Interested})
	c.send(wire.Message{ID: wire.Have, Index: 1})
	for m := c.next(); m.ID != wire.Interested; m = c.next() {
		if m.ID == wire.ExtendedMsg {
			t.Errorf("it tells %q", m.Payload)
		}
	}
	if st := tb.Status(); st.Known != 0 {
		t.Errorf("B knows %d addresses", st.Known)
	}
	if st := ta.Status(); st.Known != 1 {
		t.Errorf("A knows %d addresses", st.Known)
	}
}

// What a peer tells is who came and who went since it told last, once in a minute.
func TestOnlyChangesAreTold(t *testing.T) {
	f := makeTorrent(t, 101, 16<<10, 160<<10)
	e := start(t)
	tor := e.add(t, f.leechSpec(t))
	hear := func(p *testPeer) (m pexMessage) {
		t.Helper()
		for {
			x := p.expect(wire.ExtendedMsg)
			if x.Payload[0] == 9 {
				must(t, bencode.Unmarshal(x.Payload[1:], &m))
				return m
			}
		}
	}
	listens := func(p *testPeer, port int) {
		p.introduce(extended{Messages: map[string]int{pexName: 9}, Port: port})
	}
	a, b := joinFast(t, e, f, 1), joinFast(t, e, f, 2)
	listens(a, 1001)
	listens(b, 1002)
	until(t, "both ports to be known", func() bool { return tor.Status().Known == 2 })
	e.advance(pexFirst)
	e.advance(time.Second)
	if m := hear(a); string(m.Added) != "\x7f\x00\x00\x01\x03\xea" || len(m.AddedF) != 1 || len(m.Dropped) != 0 {
		t.Errorf("%+v", m)
	}
	b.Close()
	until(t, "b to be gone", func() bool { return len(tor.Status().Peers) == 1 })
	c := joinFast(t, e, f, 3)
	listens(c, 1003)
	until(t, "c's port to be known", func() bool { return tor.Status().Known == 3 })
	e.advance(pexEvery)
	if m := hear(a); string(m.Added) != "\x7f\x00\x00\x01\x03\xeb" || string(m.Dropped) != "\x7f\x00\x00\x01\x03\xea" {
		t.Errorf("%+v", m)
	}
}

// Addresses of both families are told, and what is known of their peers; those that
// mean nothing elsewhere are not.
func TestWhatIsToldOfPeers(t *testing.T) {
	f := makeTorrent(t, 103, 16<<10, 160<<10)
	e := start(t)
	tor := e.add(t, f.leechSpec(t))
	from := func(addr string, n int, x extended, first wire.MessageID) *testPeer {
		t.Helper()
		ours, c := socketPair(t)
		t.Cleanup(func() { c.Close() })
		h := wire.Handshake{InfoHash: f.hash, PeerID: peerID(n)}
		h.Set(wire.Fast)
		h.Set(wire.Extended)
		tor.l.post(adopt{t: tor, fd: ours, from: netip.MustParseAddrPort(addr), hello: h})
		p := &testPeer{t: t, Conn: c, lim: wire.DefaultLimits(100)}
		p.readHello()
		p.send(wire.Message{ID: first})
		p.introduce(x)
		return p
	}
	told := from("192.0.2.1:50000", 1, extended{Messages: map[string]int{pexName: 9}}, wire.HaveNone)
	from("192.0.2.2:50000", 2, extended{Port: 1002}, wire.HaveAll)
	from("[2001:db8::3]:50000", 3, extended{Port: 1003, UploadOnly: new(1)}, wire.HaveNone)
	from("[2001:db8::4]:50000", 4, extended{Port: 1004}, wire.HaveNone)
	from("[fe80::5%lo]:50000", 5, extended{Port: 1005}, wire.HaveNone)
	from("127.0.0.1:50000", 6, extended{Port: 1006}, wire.HaveNone)
	until(t, "their ports to be known", func() bool { return tor.Status().Known == 5 })
	e.advance(pexFirst)
	e.advance(time.Second)
	var m pexMessage
	for m.Added == nil {
		if x := told.expect(wire.ExtendedMsg); x.Payload[0] == 9 {
			must(t, bencode.Unmarshal(x.Payload[1:], &m))
		}
	}
	if want := appendCompact(nil, netip.MustParseAddrPort("192.0.2.2:1002")); string(m.Added) != string(want) || string(m.AddedF) != "\x02" {
		t.Errorf("added %q with %q", m.Added, m.AddedF)
	}
	three := string(appendCompact(nil, netip.MustParseAddrPort("[2001:db8::3]:1003")))
	four := string(appendCompact(nil, netip.MustParseAddrPort("[2001:db8::4]:1004")))
	if got, flags := string(m.Added6), string(m.Added6F); (got != three+four || flags != "\x02\x00") && (got != four+three || flags != "\x00\x02") {
		t.Errorf("added6 %q with %q", got, flags)
	}

	known := tor.Status().Known
	list := appendCompact(appendCompact(nil, netip.MustParseAddrPort("[2001:db8::7]:1007")), netip.MustParseAddrPort("[fe80::8]:1008"))
	list = appendCompact(appendCompact(list, netip.MustParseAddrPort("[::ffff:127.0.0.1]:1009")), netip.MustParseAddrPort("[::]:1010"))
	payload, err := bencode.Marshal(pexMessage{Added6: list})
	must(t, err)
	told.send(wire.Message{ID: wire.ExtendedMsg, Payload: append([]byte{pexID}, payload...)})
	until(t, "the one that can be called to be known", func() bool { return tor.Status().Known > known })
	if got := tor.Status().Known; got != known+1 {
		t.Errorf("%d of them are known", got-known)
	}
}

// A peer that says a string has 128 MiB does not make us set them aside.
func TestALengthIsNotBelieved(t *testing.T) {
	for _, payload := range []string{"d1:v99999999:", "d5:added99999999:", "99999999:"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := parseExtended([]byte(payload)); err == nil {
			t.Errorf("%q is taken for a handshake", payload)
		}
		if _, err := parsePex([]byte(payload)); err == nil {
			t.Errorf("%q is taken for a list of peers", payload)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
			t.Errorf("%q costs %d bytes", payload, got)
		}
	}
}
