//go:build unix && !linux

package transfer

import (
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The same calls where accept4, MSG_MORE, readv and TCP_INFO are not to be had
// everywhere.

func openSocket(family, kind int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := unix.Socket(family, kind, 0)
	if err != nil {
		return -1, err
	}
	return prepare(fd)
}

func accept(listener int) (int, netip.AddrPort, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, sa, err := unix.Accept(listener)
	if err != nil {
		return -1, netip.AddrPort{}, err
	}
	if fd, err = prepare(fd); err != nil {
		return -1, netip.AddrPort{}, err
	}
	tune(fd)
	return fd, fromSockaddr(sa), nil
}

func prepare(fd int) (int, error) {
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func keepShort(int, bool) {}

func send(fd int, first, then []byte, _ bool) (int, error) {
	if len(first) == 0 {
		first = then
	}
	return unix.Write(fd, first)
}

func sendFile(sock, file int, offset int64, n int) (int, error) {
	sent, err := unix.Sendfile(sock, file, &offset, n)
	if sent > 0 {
		return sent, nil
	}
	return sent, err
}

func receive(fd int, first, then []byte) (int, error) {
	if len(first) > 0 {
		return unix.Read(fd, first)
	}
	return unix.Read(fd, then)
}

// resident: nobody knows, so a worker reads everything first. That is a copy
// more than necessary, and never a loop that waits.
func resident(int, int64, int64) bool { return false }

func willNeed(int, int64, int64) {}

func roundTrip(int) time.Duration { return defaultRoundTrip }

// queued is not known here: all are soon sent to at once.
func queued(int) int { return 0 }
