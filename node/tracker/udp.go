package tracker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
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
	maxReply    = 1024 // the longest has 50 peers of 18 bytes, or 74 torrents of 12
)

const (
	// mostAtOnce bounds the requests that wait for the ring; what comes above that is not
	// answered, and asked again.
	mostAtOnce = 1024
	// socketBuffer holds what comes while the readers are at work.
	socketBuffer = 4 << 20
)

// ServeUDP answers clients by UDP (BEP 15, 41) until conn is closed; it blocks until then
// and until nothing is under way any more.
func (t *Tracker) ServeUDP(ctx context.Context, conn *net.UDPConn) error {
	_ = conn.SetReadBuffer(socketBuffer) // less will do
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	base, turns := newIDs(), make(chan struct{}, mostAtOnce)
	var wg, waiting sync.WaitGroup
	readers := runtime.GOMAXPROCS(0)
	errs := make([]error, readers)
	for i := range readers {
		wg.Go(func() {
			p, err := newPackets(conn)
			if err == nil {
				r := &udpReader{t: t, packets: p, ids: base.clone(), turns: turns, waiting: &waiting}
				err = r.run(ctx)
			}
			errs[i] = err
			_ = conn.Close() // if one ends all do
		})
	}
	wg.Wait()
	cancel()
	waiting.Wait()
	return errors.Join(errs...)
}

// udpReader answers packets, many at a time; each reader has a goroutine.
type udpReader struct {
	t       *Tracker
	packets *packets
	ids     *ids
	x       exchange
	turns   chan struct{} // of requests that wait for the ring
	waiting *sync.WaitGroup
}

func (r *udpReader) run(ctx context.Context) error {
	for {
		n, err := r.packets.read()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading announces by UDP: %w", err)
		}
		now := r.t.view.now()
		r.ids.turn(now)
		for i := range n {
			b, ip := r.packets.packet(i), r.packets.source(i)
			reply, later := r.t.packet(b, &ip, r.ids, &r.x, now, r.packets.room(i))
			switch {
			case later:
				r.wait(ctx, i, b)
			case len(reply) > 0:
				r.packets.reply(i, reply)
			}
		}
		r.packets.write()
	}
}

// wait answers a packet when the ring has been asked.
func (r *udpReader) wait(ctx context.Context, i int, b []byte) {
	select {
	case r.turns <- struct{}{}:
	default:
		r.t.counts.busy.Add(1)
		return
	}
	packet, ip, send := append([]byte(nil), b...), r.packets.source(i), r.packets.sender(i)
	r.waiting.Go(func() {
		defer func() { <-r.turns }()
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		send(r.t.packetLater(ctx, packet, &ip))
	})
}

// packet answers a packet of somebody at an address, appending to out; later means that the
// ring has to be asked first, and nothing that there is nothing to say. Whoever has no id
// that was given to this address may be somebody else, and gets no more than it sent.
func (t *Tracker) packet(b []byte, ip *[16]byte, ids *ids, x *exchange, now time.Time, out []byte) (reply []byte, later bool) {
	if len(b) < connectLen {
		t.counts.short.Add(1)
		return nil, false
	}
	id, action, transaction := binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]), b[12:16]
	if id == udpMagic && action == actionConnect {
		out = binary.BigEndian.AppendUint32(out, actionConnect)
		out = append(out, transaction...)
		return binary.BigEndian.AppendUint64(out, ids.make(ip)), false
	}
	if !ids.check(id, ip) {
		t.counts.unconnected.Add(1)
		if out = udpError(out, transaction, "connect first"); len(out) <= len(b) {
			return out, false
		}
		return nil, false
	}
	cost := 1
	if action == actionScrape { // of each torrent as an announce
		cost = min(max((len(b)-connectLen)/20, 1), maxScrape)
	}
	if !t.sources.mayAsk(ip, now.UnixMilli(), cost) {
		t.counts.tooFast.Add(1)
		return udpError(out, transaction, errTooFast.Error()), false
	}
	switch action {
	case actionAnnounce:
		known, err := false, t.parsePacket(b, ip, &x.ask)
		if err == nil {
			x.answer.peers = x.answer.peers[:0]
			known, err = t.view.announce(&x.ask, &x.answer, now)
		}
		switch {
		case err != nil:
			t.counts.refused(err)
			return udpError(out, transaction, words(err)), false
		case !known:
			return nil, true
		}
		t.counts.udp.Add(1)
		return udpAnswer(out, transaction, &x.answer), false
	case actionScrape:
		out, known, err := t.udpScrape(b, out, func(hash [20]byte) (census, bool, error) {
			c, ok := t.view.count(hash)
			return c, ok, nil
		})
		if err != nil {
			t.counts.refused(err)
			return udpError(out, transaction, words(err)), false
		}
		return out, !known
	}
	t.counts.unknown.Add(1)
	return nil, false
}

