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
// to be closed and started again (Again), and is the same member then. An address that was
// given (Bind, Advertise) is never taken for gone.
func (n *Node) Moved() <-chan struct{} { return n.moved }

// addresses are those that this machine has, and the one that others would be told: routed,
// if it is that of the default route.
type addresses struct {
	own     []netip.Addr
	primary netip.Addr
	routed  bool
}

// watchAddress closes moved when that is so, and ends with ctx. A machine that had a default
// route is merely unplugged while it has none: what is left may be the bridge of its
// containers, where nobody finds it.
func (n *Node) watchAddress(ctx context.Context, addr netip.Addr, routed bool, ticks <-chan time.Time, look func() addresses) {
	for agree := 0; agree < movedLooks; {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
		now := look()
		if slices.Contains(now.own, addr) || now.primary.IsLoopback() || routed && !now.routed {
			agree = 0
			continue
		}
		if agree++; agree == movedLooks {
			n.log.Warn("the address that others know this node by is gone from this machine", "addr", addr.String(), "now", now.primary.String())
		}
	}
	close(n.moved)
}

func addressesNow() addresses {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return addresses{primary: loopback} // not known is not gone
	}
	var a addresses
	for _, one := range all {
		if p, err := netip.ParsePrefix(one.String()); err == nil {
			a.own = append(a.own, p.Addr().Unmap())
		}
	}
	a.primary, a.routed = primaryAddress()
	return a
}
