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
	trackers.answer = func(Progress) (Answer, error) { return Answer{Peers: []netip.AddrPort{b.addr()}, Interval: time.Hour}, nil }
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
