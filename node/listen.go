package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// The ports that a node takes the first free one of.
const (
	firstRingPort, lastRingPort = 8000, 8999
	firstHTTPPort, lastHTTPPort = 6969, 7068
)

// ringPort is the node's one port, taken for TCP and UDP.
type ringPort struct {
	tcp  *net.TCPListener
	udp  *net.UDPConn
	port uint16
	host netip.Addr // bound to; unspecified for all interfaces
}

func (r *ringPort) close() {
	_ = r.tcp.Close() // nothing is lost with it
	_ = r.udp.Close()
}

// listenRing takes the ring port: the one that was asked for, else the one of
// last time, else a free one.
func listenRing(bind endpoint, kept uint16) (*ringPort, error) {
	if bind.hasPort && bind.port != 0 {
		r, err := listenBoth(bind, bind.port)
		if err != nil {
			return nil, listenError("ring", bind.at(bind.port), "--bind", err)
		}
		return r, nil
	}
	if kept != 0 {
		if r, err := listenBoth(bind, kept); err == nil {
			return r, nil
		}
	}
	if bind.hasPort {
		return listenAny(bind)
	}
	for port := uint16(firstRingPort); port <= lastRingPort; port++ {
		r, err := listenBoth(bind, port)
		if err == nil {
			return r, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, listenError("ring", bind.at(port), "--bind", err)
		}
	}
	return nil, fmt.Errorf("no port of %d-%d is free for the ring: choose one with --bind host:port", firstRingPort, lastRingPort)
}

// listenAny takes a port that the system chooses for TCP and that is free for
// UDP too, which it need not be.
func listenAny(bind endpoint) (*ringPort, error) {
	var err error
	for range 20 {
		var r *ringPort
		if r, err = listenBoth(bind, 0); err == nil {
			return r, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, listenError("ring", bind.at(0), "--bind", err)
}

func listenBoth(bind endpoint, port uint16) (*ringPort, error) {
	ln, err := net.Listen("tcp", bind.at(port))
	if err != nil {
		return nil, err
	}
	tcp := ln.(*net.TCPListener) // what "tcp" gives
	at := tcp.Addr().(*net.TCPAddr).AddrPort()
	pc, err := net.ListenPacket("udp", bind.at(at.Port()))
	if err != nil {
		_ = tcp.Close() // the error to tell is the first
		return nil, err
	}
	return &ringPort{tcp: tcp, udp: pc.(*net.UDPConn), port: at.Port(), host: at.Addr().Unmap()}, nil
}

func listenError(what, addr, flag string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("cannot listen on %s for %s: another program has this port: stop it, or choose another with %s: %w", addr, what, flag, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("cannot listen on %s for %s: this machine does not have the address: choose one of its own with %s: %w", addr, what, flag, err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("cannot listen on %s for %s: ports below 1024 need privileges: choose another with %s: %w", addr, what, flag, err)
	}
	return fmt.Errorf("cannot listen on %s for %s: correct %s: %w", addr, what, flag, err)
}

// listenHTTP takes the HTTP port: the one that was asked for, or the first
// free one from 6969 on.
func listenHTTP(bind endpoint) (net.Listener, error) {
	return firstFree("http", bind, func(at string) (net.Listener, error) { return net.Listen("tcp", at) })
}

// listenUDP takes the UDP tracker's port, in the same way.
func listenUDP(bind endpoint) (net.PacketConn, error) {
	return firstFree("udp", bind, func(at string) (net.PacketConn, error) { return net.ListenPacket("udp", at) })
}

// firstFree listens for what a flag is named after, at the port that was asked for or
// at the first free one.
func firstFree[T any](what string, bind endpoint, listen func(at string) (T, error)) (T, error) {
	first, last := uint16(firstHTTPPort), uint16(lastHTTPPort)
	if bind.hasPort {
		first, last = bind.port, bind.port
	}
	var none T
	for port := first; port <= last; port++ {
		l, err := listen(bind.at(port))
		if err == nil {
			return l, nil
		}
		if bind.hasPort || !errors.Is(err, syscall.EADDRINUSE) {
			return none, listenError(what, bind.at(port), "--"+what, err)
		}
	}
	return none, fmt.Errorf("no port of %d-%d is free for --%s: choose one with --%[3]s host:port, or --%[3]s off", first, last, what)
}

// reachedAt is what others are told of a listener: on all interfaces it is at the ring's
// address.
func reachedAt(at netip.AddrPort, ring netip.Addr) netip.AddrPort {
	host := at.Addr().Unmap()
	if host.IsUnspecified() {
		host = ring
	}
	return netip.AddrPortFrom(host, at.Port())
}

// advertised finds the address that others reach the ring port at.
func advertised(ctx context.Context, flag string, port *ringPort) (netip.AddrPort, error) {
	if flag != "" {
		e, err := parseEndpoint(flag)
		if err != nil {
			return netip.AddrPort{}, &ConfigError{"advertise", err}
		}
		if e.host == "" {
			return netip.AddrPort{}, &ConfigError{"advertise", fmt.Errorf("%q names no host", flag)}
		}
		addr, err := resolve(ctx, e.host)
		if err != nil {
			return netip.AddrPort{}, &ConfigError{"advertise", err}
		}
		if addr.IsUnspecified() || addr.IsMulticast() {
			return netip.AddrPort{}, &ConfigError{"advertise", fmt.Errorf("nobody can reach %s", addr)}
		}
		if !e.hasPort || e.port == 0 {
			e.port = port.port
		}
		return netip.AddrPortFrom(addr, e.port), nil
	}
	addr := port.host
	if addr.IsUnspecified() {
		addr, _ = primaryAddress()
	}
	return netip.AddrPortFrom(addr, port.port), nil
}

// resolve turns a host into one address, IPv4 if it has one: gossip and the
// members' references carry addresses, not names.
func resolve(ctx context.Context, host string) (netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().WithZone(""), nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs {
		if a.Unmap().Is4() {
			return a.Unmap(), nil
		}
	}
	return addrs[0].WithZone(""), nil // LookupNetIP gives one at least
}

// primaryAddress is this machine's address towards everybody else: that of
// the default route, without one that of the first interface that is up.
// routed tells which of the two.
func primaryAddress() (addr netip.Addr, routed bool) {
	// Connecting a UDP socket sends nothing, it only asks for the route.
	if conn, err := net.Dial("udp4", "192.0.2.1:9"); err == nil {
		addr := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
		_ = conn.Close() // nothing was sent
		if !addr.IsLoopback() && !addr.IsUnspecified() {
			return addr, true
		}
	}
	ifaces, err := net.Interfaces()
	if err != nil {
		return loopback, false
	}
	for _, i := range ifaces {
		if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil {
				addr, _ := netip.AddrFromSlice(ip.IP.To4())
				return addr, false
			}
		}
	}
	return loopback, false
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})
