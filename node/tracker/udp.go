package tracker

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"chordtorrent/communicator"
)

// The packets of BEP 15, numbers big-endian:
//
//	connect    magic u64, action u32, transaction u32                 -> action, transaction, connection id u64
//	announce   connection id, action, transaction, info hash (20), peer id (20), downloaded u64, left u64, uploaded u64,
//	           event u32, IP u32, key u32, num want i32, port u16, options (BEP 41)
//	                                   -> action, transaction, interval u32, leechers u32, seeders u32, peers (6 or 18 each)
//	scrape     connection id, action, transaction, info hashes        -> action, transaction, (seeders, completed, leechers) each
//	error                                                             -> action, transaction, words
const (
	udpMagic = 0x41727101980

	actionConnect  = 0
	actionAnnounce = 1
	actionScrape   = 2
	actionError    = 3

	connectLen  = 16
	announceLen = 98
	maxPacket   = 2048
)

const (
	// idWindow is how long a connection id is given out; it is accepted for as long again.
	idWindow = 2 * time.Minute
	// mostAtOnce bounds the requests that wait for the ring; what comes above that is not
	// answered, and asked again.
	mostAtOnce = 1024
)

// ids makes and checks connection ids without remembering any: an id is a signature of
// the address and the time.
type ids struct{ key [32]byte }

func newIDs() *ids {
	i := &ids{}
	_, _ = rand.Read(i.key[:]) // never fails
	return i
}

func (i *ids) at(from netip.Addr, window int64) uint64 {
	m := hmac.New(sha256.New, i.key[:])
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(window)))
	m.Write(from.AsSlice())
	return binary.BigEndian.Uint64(m.Sum(nil))
}

func (i *ids) make(from netip.Addr, now time.Time) uint64 {
	return i.at(from, now.UnixNano()/int64(idWindow))
}

func (i *ids) check(id uint64, from netip.Addr, now time.Time) bool {
	window := now.UnixNano() / int64(idWindow)
	return id == i.at(from, window) || id == i.at(from, window-1)
}

// ServeUDP answers clients by UDP (BEP 15, 41) until conn is closed; it blocks until then
// and until nothing is under way any more.
func (t *Tracker) ServeUDP(ctx context.Context, conn *net.UDPConn) error {
	ids, turns := newIDs(), make(chan struct{}, mostAtOnce)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	buf := make([]byte, maxPacket)
	for {
		n, at, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading announces by UDP: %w", err)
		}
		from := netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
		if reply := connect(buf[:n], ids, from.Addr(), time.Now()); reply != nil {
			_, _ = conn.WriteToUDPAddrPort(reply, at)
			continue
		}
		select {
		case turns <- struct{}{}:
		default:
			continue
		}
		packet := append([]byte(nil), buf[:n]...)
		wg.Go(func() {
			defer func() { <-turns }()
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			if reply := t.packet(ctx, packet, ids, from.Addr(), time.Now()); reply != nil {
				_, _ = conn.WriteToUDPAddrPort(reply, at) // who has gone asks no more
			}
		})
	}
}

// connect answers the first packet of a client; nil when it is another one.
func connect(b []byte, ids *ids, from netip.Addr, now time.Time) []byte {
	if len(b) < connectLen || binary.BigEndian.Uint64(b) != udpMagic || binary.BigEndian.Uint32(b[8:]) != actionConnect {
		return nil
	}
	out := make([]byte, 0, connectLen)
	out = binary.BigEndian.AppendUint32(out, actionConnect)
	out = append(out, b[12:16]...)
	return binary.BigEndian.AppendUint64(out, ids.make(from, now))
}

// packet answers an announce or a scrape; nil: with nothing. Whoever has no id that was
// given to this address may be somebody else, and gets no more than it sent.
func (t *Tracker) packet(ctx context.Context, b []byte, ids *ids, from netip.Addr, now time.Time) []byte {
	if len(b) < connectLen {
		return nil
	}
	action, transaction := binary.BigEndian.Uint32(b[8:]), b[12:16]
	if !ids.check(binary.BigEndian.Uint64(b), from, now) {
		if reply := udpError(transaction, "connect first"); len(reply) <= len(b) {
			return reply
		}
		return nil
	}
	var reply []byte
	var err error
	switch action {
	case actionAnnounce:
		reply, err = t.udpAnnounce(ctx, b, from)
	case actionScrape:
		reply, err = t.udpScrape(ctx, b)
	default:
		return nil
	}
	if err != nil {
		return udpError(transaction, words(err))
	}
	return reply
}

