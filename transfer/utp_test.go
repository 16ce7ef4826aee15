package transfer

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"
)

// Who tries µTP is told at once that nobody speaks it here; what opens no connection
// gets no answer.
func TestWhoCallsByUTPIsRefusedAtOnce(t *testing.T) {
	// As of libutp: a SYN with the connection id 0xa6b2, sequence number 0x1234.
	syn := []byte{0x41, 2, 0xa6, 0xb2, 1, 2, 3, 4, 0, 0, 0, 0, 0, 4, 0, 0, 0x12, 0x34, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0}
	data := append([]byte{0x01}, syn[1:]...)
	want := []byte{0x31, 0, 0xa6, 0xb2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x12, 0x34}
	for _, c := range []struct{ listen, call netip.Addr }{
		{loopback, loopback}, {netip.Addr{}, loopback}, {netip.Addr{}, netip.IPv6Loopback()},
	} {
		e := start(t, func(cfg *Config) { cfg.Listen = c.listen })
		conn, err := net.Dial("udp", netip.AddrPortFrom(c.call, e.Port()).String())
		must(t, err)
		defer conn.Close()
		must(t, conn.SetDeadline(time.Now().Add(hung)))
		for _, packet := range [][]byte{data, []byte("d1:ad2:id20:"), {}, syn[:19], syn} {
			_, err := conn.Write(packet)
			must(t, err)
		}
		room := make([]byte, 1500)
		n, err := conn.Read(room)
		must(t, err)
		if !bytes.Equal(room[:n], want) {
			t.Errorf("%s: the first answer is %x, for the last packet alone there should be %x", c.call, room[:n], want)
		}
	}
}

// The port of that number may be somebody else's for UDP: peers come by TCP all the same.
func TestAUDPPortThatIsTaken(t *testing.T) {
	first := start(t)
	p := first.Port()
	must(t, first.Close())
	taken, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(first.addr()))
	must(t, err)
	defer taken.Close()
	f := makeTorrent(t, 107, 32<<10, 100<<10)
	e := start(t, func(c *Config) { c.PortMin, c.PortMax = p, p })
	e.add(t, f.seedSpec(t))
	join(t, e, f, 1)
}

// FuzzRefuseUTP: an answer is for the opening of a connection alone, and no longer than it.
func FuzzRefuseUTP(f *testing.F) {
	f.Add([]byte{0x41, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 4, 0, 0})
	f.Add([]byte{0x31, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 4, 0, 0})
	f.Add([]byte{0x41})
	f.Fuzz(func(t *testing.T, packet []byte) {
		reset, ok := refuseUTP(packet)
		if ok && (len(packet) < len(reset) || packet[0] != 0x41 || !bytes.Equal(reset[2:4], packet[2:4])) {
			t.Errorf("%x for %x", reset, packet)
		}
		if _, again := refuseUTP(reset[:]); ok && again {
			t.Error("an answer gets an answer")
		}
	})
}
