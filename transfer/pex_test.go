package transfer

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/anacrolix/torrent/bencode"

	"chordtorrent/transfer/wire"
)

// A knows B, C knows B: A and C learn of each other from B, with nobody announcing,
// unless the torrent is private.
func TestPeersTellOfEachOther(t *testing.T) {
	for _, private := range []bool{false, true} {
		t.Run(fmt.Sprint("private ", private), func(t *testing.T) {
			f := makeTorrent(t, 100, 16<<10, 160<<10)
			f.layout.Private = private
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
			if private {
				b.advance(2 * pexEvery)
				if st := ta.Status(); st.Known != 1 {
					t.Errorf("A knows %d addresses", st.Known)
				}
				return
			}
			until(t, "A and C to be connected", func() bool { return len(ta.Status().Peers) == 2 && len(tc.Status().Peers) == 2 })
		})
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
		payload, err := bencode.Marshal(extended{Messages: map[string]int{pexName: 9}, Port: port})
		must(t, err)
		p.send(wire.Message{ID: wire.ExtendedMsg, Payload: append([]byte{0}, payload...)})
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
