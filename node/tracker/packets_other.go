//go:build !linux

package tracker

import (
	"net"
	"net/netip"
)

// packets reads and writes UDP packets one by one, where a system has nothing better.
type packets struct {
	conn   *net.UDPConn
	buf    [maxPacket]byte
	answer [maxReply]byte
	n      int
	from   netip.AddrPort
	out    []byte
}

func newPackets(conn *net.UDPConn) (*packets, error) { return &packets{conn: conn}, nil }

func (p *packets) read() (int, error) {
	var err error
	p.out = nil
	if p.n, p.from, err = p.conn.ReadFromUDPAddrPort(p.buf[:]); err != nil {
		return 0, err
	}
	return 1, nil
}

func (p *packets) packet(int) []byte     { return p.buf[:p.n] }
func (p *packets) source(int) [16]byte   { return p.from.Addr().As16() }
func (p *packets) room(int) []byte       { return p.answer[:0] }
func (p *packets) reply(_ int, b []byte) { p.out = b }
func (p *packets) write() {
	if p.out != nil {
		_, _ = p.conn.WriteToUDPAddrPort(p.out, p.from) // who misses it asks again
	}
}

func (p *packets) sender(int) func(b []byte) {
	conn, to := p.conn, p.from
	return func(b []byte) { _, _ = conn.WriteToUDPAddrPort(b, to) }
}