func udpError(transaction []byte, why string) []byte {
	out := binary.BigEndian.AppendUint32(nil, actionError)
	out = append(out, transaction...)
	return append(out, why...)
}

// udpAnnounce carries out an announce.
func (t *Tracker) udpAnnounce(ctx context.Context, b []byte, from netip.Addr) ([]byte, error) {
	a, path, err := parsePacket(b, t.here(from))
	if err != nil {
		return nil, err
	}
	if err := t.allowed(path); err != nil {
		return nil, err
	}
	s, err := t.enter(ctx, a)
	if err != nil {
		return nil, err
	}
	out := binary.BigEndian.AppendUint32(nil, actionAnnounce)
	out = append(out, b[12:16]...)
	out = binary.BigEndian.AppendUint32(out, uint32(seconds(s.Interval)))
	out = binary.BigEndian.AppendUint32(out, uint32(s.Leechers))
	out = binary.BigEndian.AppendUint32(out, uint32(s.Seeders))
	for _, p := range s.Peers {
		if p.Addr.Addr().Is4() == from.Is4() { // the packet has room for one kind
			out = appendAddr(out, p.Addr)
		}
	}
	return out, nil
}

// parsePacket reads an announce of somebody at an address, and the path that it has as
// an option.
func parsePacket(b []byte, from netip.Addr) (a communicator.Announce, path string, err error) {
	if len(b) < announceLen {
		return a, "", fmt.Errorf("%w: %d bytes instead of %d", errRequest, len(b), announceLen)
	}
	copy(a.InfoHash[:], b[16:])
	copy(a.PeerID[:], b[36:])
	if left := binary.BigEndian.Uint64(b[64:]); left <= 1<<62 {
		a.Left = int64(left)
	} else {
		a.Left = -1 // as some say who do not know
	}
	switch binary.BigEndian.Uint32(b[80:]) {
	case 1:
		a.Event = communicator.Completed
	case 2:
		a.Event = communicator.Started
	case 3:
		a.Event = communicator.Stopped
	}
	switch want := int32(binary.BigEndian.Uint32(b[92:])); {
	case want == 0:
		a.Want = -1
	case want > 0:
		a.Want = min(int(want), mostWanted)
	}
	port := binary.BigEndian.Uint16(b[96:])
	if port == 0 {
		return a, "", fmt.Errorf("%w: the port is 0", errRequest)
	}
	a.Addr = netip.AddrPortFrom(from, port)
	return a, urlData(b[announceLen:]), nil
}

// urlData puts the path and query of BEP 41 together: options of a type, and, for 2, a
// length and so many bytes.
func urlData(b []byte) string {
	var path strings.Builder
	for len(b) > 0 {
		switch b[0] {
		case 0:
			return path.String()
		case 1:
			b = b[1:]
		case 2:
			if len(b) < 2 || len(b) < 2+int(b[1]) {
				return path.String()
			}
			path.Write(b[2 : 2+int(b[1])])
			b = b[2+int(b[1]):]
		default:
			return path.String()
		}
	}
	return path.String()
}

// allowed looks for a passkey, where one is needed.
func (t *Tracker) allowed(path string) error {
	if t.cfg.Passkeys == nil {
		return nil
	}
	if key, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/"); t.cfg.Passkeys.CheckPasskey(key) {
		return nil
	}
	return errPasskey
}

func (t *Tracker) udpScrape(ctx context.Context, b []byte) ([]byte, error) {
	if t.cfg.Passkeys != nil {
		return nil, errPasskey // BEP 15 has no room for one in a scrape
	}
	hashes := b[16:]
	if len(hashes) == 0 || len(hashes)%20 != 0 || len(hashes)/20 > maxScrape {
		return nil, fmt.Errorf("%w: a scrape of %d bytes is not of 1 to %d torrents", errRequest, len(hashes), maxScrape)
	}
	out := binary.BigEndian.AppendUint32(nil, actionScrape)
	out = append(out, b[12:16]...)
	for ; len(hashes) > 0; hashes = hashes[20:] {
		s, _, err := t.look(ctx, [20]byte(hashes[:20]))
		if err != nil {
			return nil, err
		}
		out = binary.BigEndian.AppendUint32(out, uint32(s.Seeders))
		out = binary.BigEndian.AppendUint32(out, 0) // nobody counts them
		out = binary.BigEndian.AppendUint32(out, uint32(s.Leechers))
	}
	return out, nil
}
