package discovery

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// nic is a network interface that takes part.
type nic struct {
	net.Interface
	addrs []netip.Addr // without zones, without link-local ones
	v4    netip.Addr   // one of them, to send from
}

func (n nic) loopback() bool { return n.Flags&net.FlagLoopback != 0 }

func (n nic) same(o nic) bool {
	return n.Index == o.Index && n.Name == o.Name && slices.Equal(n.addrs, o.addrs)
}

// has reports whether an address is the interface's own.
func (n nic) has(a netip.Addr) bool {
	return slices.Contains(n.addrs, a) || (n.loopback() && a.IsLoopback())
}

// nics lists the interfaces to use: the one that has bind when that is a
// certain address, otherwise all that are up and can multicast, and loopback.
// Only those with an IPv4 address count.
func nics(bind netip.Addr) ([]nic, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing network interfaces: %w", err)
	}
	var use []nic
	for _, i := range all {
		n, ok := nicOf(i)
		if !ok {
			continue
		}
		if certain(bind) && !n.has(bind) {
			continue
		}
		use = append(use, n)
	}
	return use, nil
}

func nicOf(i net.Interface) (nic, bool) {
	n := nic{Interface: i}
	if i.Flags&net.FlagUp == 0 || i.Flags&(net.FlagMulticast|net.FlagLoopback) == 0 {
		return n, false
	}
	addrs, err := i.Addrs()
	if err != nil {
		return n, false // it went away between two calls
	}
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || prefix.Addr().IsLinkLocalUnicast() {
			continue
		}
		addr := prefix.Addr().Unmap().WithZone("")
		n.addrs = append(n.addrs, addr)
		if addr.Is4() && !n.v4.IsValid() {
			n.v4 = addr
		}
	}
	return n, n.v4.IsValid()
}

func certain(bind netip.Addr) bool { return bind.IsValid() && !bind.IsUnspecified() }

// reachable lists where a member can be reached through an interface, best
// first; none means that it is not announced there. local says whether
// self.Ring is an address of this machine.
func (n nic) reachable(self Self, local bool) []netip.AddrPort {
	canonical := self.Ring.Addr().Unmap()
	var list []netip.Addr
	add := func(a netip.Addr) {
		if a.IsValid() && !a.IsLinkLocalUnicast() && !slices.Contains(list, a) && len(list) < MaxAddrs {
			list = append(list, a)
		}
	}
	switch bind := self.RingBind.Unmap(); {
	case canonical.IsLoopback():
		if n.loopback() {
			add(canonical)
		}
	case n.loopback():
		if local {
			add(canonical)
		}
		if certain(bind) {
			add(bind)
		} else {
			add(n.v4)
		}
	default:
		if n.has(canonical) {
			add(canonical)
		}
		for _, a := range n.addrs {
			if !certain(bind) || a == bind {
				add(a)
			}
		}
	}
	var out []netip.AddrPort
	for _, a := range list {
		out = append(out, netip.AddrPortFrom(a, self.Ring.Port()))
	}
	return out
}
