package trackers

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"
)

const (
	// connectionLife is how long a connection id may be used (BEP 15).
	connectionLife = time.Minute
	// maxConnections bounds the ids that are remembered.
	maxConnections = 1000
	// maxRepeats is the largest n of BEP 15.
	maxRepeats = 8
	// maxPacket is how much of an answer is read: 450 peers with IPv6 addresses.
	maxPacket = 8 << 10
)

var errSilent = errors.New("it does not answer")

// connection is what a UDP tracker gave us to be known by.
type connection struct {
	id    uint64
	until time.Time
}

// askUDP announces by UDP (BEP 15), at all addresses of the tracker's host in turn.
func (c *Client) askUDP(ctx context.Context, u *url.URL, q question) (reply, error) {
	addrs, err := lookUp(ctx, u)
	if err != nil {
		return reply{}, err
	}
	for n := 0; ; {
		at := n % len(addrs)
		r, err := c.exchange(ctx, addrs[at], u, q, c.unit<<n)
		_, refused := errors.AsType[*Refusal](err)
		switch {
		case err == nil || refused:
			return r, err
		case ctx.Err() != nil:
			return reply{}, ctx.Err()
		case !errors.Is(err, os.ErrDeadlineExceeded):
			// Nobody is there, or it speaks another language: asking again is of no use.
			if addrs = slices.Delete(addrs, at, at+1); len(addrs) == 0 {
				return reply{}, err
			}
		case n == maxRepeats:
			return reply{}, errSilent
		default:
			n++
		}
	}
}

// lookUp gives the addresses of a tracker, those of IPv4 first.
func lookUp(ctx context.Context, u *url.URL) ([]netip.AddrPort, error) {
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("%q is no port", u.Port())
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil, err
	}
	var addrs []netip.AddrPort
	for _, ip := range ips {
		addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	slices.SortStableFunc(addrs, func(a, b netip.AddrPort) int { return a.Addr().BitLen() - b.Addr().BitLen() })
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s has no address", u.Hostname())
	}
	return addrs, nil
}

// exchange tries once: it connects, if that was not done within the last minute, and
// announces, and waits so long for each answer.
func (c *Client) exchange(ctx context.Context, addr netip.AddrPort, u *url.URL, q question, wait time.Duration) (reply, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return reply{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	id, known := c.known(addr)
	if !known {
		if id, err = c.connect(conn, addr, wait); err != nil {
			return reply{}, err
		}
	}
	r, err := announce(conn, addr, id, u, q, wait)
	if err != nil {
		c.forget(addr) // perhaps it does not know us by that any more
	}
	if _, refused := errors.AsType[*Refusal](err); refused && known {
		if id, err = c.connect(conn, addr, wait); err == nil {
			r, err = announce(conn, addr, id, u, q, wait)
		}
	}
	return r, err
}

func announce(conn *net.UDPConn, addr netip.AddrPort, id uint64, u *url.URL, q question, wait time.Duration) (reply, error) {
	transaction := randomNumber()
	body, err := roundTrip(conn, announcePacket(id, transaction, u, q), actionAnnounce, transaction, wait)
	if err != nil {
		return reply{}, err
	}
	return parseAnnounce(body, addr.Addr().BitLen()/8)
}

// connect has a tracker give us an id, and remembers it.
func (c *Client) connect(conn *net.UDPConn, addr netip.AddrPort, wait time.Duration) (uint64, error) {
	transaction := randomNumber()
	body, err := roundTrip(conn, connectPacket(transaction), actionConnect, transaction, wait)
	if err != nil {
		return 0, err
	}
	id, err := parseConnect(body)
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.conns) >= maxConnections {
		clear(c.conns) // it costs a packet each
	}
	c.conns[addr] = connection{id: id, until: time.Now().Add(connectionLife)}
	return id, nil
}

func (c *Client) known(addr netip.AddrPort) (uint64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	got, ok := c.conns[addr]
	return got.id, ok && time.Now().Before(got.until)
}

func (c *Client) forget(addr netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, addr)
}

// roundTrip sends a packet and waits for its answer; os.ErrDeadlineExceeded when none comes.
func roundTrip(conn *net.UDPConn, packet []byte, action, transaction uint32, wait time.Duration) ([]byte, error) {
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		return nil, err
	}
	if _, err := conn.Write(packet); err != nil {
		return nil, err
	}
	buf := make([]byte, maxPacket)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		body, err := parsePacket(buf[:n], action, transaction)
		if !errors.Is(err, errStray) {
			return body, err
		}
	}
}

func randomNumber() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint32(b[:])
}
