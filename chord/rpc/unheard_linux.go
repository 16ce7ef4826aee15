package rpc

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// endWhenUnheard sets TCP_USER_TIMEOUT (RFC 5482) to unheard, in the form that
// net.Dialer.Control wants. It never fails: where the option is refused, the
// system's patience has to do.
func endWhenUnheard(_, _ string, conn syscall.RawConn) error {
	_ = conn.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unheard.Milliseconds()))
	})
	return nil
}