// packetLater answers a packet that packet could not, and waits for the ring.
func (t *Tracker) packetLater(ctx context.Context, b []byte, ip *[16]byte) []byte {
	var x exchange
	var err error
	var out []byte
	if binary.BigEndian.Uint32(b[8:]) == actionScrape {
		out, _, err = t.udpScrape(b, nil, func(hash [20]byte) (census, bool, error) {
			c, err := t.look(ctx, ip, hash)
			return c, true, err
		})
	} else if err = t.parsePacket(b, ip, &x.ask); err == nil {
		if err = t.enter(ctx, &x.ask, &x.answer, t.view.now()); err == nil {
			t.counts.udp.Add(1)
			out = udpAnswer(nil, b[12:16], &x.answer)
		}
	}
	if err != nil {
		t.counts.refused(err)
		return udpError(nil, b[12:16], words(err))
	}
	return out
}

func udpError(out, transaction []byte, why string) []byte {
	out = binary.BigEndian.AppendUint32(out, actionError)
	out = append(out, transaction...)
	return append(out, why...)
}

// udpAnswer writes the answer to an announce, whose peers are of one kind.
func udpAnswer(out, transaction []byte, a *answer) []byte {
	out = binary.BigEndian.AppendUint32(out, actionAnnounce)
	out = append(out, transaction...)
	out = binary.BigEndian.AppendUint32(out, uint32(seconds(a.interval)))
	out = binary.BigEndian.AppendUint32(out, uint32(a.leechers))
	out = binary.BigEndian.AppendUint32(out, uint32(a.seeders))
	for i := range a.peers {
		out = a.peers[i].appendTo(out)
	}
	return out
}

// parsePacket reads an announce of somebody at an address, who must have the passkey of a
// closed ring in its options.
func (t *Tracker) parsePacket(b []byte, ip *[16]byte, a *announce) error {
	if len(b) < announceLen {
		return fmt.Errorf("%w: %d bytes instead of %d", errRequest, len(b), announceLen)
	}
	*a = announce{infoHash: [20]byte(b[16:]), peerID: [20]byte(b[36:]), ip: *ip, port: binary.BigEndian.Uint16(b[96:]), left: -1, want: mostWanted, family: 6}
	if is4(ip) {
		a.family = 4
	}
	if t.cfg.Local.IsValid() {
		a.ip = t.here(netip.AddrFrom16(*ip).Unmap()).As16()
	}
	if left := binary.BigEndian.Uint64(b[64:]); left <= 1<<62 {
		a.left = int64(left) // others do not know, and say -1
	}
	switch binary.BigEndian.Uint32(b[80:]) {
	case 1:
		a.event = communicator.Completed
	case 2:
		a.event = communicator.Started
	case 3:
		a.event = communicator.Stopped
	}
	if want := int32(binary.BigEndian.Uint32(b[92:])); want >= 0 {
		a.want = min(int(want), mostWanted)
	}
	if a.port == 0 {
		return fmt.Errorf("%w: the port is 0", errRequest)
	}
	if t.cfg.Passkeys == nil {
		return nil
	}
	if key, _, _ := strings.Cut(strings.TrimPrefix(urlData(b[announceLen:]), "/"), "/"); t.cfg.Passkeys.CheckPasskey(key) {
		return nil
	}
	return errPasskey
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
