package transfer

import (
	"cmp"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"chordtorrent/transfer/mse"
	"chordtorrent/transfer/poller"
	"chordtorrent/transfer/wire"
)

const (
	handshakeWithin = 10 * time.Second
	acceptsATime    = 64
	// Strangers that have connected and not yet said what they want. When there are more,
	// one goes of the address that has most of them.
	maxGreetings = 1000
)

func closeFD(fd int) { unix.Close(fd) }

// lobby is the engine's door, on the first loop: the listener, the handshakes
// that are coming in, and the register of who serves which torrent.
type lobby struct {
	l         *loop
	fd        int
	torrents  map[[20]byte]*Torrent
	names     map[[20]byte]*Torrent // the same, by what a covered handshake calls them
	greetings map[*greeting]struct{}
	perIP     map[netip.Addr]int // greetings from there
	deafUntil time.Time          // no accept before: the process was out of descriptors
}

func (l *loop) openListener(fd int) error {
	l.lobby = &lobby{l: l, fd: fd, torrents: make(map[[20]byte]*Torrent), names: make(map[[20]byte]*Torrent), greetings: make(map[*greeting]struct{}), perIP: make(map[netip.Addr]int)}
	return l.watch(fd, l.lobby, poller.Read)
}

func (b *lobby) busy() bool { return len(b.greetings) > 0 || !b.deafUntil.IsZero() }

// readable accepts whoever waits, a bounded number per turn.
func (b *lobby) readable() {
	for range acceptsATime {
		fd, from, err := accept(b.fd)
		switch {
		case err == nil:
			b.greet(fd, from)
		case again(err):
			return
		case err == unix.ECONNABORTED:
		default:
			// Out of descriptors or memory. The listener stays readable, so
			// without a pause the loop would do nothing but fail here.
			b.l.log.Warn("cannot accept connections, pausing for a second", "err", err)
			b.deafUntil = b.l.now.Add(time.Second)
			b.listenFor(0)
			return
		}
	}
}

func (b *lobby) listenFor(want poller.Interest) {
	if err := b.l.poll.Modify(b.fd, want); err != nil {
		b.l.log.Error("listener", "err", err)
	}
}

func (b *lobby) writable() {}

func (b *lobby) greet(fd int, from netip.AddrPort) {
	g := &greeting{b: b, fd: fd, from: from, until: b.l.now.Add(handshakeWithin)}
	if err := b.l.watch(fd, g, poller.Read); err != nil {
		closeFD(fd)
		b.l.log.Warn("cannot watch a connection", "addr", from, "err", err)
		return
	}
	b.greetings[g] = struct{}{}
	b.perIP[from.Addr()]++
	b.l.load.Add(1)
	if len(b.greetings) > maxGreetings {
		b.idlest().drop(tooManyPeers, nil)
	}
}

// idlest is the oldest greeting of the address that has most of them, one that has said
// nothing if there is any: who fills the room makes it.
func (b *lobby) idlest() *greeting {
	var fullest netip.Addr
	most := 0
	for ip, n := range b.perIP {
		if n > most || n == most && ip.Less(fullest) { // of two with as many, one
			fullest, most = ip, n
		}
	}
	var worst *greeting
	for g := range b.greetings {
		if g.from.Addr() == fullest && (worst == nil || cmp.Or(cmp.Compare(g.said(), worst.said()), g.until.Compare(worst.until)) < 0) {
			worst = g
		}
	}
	return worst
}

func (b *lobby) tick() {
	if !b.deafUntil.IsZero() && !b.l.now.Before(b.deafUntil) {
		b.deafUntil = time.Time{}
		b.listenFor(poller.Read)
	}
	for g := range b.greetings {
		if b.l.now.After(g.until) {
			g.drop(handshakeTimeOut, nil)
		}
	}
}

func (b *lobby) close() {
	for g := range b.greetings {
		g.drop(stopped, nil)
	}
	b.l.forget(b.fd)
}

// named finds the info hash of a torrent by what a covered handshake calls it.
func (b *lobby) named(name [20]byte) (infoHash [20]byte, ok bool) {
	if t := b.names[name]; t != nil {
		return t.spec.InfoHash, true
	}
	return infoHash, false
}

