package transfer

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

func tcpSocket(family int) (int, error) {
	return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

func accept(listener int) (int, netip.AddrPort, error) {
	fd, sa, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return -1, netip.AddrPort{}, err
	}
	noDelay(fd)
	return fd, fromSockaddr(sa), nil
}

// send writes small bytes. With more set the kernel keeps them back until the
// block that follows by sendFile, so that a header costs no packet of its own.
func send(fd int, b []byte, more bool) (int, error) {
	flags := unix.MSG_NOSIGNAL
	if more {
		flags |= unix.MSG_MORE
	}
	return unix.SendmsgN(fd, b, nil, nil, flags)
}

// sendFile moves up to n bytes from a file to a socket inside the kernel.
func sendFile(sock, file int, offset int64, n int) (int, error) {
	return unix.Sendfile(sock, file, &offset, n)
}

// receive reads into first and, when that is full, into then, in one call.
func receive(fd int, first, then []byte) (int, error) {
	if len(first) == 0 {
		return unix.Read(fd, then)
	}
	if len(then) == 0 {
		return unix.Read(fd, first)
	}
	iov := [2][]byte{first, then}
	return unix.Readv(fd, iov[:])
}

// roundTrip is the kernel's smoothed measure of the connection.
func roundTrip(fd int) time.Duration {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return defaultRoundTrip
	}
	return time.Duration(info.Rtt) * time.Microsecond
}
