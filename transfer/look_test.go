package transfer

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// In a swarm of many addresses a download that keeps one neighbour, a slow one, finds
// another that gives more, and parts with the first.
func TestBetterNeighboursAreFound(t *testing.T) {
	clock := &stoppedClock{at: time.Now()}
	f := makeTorrent(t, 110, 64<<10, 16<<20)
	on := func(cfg *Config) { cfg.now, cfg.Neighbours = clock.now, 1 }
	slow, fast, leech := start(t, on), start(t, on), start(t, on)
	slow.SetLimits(0, 40<<10)
	fast.SetLimits(0, 400<<10)
	slow.add(t, f.seedSpec(t))
	fast.add(t, f.seedSpec(t))
	to := leech.add(t, f.leechSpec(t))
	addrs := []netip.AddrPort{slow.addr(), fast.addr()}
	for i := range smallSwarm { // never called: there are enough of those that answer
		addrs = append(addrs, netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", i+1)))
	}
	to.AddPeers(addrs)
	until(t, "the slow one to be left", func() bool {
		clock.advance(50 * time.Millisecond)
		to.Status()
		return leech.drops[notTheBest].Load() == 1
	})
	st := to.Status()
	if len(st.Peers) != 1 || st.Peers[0].PeerID != fast.PeerID() {
		t.Errorf("left is %+v", st.Peers)
	}
	sound(t, to)
}
