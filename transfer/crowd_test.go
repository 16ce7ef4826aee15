package transfer

import (
	"flag"
	"net/netip"
	"testing"

	"chordtorrent/transfer/wire"
)

var crowd = flag.Int("transfer.connections", 500, "how many connections TestManyConnections holds")

// A seed holds thousands of connections that want nothing, for a few KiB each, and
// serves who wants something.
func TestManyConnections(t *testing.T) {
	f := makeTorrent(t, 94, 16<<10, 50*16<<10)
	seed := start(t, func(c *Config) { c.MaxPeers = *crowd + 10 })
	from := seed.add(t, f.seedSpec(t))
	before := liveHeap()
	for i := range *crowd {
		p := dialTo(t, seed)
		p.id = peerID(i)
		p.raw(wire.Handshake{InfoHash: f.hash, PeerID: p.id}.Append(nil))
		p.readHello()
	}
	until(t, "all to be connected", func() bool { return len(from.Status().Peers) == *crowd })
	if each := (liveHeap() - before) / int64(*crowd); each > 16<<10 {
		t.Errorf("%d bytes of the heap for each connection, both ends", each)
	} else {
		t.Logf("%d bytes of the heap for each connection, both ends", each)
	}
	leech := start(t)
	spec := f.leechSpec(t)
	to := leech.add(t, spec)
	to.AddPeers([]netip.AddrPort{seed.addr()})
	done(t, to)
	f.same(t, spec.Content)
	if n := len(from.Status().Peers); n < *crowd {
		t.Errorf("%d connections are left", n)
	}
}
