package node

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"
)

const (
	lookAtAddresses = 2 * time.Second
	// movedLooks is how many looks in a row must agree: an interface that is set up
	// anew has no address for a moment, or another one at first.
	movedLooks = 3
)

// Moved is closed when the address that others reach the node at is gone from this
// machine, and another has taken its place, as after a new lease of DHCP or another
// network of a container. What a member is known by cannot change while it runs: it is
// to be closed and started again, and is the same member then. An address that was
// given (Bind, Advertise) is never taken for gone.
func (n *Node) Moved() <-chan struct{} { return n.moved }

// watchAddress closes moved when that is so, and ends with ctx.
func (n *Node) watchAddress(ctx context.Context, addr netip.Addr, ticks <-chan time.Time, look func() (own []netip.Addr, primary netip.Addr)) {
	for agree := 0; agree < movedLooks; {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		own, primary := look()
		if slices.Contains(own, addr) || primary.IsLoopback() {
			agree = 0
			continue
		}
		if agree++; agree == movedLooks {
			n.log.Warn("the address that others know this node by is gone from this machine", "addr", addr.String(), "now", primary.String())
		}
	}
	close(n.moved)
}

// addressesNow gives the addresses of this machine, and the one that others would be told.
func addressesNow() (own []netip.Addr, primary netip.Addr) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, loopback // not known is not gone
	}
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr().Unmap())
		}
	}
	return own, primaryAddress()
}
