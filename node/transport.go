package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"chordtorrent/chord/rpc"
)

// gossipTransport carries memberlist over the node's one port: its packets
// over UDP, its streams over what rpc.Splitter hands to gossip.
type gossipTransport struct {
	log       *slog.Logger
	udp       *net.UDPConn
	ln        net.Listener
	advertise netip.AddrPort

	packets chan *memberlist.Packet
	streams chan net.Conn
	foreign atomic.Uint64 // packets that are no gossip

	ctx    context.Context // ends with Shutdown
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

var _ memberlist.NodeAwareTransport = (*gossipTransport)(nil)

// newGossipTransport begins to receive. It owns udp and ln from now on.
func newGossipTransport(udp *net.UDPConn, ln net.Listener, advertise netip.AddrPort, log *slog.Logger) *gossipTransport {
	t := &gossipTransport{
		log: log, udp: udp, ln: ln, advertise: advertise,
		packets: make(chan *memberlist.Packet, 64),
		streams: make(chan net.Conn),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	// A burst of gossip about many members should wait rather than be lost.
	_ = udp.SetReadBuffer(1 << 20) // the system's limit may be lower: it is a wish
	t.wg.Go(t.receive)
	t.wg.Go(t.accept)
	return t
}

func (t *gossipTransport) receive() {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := t.udp.ReadFromUDPAddrPort(buf)
		now := time.Now()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			t.log.Debug("cannot receive gossip", "err", err)
			select {
			case <-t.ctx.Done():
				return
			case <-time.After(10 * time.Millisecond): // an error that stays must not spin
			}
			continue
		}
		if n == 0 || buf[0] != rpc.GossipByte {
			t.foreign.Add(1)
			continue
		}
		p := &memberlist.Packet{
			Buf:       append([]byte(nil), buf[:n]...),
			From:      net.UDPAddrFromAddrPort(netip.AddrPortFrom(from.Addr().Unmap(), from.Port())),
			Timestamp: now,
		}
		select {
		case t.packets <- p:
		case <-t.ctx.Done():
			return
		}
	}
}

func (t *gossipTransport) accept() {
	for {
		conn, err := t.ln.Accept()
		if err != nil {
			return // the splitter ends its branches when it closes, and retries what can be
		}
		select {
		case t.streams <- t.bound(conn):
		case <-t.ctx.Done():
			_ = conn.Close() // nobody will serve it
			return
		}
	}
}

// bound makes a stream end with the transport, so that a silent peer does not
// hold up Shutdown.
func (t *gossipTransport) bound(conn net.Conn) net.Conn {
	return &boundConn{Conn: conn, stop: context.AfterFunc(t.ctx, func() { _ = conn.Close() })}
}

type boundConn struct {
	net.Conn
	stop func() bool
}

func (c *boundConn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (t *gossipTransport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return net.IP(t.advertise.Addr().AsSlice()), int(t.advertise.Port()), nil
}

// WriteTo implements memberlist.Transport.
func (t *gossipTransport) WriteTo(b []byte, addr string) (time.Time, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return time.Time{}, fmt.Errorf("gossip packet: %w", err)
	}
	_, err = t.udp.WriteToUDPAddrPort(b, to)
	return time.Now(), err
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (t *gossipTransport) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	return t.WriteTo(b, addr.Addr)
}

// PacketCh implements memberlist.Transport.
func (t *gossipTransport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// DialTimeout implements memberlist.Transport.
func (t *gossipTransport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return t.bound(conn), nil
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *gossipTransport) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.DialTimeout(addr.Addr, timeout)
}

// StreamCh implements memberlist.Transport.
func (t *gossipTransport) StreamCh() <-chan net.Conn { return t.streams }

// Shutdown implements memberlist.Transport: it closes everything and waits
// until nothing is received any more.
func (t *gossipTransport) Shutdown() error {
	t.cancel()
	err := errors.Join(t.udp.Close(), t.ln.Close())
	t.wg.Wait()
	return err
}
