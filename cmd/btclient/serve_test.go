package main

import (
	"net"
	"net/netip"
	"testing"
)

// at is a listener that has nothing but an address.
type at struct {
	net.Listener
	addr string
}

func (a at) Addr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(a.addr)) }

func TestTheLoginIsPrintedAsOthersReachIt(t *testing.T) {
	ring := netip.MustParseAddr("192.0.2.7")
	for _, c := range []struct {
		listener string
		ring     netip.Addr
		want     string
	}{
		{"198.51.100.1:8780", ring, "198.51.100.1:8780"},
		{"0.0.0.0:8780", ring, "192.0.2.7:8780"},
		{"[::]:8780", ring, "192.0.2.7:8780"},
	} {
		if got := fromOutside(at{addr: c.listener}, c.ring); got != c.want {
			t.Errorf("%s, towards the ring %v: %s, want %s", c.listener, c.ring, got, c.want)
		}
	}
	// Without a ring, or with one on this machine, it is one of this machine's own, if it has any.
	outside := false
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range own {
		p := netip.MustParsePrefix(a.String())
		outside = outside || p.Addr().Is4() && p.Addr().IsGlobalUnicast()
	}
	for _, ring := range []netip.Addr{{}, netip.MustParseAddr("127.0.0.1")} {
		got := netip.MustParseAddrPort(fromOutside(at{addr: "0.0.0.0:8780"}, ring))
		if got.Addr().IsLoopback() == outside || !got.Addr().Is4() || got.Port() != 8780 {
			t.Errorf("towards the ring %v: %v, and this machine has %v", ring, got, own)
		}
	}
}
