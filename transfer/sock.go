//go:build unix

package transfer

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// The few socket calls of the engine, on raw descriptors: the loop owns
// readiness itself, so the sockets must not be in the Go runtime's own poller.
// All of them are non-blocking and closed on exec.

// ErrNoPort is returned by Start when every port of the range is taken.
var ErrNoPort = errors.New("transfer: no free port")

const backlog = 1024

// listenOn opens the one listener at the first free port of [min, max]; with
// both 0 the system chooses. There is no SO_REUSEPORT on it: a port that
// another client holds must be seen as taken. SO_REUSEADDR only forgives
// connections of a former owner that are still being forgotten by the kernel.
//
// Without an address it listens on all: one socket for IPv6 and, mapped, IPv4, so that
// both find the same port. Where the system has no IPv6, or does not map, IPv4 it is.
func listenOn(at func(netip.AddrPort) (int, error), addr netip.Addr, min, max uint16) (fd int, port uint16, err error) {
	if !addr.IsValid() {
		fd, port, err = listenOn(at, netip.IPv6Unspecified(), min, max)
		if err == nil || errors.Is(err, ErrNoPort) {
			return fd, port, err
		}
		addr = netip.IPv4Unspecified()
	}
	for p := int(min); p <= int(max); p++ {
		fd, err = at(netip.AddrPortFrom(addr, uint16(p)))
		if err == nil {
			name, err := unix.Getsockname(fd)
			if err != nil {
				unix.Close(fd)
				return -1, 0, fmt.Errorf("transfer: own address: %w", err)
			}
			return fd, fromSockaddr(name).Port(), nil
		}
		if !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, unix.EACCES) {
			return -1, 0, fmt.Errorf("transfer: listen on %s: %w", netip.AddrPortFrom(addr, uint16(p)), err)
		}
	}
	return -1, 0, fmt.Errorf("%w: %d-%d on %s are all taken; close another client or give a wider range", ErrNoPort, min, max, addr)
}

func listenAt(at netip.AddrPort) (int, error) {
	fd, err := newSocket(at.Addr(), unix.SOCK_STREAM)
	if err != nil {
		return -1, err
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err == nil {
		if err = unix.Bind(fd, toSockaddr(at)); err == nil {
			// Two that bound at the same moment are told apart here.
			err = unix.Listen(fd, backlog)
		}
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// newSocket opens a socket for an address; that for all of IPv6 is for IPv4 too, whatever
// the system's default.
func newSocket(addr netip.Addr, kind int) (int, error) {
	if addr.Is4() {
		return openSocket(unix.AF_INET, kind)
	}
	fd, err := openSocket(unix.AF_INET6, kind)
	if err != nil || addr != netip.IPv6Unspecified() {
		return fd, err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// dial starts a connection. The socket becomes writable when it stands or has
// failed; connectError then tells which.
func dial(to netip.AddrPort) (int, error) {
	fd, err := newSocket(to.Addr(), unix.SOCK_STREAM)
	if err != nil {
		return -1, err
	}
	tune(fd)
	err = unix.Connect(fd, toSockaddr(to))
	if err != nil && err != unix.EINPROGRESS && err != unix.EINTR {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// connectError returns how a connect ended.
func connectError(fd int) error {
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if code != 0 {
		return unix.Errno(code)
	}
	return nil
}

// tune sets up a connection: Nagle's algorithm is off, as the loop batches by
// itself, once a turn; and little waits in the kernel.
func tune(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	keepShort(fd, false)
}

func toSockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16(), ZoneId: zoneIndex(a.Addr().Zone())}
}

func fromSockaddr(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(sa.Addr).Unmap()
		if sa.ZoneId != 0 && addr.Is6() {
			addr = addr.WithZone(zoneName(sa.ZoneId))
		}
		return netip.AddrPortFrom(addr, uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// again reports whether a call on a non-blocking descriptor should be repeated
// later.
func again(err error) bool {
	return err == unix.EAGAIN || err == unix.EINTR
}
