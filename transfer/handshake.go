package transfer

import (
	"golang.org/x/sys/unix"

	"chordtorrent/transfer/wire"
)

func (s *swarm) handshake() []byte {
	h := wire.Handshake{InfoHash: s.t.spec.InfoHash, PeerID: s.l.e.cfg.PeerID}
	h.Set(wire.Extended)
	h.Set(wire.Fast)
	return h.Append(nil)
}

// readHandshake reads the handshake of whoever we connected to, and not a byte
// more.
func (c *conn) readHandshake() {
	var room [wire.HandshakeLen]byte
	n, err := unix.Read(c.fd, room[:wire.HandshakeLen-len(c.rest)])
	if n <= 0 {
		c.readFailed(err)
		return
	}
	c.crypt.decrypt(room[:n], nil)
	c.rest = append(c.rest, room[:n]...)
	c.lookAtHandshake()
}

func (c *conn) lookAtHandshake() {
	h, err := wire.ParseHandshake(c.rest)
	switch {
	case err == wire.ErrShortHandshake:
	case err != nil:
		c.drop(notBitTorrent, err)
	case h.InfoHash != c.s.t.spec.InfoHash:
		c.drop(unknownTorrent, nil)
	default:
		behind := c.rest[wire.HandshakeLen:]
		c.rest = nil
		c.greeted(h)
		c.parse(behind)
	}
}

// greeted is called when the peer's handshake is here: who is it, do we want
// it, and what do we say first?
func (c *conn) greeted(h wire.Handshake) {
	s := c.s
	own := s.l.e.cfg.PeerID
	c.peerID = h.PeerID
	switch old := s.byID[h.PeerID]; {
	case h.PeerID == own:
		if c.known != nil {
			c.known.never = "it is this client itself"
		}
		c.drop(selfConnection, nil)
		return
	case s.banned[sourceKey{ip: c.addr.Addr(), id: h.PeerID}]:
		c.drop(bannedPeer, nil)
		return
	case old != nil:
		// Of two connections between the same two peers both ends must close
		// the same one: the one that the larger peer id opened stays, and of
		// two in the same direction the older.
		weAreLarger := string(own[:]) > string(h.PeerID[:])
		if old.outgoing == c.outgoing || c.outgoing != weAreLarger {
			if c.known != nil {
				old.adoptAddress(c.known)
			}
			c.drop(duplicate, nil)
			return
		}
		if old.known != nil {
			c.adoptAddress(old.known)
		}
		old.drop(duplicate, nil)
	}
	s.byID[h.PeerID] = c
	if c.state == greetingBack {
		c.say(s.handshake())
	}
	c.state = open
	c.born, c.heard = s.l.now, s.l.now
	c.from = s.source(c)
	c.bits, c.lead = wire.NewBits(s.have.Len()), -s.have.Count()
	if s.pick != nil {
		s.pick.AddPeer(c.id)
		c.picking = true
	}
	c.startPipeline()
	c.fast = h.Has(wire.Fast)
	s.hide(c)
	c.sayHave()
	if h.Has(wire.Extended) {
		c.sayExtended()
	}
	if s.quest != nil {
		s.quest.met(c, h.Has(wire.Extended))
	}
	if c.shown != nil {
		s.guide(c)
	}
	s.log.Debug("connected", "addr", c.addr, "outgoing", c.outgoing)
}

// adoptAddress notes that the peer of c listens at k, so that it is not dialled
// while c stands.
func (c *conn) adoptAddress(k *candidate) {
	k.conn = c
	k.failures = 0
	if c.known == nil {
		c.known = k
	}
}
