package transfer

import (
	"net/netip"

	"chordtorrent/transfer/picker"
)

const (
	maxSources  = 4096 // accounts per torrent that outlive their connections
	maxBanned   = 1 << 16
	maxAttempts = 8 // wrong versions of a piece that are remembered
)

// sourceKey tells peers apart: many share an address, and a peer may come back
// from another port.
type sourceKey struct {
	ip  netip.Addr
	id  [20]byte
	url string // of a web seed, which has neither
}

// source is the account of one peer: what came from it, over all of its
// connections. It outlives them, so that a wrong piece finds its sender; unless nothing
// has come, as anybody can make up a name, or there are too many.
type source struct {
	addr  netip.AddrPort
	id    [20]byte
	url   string // as in sourceKey
	bytes int64  // of blocks that were of use
	gave  bool   // a block has come, whatever it was worth
}

func (src *source) key() sourceKey {
	return sourceKey{ip: src.addr.Addr(), id: src.id, url: src.url}
}

func (s *swarm) source(c *conn) *source {
	fresh := &source{addr: c.addr, id: c.peerID}
	src := s.sources[fresh.key()]
	if src == nil {
		src = fresh
		if len(s.sources) < maxSources {
			s.sources[src.key()] = src
		}
	}
	src.addr = c.addr
	return src
}

// forget closes the account of a connection that has ended, if nothing came over it.
func (s *swarm) forget(src *source) {
	if src != nil && !src.gave && s.sources[src.key()] == src {
		delete(s.sources, src.key())
	}
}

// suspect is a piece that came out wrong with several senders. It is fetched
// again from one peer only: if it is wrong again the liar is known, and if it
// is right, the blocks that were different tell who lied before.
type suspect struct {
	only  picker.PeerID // who may be asked for it
	tries []try
}

// try is one wrong version of a piece.
type try struct {
	digests []uint64
	from    []*source
}

// wrong handles a piece that does not match its hash: all of it is wanted
// again, and its sender, if there is just one, is banned.
func (s *swarm) wrong(h *hashing) {
	piece := h.p.piece
	s.l.counts.wrong.Add(1)
	s.waste(int64(s.pieceSize(piece)))
	s.pick.Failed(piece)
	first, single := h.p.from[0], true
	for _, src := range h.p.from {
		src.bytes -= blockLen
		if src.key() != first.key() {
			single = false
		}
	}
	if single {
		s.ban(first, wrongPiece, "piece", piece)
		if u := s.suspects[piece]; u != nil {
			u.only = picker.None
		}
		s.wakeAll()
		return
	}
	u := s.suspects[piece]
	if u == nil {
		u = &suspect{only: picker.None}
		s.suspects[piece] = u
	}
	if len(u.tries) < maxAttempts {
		u.tries = append(u.tries, try{h.digests, h.p.from})
	}
	u.only = picker.None
	s.log.Warn("piece is wrong and has several senders, fetching it again from one", "piece", piece)
	s.wakeAll()
}

// acquit compares a right piece with its wrong versions.
func (s *swarm) acquit(h *hashing) {
	u := s.suspects[h.p.piece]
	if u == nil {
		return
	}
	delete(s.suspects, h.p.piece)
	liars := make(map[*source]bool)
	for _, t := range u.tries {
		for i, d := range t.digests {
			if src := t.from[i]; d != h.digests[i] {
				liars[src] = true
			}
		}
	}
	for src := range liars {
		s.ban(src, wrongPiece, "piece", h.p.piece)
	}
}

// ban ends all dealings with a peer that sent wrong data: by its IP and peer id
// together and by the address it listens on. Never by its IP alone, behind
// which many may live; nor by the id alone, which it may have from somebody. The log
// says of what, in attributes.
func (s *swarm) ban(src *source, why reason, of ...any) {
	if src.url != "" {
		s.banWeb(src, why, of...)
		return
	}
	if !s.banned[src.key()] { // else for another of its pieces
		s.l.counts.banned.Add(1)
	}
	s.log.Warn("peer is banned: it "+why.String(), append([]any{"addr", src.addr, "peer", hexHash(src.id)}, of...)...)
	if len(s.banned) < maxBanned {
		s.banned[src.key()] = true
	}
	for _, c := range s.conns {
		if c.from != nil && c.from.key() == src.key() {
			if c.known != nil {
				c.known.never = "it " + why.String()
			}
			c.drop(why, nil)
		}
	}
}

// mayAsk tells whether somebody may be asked for a block: anybody, unless its piece is
// under suspicion; then one at a time.
func (s *swarm) mayAsk(id picker.PeerID, b picker.Block) bool {
	u := s.suspects[b.Piece]
	if u == nil {
		return true
	}
	if !s.answers(u.only) {
		u.only = id
	}
	return u.only == id
}

// answers tells whether whoever has this handle can be expected to send what it is
// asked for.
func (s *swarm) answers(id picker.PeerID) bool {
	if c := s.conns[id]; c != nil {
		return !c.chokesUs && !c.snubbed
	}
	return s.webSeed(id) != nil
}