// greeting is a connection whose handshake has not come completely.
type greeting struct {
	b     *lobby
	fd    int
	from  netip.AddrPort
	until time.Time
	got   []byte
	cover *cover // of one that is not plain
	crypt *crypt // what that has led to; nil: plain text
}

// readable reads the handshake and not a byte more: what follows is for the
// loop that gets the descriptor.
func (g *greeting) readable() {
	if g.cover != nil && !g.cover.over.Load() {
		g.cover.readable()
		return
	}
	var room [wire.HandshakeLen]byte
	n, err := unix.Read(g.fd, room[:wire.HandshakeLen-len(g.got)])
	if n <= 0 {
		switch {
		case err != nil && again(err):
		default:
			g.drop(endOf(err), err)
		}
		return
	}
	g.crypt.decrypt(room[:n], nil)
	g.got = append(g.got, room[:n]...)
	g.look()
}

// look is called when more of the handshake is here. What is none may be the
// beginning of a covered one, which looks like nothing.
func (g *greeting) look() {
	h, err := wire.ParseHandshake(g.got)
	switch {
	case err == wire.ErrShortHandshake:
	case err != nil && g.cover == nil:
		g.answerCovered()
	case err != nil:
		g.drop(notBitTorrent, err)
	case g.b.torrents[h.InfoHash] == nil:
		g.drop(unknownTorrent, nil)
	case h.PeerID == g.b.l.e.cfg.PeerID:
		// The other end of this is ours: it must learn whom it has called, or it
		// would call again and again.
		answer := h.Append(nil)
		if g.crypt != nil {
			g.crypt.out.XORKeyStream(answer, answer)
		}
		_, _ = send(g.fd, answer, nil, false)
		g.drop(selfConnection, nil)
	default:
		g.hand(g.b.torrents[h.InfoHash], h)
	}
}

func (g *greeting) writable() {}

// said is 1 when something has come.
func (g *greeting) said() int {
	if len(g.got) > 0 || g.cover != nil {
		return 1
	}
	return 0
}

// hand gives the connection to the loop of its torrent.
func (g *greeting) hand(t *Torrent, h wire.Handshake) {
	g.leave()
	g.b.l.release(g.fd)
	ev := adopt{t: t, fd: g.fd, from: g.from, hello: h, crypt: g.crypt, rest: g.got[wire.HandshakeLen:]}
	if t.l == g.b.l {
		ev.handle(t.l)
	} else if !t.l.post(ev) {
		ev.orphaned()
	}
}

func (g *greeting) drop(why reason, err error) {
	g.leave()
	g.b.l.e.drops.count(why)
	g.b.l.forget(g.fd)
	g.b.l.log.Debug("connection refused", "addr", g.from, "reason", why, "err", err)
}

func (g *greeting) leave() {
	delete(g.b.greetings, g)
	if ip := g.from.Addr(); g.b.perIP[ip] > 1 {
		g.b.perIP[ip]--
	} else {
		delete(g.b.perIP, ip)
	}
	g.cover.leave()
	g.b.l.load.Add(-1)
}

// addTorrent enters a torrent in the register and sends it to its loop.
type addTorrent struct {
	t     *Torrent
	reply chan error
}

func (a addTorrent) handle(l *loop) {
	b := l.lobby
	if b.torrents[a.t.spec.InfoHash] != nil {
		a.reply <- ErrKnown
		return
	}
	best := l.e.loops[0]
	for _, o := range l.e.loops {
		if o.load.Load() < best.load.Load() {
			best = o
		}
	}
	a.t.l = best
	best.load.Add(1)
	b.torrents[a.t.spec.InfoHash] = a.t
	b.names[mse.Name(a.t.spec.InfoHash)] = a.t
	begin := beginTorrent(a)
	if best == l {
		begin.handle(l)
	} else if !best.post(begin) {
		begin.orphaned()
	}
}

func (a addTorrent) orphaned() { a.reply <- ErrClosed }

// dropTorrent takes a torrent that has ended on its loop out of the register.
type dropTorrent struct{ t *Torrent }

func (d dropTorrent) handle(l *loop) {
	delete(l.lobby.torrents, d.t.spec.InfoHash)
	delete(l.lobby.names, mse.Name(d.t.spec.InfoHash))
	d.t.over.fire()
}

func (d dropTorrent) orphaned() { d.t.over.fire() }
