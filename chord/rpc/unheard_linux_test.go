package rpc

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// A partition cannot be made here; that the system was told can be seen.
func TestBothEndsEndWhenUnheard(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	split := Split(ln, nil, nil)
	defer split.Close()
	d := net.Dialer{KeepAliveConfig: keepAlive, Control: endWhenUnheard}
	dialed, err := d.DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer dialed.Close()
	if _, err := dialed.Write([]byte{GossipByte}); err != nil {
		t.Fatal(err)
	}
	accepted, err := split.Gossip().Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	for side, conn := range map[string]net.Conn{"dialed": dialed, "accepted": accepted.(*unread).Conn} {
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var ms int
		var optErr error
		if err := raw.Control(func(fd uintptr) {
			ms, optErr = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		}); err != nil || optErr != nil || ms != int(unheard.Milliseconds()) {
			t.Errorf("%s: %d ms, %v, %v", side, ms, err, optErr)
		}
	}
}
