package transfer

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"chordtorrent/transfer/wire"
)

// A seed leaves it to others to come, and calls, once each time it is told of them, those
// who do not.
func TestASeedCallsWhoDoesNotCome(t *testing.T) {
	f := makeTorrent(t, 108, 32<<10, 100<<10)
	e := start(t)
	from := e.add(t, f.seedSpec(t))
	shy := serve(t, f, 1, nil)
	calls := func() int { return shy.count(func(s *server) int { return s.calls }) }
	told := func() {
		from.AddPeers([]netip.AddrPort{shy.addr})
		until(t, "it to have heard", func() bool { return from.Status().Known == 1 }) // it was at rest
	}

	told()
	e.advance(comeWithin - time.Second)
	told() // it does not begin to wait anew
	e.advance(900 * time.Millisecond)
	if n := calls(); n != 0 || len(from.Status().Peers) != 0 {
		t.Fatalf("called %d times before it had time to come", n)
	}
	e.advance(time.Second)
	until(t, "the call", func() bool { return calls() == 1 })
	until(t, "the two seeds to part", func() bool { return len(from.Status().Peers) == 0 })
	e.advance(time.Hour)
	if n := calls(); n != 1 || len(from.Status().Peers) != 0 {
		t.Fatalf("called %d times, though told of it once", n)
	}
	told()
	e.advance(comeWithin + time.Second) // and does not rest before it calls
	until(t, "another call", func() bool { return calls() == 2 })
}

// Who has come, and has said where it listens, is not called.
func TestASeedDoesNotCallWhoHasCome(t *testing.T) {
	f := makeTorrent(t, 109, 32<<10, 100<<10)
	e := start(t)
	from := e.add(t, f.seedSpec(t))
	s := serve(t, f, 1, nil)
	p := join(t, e, f, 1)
	p.send(wire.Message{ID: wire.ExtendedMsg, Payload: fmt.Appendf([]byte{0}, "d1:md1:ai0ee1:pi%dee", s.addr.Port())}, wire.Message{ID: wire.Interested})
	p.expect(wire.Unchoke)
	from.AddPeers([]netip.AddrPort{s.addr})
	e.advance(comeWithin + time.Second)
	e.advance(time.Second)
	if n := s.count(func(s *server) int { return s.calls }); n != 0 || len(from.Status().Peers) != 1 {
		t.Errorf("called %d times, %d connections", n, len(from.Status().Peers))
	}
}

// A seed calls ten of those that do not come, however many a download calls.
func TestASeedCallsTenWhoDoNotCome(t *testing.T) {
	f := makeTorrent(t, 114, 64<<10, 1<<20)
	two := func(cfg *Config) { cfg.Neighbours = 2 }
	seed := start(t, two)
	from := seed.add(t, f.seedSpec(t))
	var addrs []netip.AddrPort
	for range 14 {
		addrs = append(addrs, stuck(t, f.leechSpec(t), two))
	}
	from.AddPeers(addrs)
	until(t, "it to have heard", func() bool { return from.Status().Known == 14 })
	seed.advance(comeWithin + time.Second)
	called := func() int { return len(from.Status().Peers) }
	until(t, "ten to be called", func() bool { return called() >= 10 })
	for range 20 {
		seed.advance(tickEvery)
		if n := called(); n > 10 {
			t.Fatalf("%d are called", n)
		}
	}
}
