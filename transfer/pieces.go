package transfer

import (
	"crypto/sha1"
	"hash/maphash"

	"chordtorrent/transfer/picker"
	"chordtorrent/transfer/storage"
)

// partial is a piece that is being fetched, with room for its buffer. A block is either
// missing, being written into the buffer by one connection, or there.
type partial struct {
	piece   int
	buf     []byte    // of pieceSize bytes; nil before the first block arrives
	from    []*source // by block: who sent it; nil: not there
	writer  []*conn   // by block: whose bytes are going there now
	missing int       // blocks that are not there
	writers int       // blocks with a writer
	asks    int       // requests under way for some of it
	hashing bool      // with the workers: nobody writes any more
}

// leastPieces is how many pieces a download may hold whatever the limit of all
// buffers: one that comes, one at the workers, one between. With fewer it would often
// stand still, and with none for ever; of the largest, 16 MiB each, these are 48 MiB.
const leastPieces = 3

// partialOf returns the partial of a piece; when it has none yet it takes room for a
// buffer, and returns nil if there is none to be had.
func (s *swarm) partialOf(piece int) *partial {
	if p := s.partials[piece]; p != nil {
		return p
	}
	// Whole piece lengths even for the last piece, so that buffers are reused.
	few := func() bool { return len(s.partials) < leastPieces }
	room := s.l.e.buffers.take(int(s.geo.PieceLen), few(), s.l)
	if !room && s.dropStranded() {
		room = s.l.e.buffers.take(int(s.geo.PieceLen), few(), s.l)
	}
	if !room {
		return nil
	}
	size := s.pieceSize(piece)
	n := int((size + blockLen - 1) / blockLen)
	p := &partial{piece: piece, from: make([]*source, n), writer: make([]*conn, n), missing: n}
	s.partials[piece] = p
	return p
}

// buffer is where the bytes of the piece go.
func (s *swarm) buffer(p *partial) []byte {
	if p.buf == nil {
		p.buf = s.l.e.buffers.fill(int(s.geo.PieceLen))[:s.pieceSize(p.piece)]
	}
	return p.buf
}

// freeBuffer may be called from a worker, for a piece that is there.
func (s *swarm) freeBuffer(p *partial) {
	s.l.e.buffers.put(int(s.geo.PieceLen), p.buf)
}

// giveBack returns the buffer of a piece of which nothing is there and nothing
// is on its way.
func (s *swarm) giveBack(p *partial) {
	if p.asks == 0 && p.writers == 0 && p.missing == len(p.from) && !p.hashing {
		delete(s.partials, p.piece)
		s.freeBuffer(p)
	}
}

// dropStranded forgets one half-fetched piece that nobody connected has: its
// peers went away, and its buffer is what other pieces wait for. What was there
// of it is fetched again some day; pieces are few enough for that to be rare.
func (s *swarm) dropStranded() bool {
	if !s.bereft {
		return false
	}
	stranded := -1
	for i, p := range s.partials {
		if p.asks == 0 && p.writers == 0 && !p.hashing && s.pick.Availability(i) == 0 && (stranded < 0 || i < stranded) {
			stranded = i
		}
	}
	if stranded < 0 {
		s.bereft = false
		return false
	}
	p := s.partials[stranded]
	s.waste(int64(len(p.from)-p.missing) * blockLen)
	s.pick.Failed(stranded)
	delete(s.partials, stranded)
	s.freeBuffer(p)
	return true
}

// giveBackAll returns the buffers of all pieces that are not at the workers.
func (s *swarm) giveBackAll() {
	s.dropStuck()
	for i, p := range s.partials {
		if !p.hashing {
			s.freeBuffer(p)
			delete(s.partials, i)
		}
	}
}

func (p *partial) got(b picker.Block) bool { return p.from[b.Begin/blockLen] != nil }

func (p *partial) full() bool { return p.missing == 0 }

func blocksOf(in inflow) (first, last int) {
	return int(in.begin / blockLen), int((in.begin + in.size - 1) / blockLen)
}

// claim reserves the range for c to write to; false when a part of it is there
// or being written by somebody else.
func (p *partial) claim(c *conn, in inflow) bool {
	first, last := blocksOf(in)
	for i := first; i <= last; i++ {
		if p.from[i] != nil || p.writer[i] != nil {
			return false
		}
	}
	for i := first; i <= last; i++ {
		p.writer[i] = c
	}
	p.writers += last - first + 1
	return true
}

func (p *partial) unclaim(c *conn, in inflow) {
	first, last := blocksOf(in)
	for i := first; i <= last; i++ {
		if p.writer[i] == c {
			p.writer[i] = nil
			p.writers--
		}
	}
}

func (p *partial) hasAll(in inflow) bool {
	first, last := blocksOf(in)
	for i := first; i <= last; i++ {
		if p.from[i] == nil {
			return false
		}
	}
	return true
}

// push copies a block that came into a lent buffer to its place. Whoever was
// writing there goes on in a buffer of its own.
func (p *partial) push(b picker.Block, data []byte) {
	if w := p.writer[b.Begin/blockLen]; w != nil {
		in := &w.in
		own := make([]byte, in.size)
		copy(own, in.dst)
		in.dst, in.lent = own, true
		p.unclaim(w, *in)
	}
	copy(p.buf[b.Begin:b.Begin+b.Length], data)
}

// put marks a block as there.
func (p *partial) put(b picker.Block, from *source) {
	p.from[b.Begin/blockLen] = from
	p.missing--
	from.bytes += int64(b.Length)
	from.gave = true
}

// hash sends a full piece to the workers.
func (s *swarm) hash(p *partial) {
	if s.halted() {
		return
	}
	p.hashing = true
	s.write(&hashing{s: s, p: p, want: [20]byte(s.t.spec.Layout.PieceHash(p.piece)), trace: s.suspects[p.piece] != nil})
}

// hashing is a piece at the workers, and its result.
type hashing struct {
	s     *swarm
	p     *partial
	want  [20]byte
	trace bool // digests are wanted even if it is right

	hashed  bool // what follows is known
	right   bool
	err     error    // of writing it
	digests []uint64 // by block, of a piece that was or had been wrong
}

var digestSeed = maphash.MakeSeed()

// run is on a worker: it touches nothing of the swarm but what never changes.
func (h *hashing) run() {
	spec := &h.s.t.spec
	buf := h.p.buf
	if !h.hashed {
		h.hashed, h.right = true, sha1.Sum(buf) == h.want
	}
	if h.digests == nil && (h.trace || !h.right) {
		for at := 0; at < len(buf); at += blockLen {
			h.digests = append(h.digests, maphash.Bytes(digestSeed, buf[at:min(at+blockLen, len(buf))]))
		}
	}
	if h.right {
		h.err = spec.content.WritePiece(h.p.piece, buf)
	}
	if !storage.IsFull(h.err) {
		h.s.freeBuffer(h.p)
	}
	if h.right && h.err == nil && spec.OnPiece != nil {
		spec.OnPiece(h.p.piece)
	}
	h.s.l.post(h)
}

// handle is back on the loop.
func (h *hashing) handle(l *loop) {
	s, piece := h.s, h.p.piece
	s.away--
	if storage.IsFull(h.err) {
		s.wait(h)
		if s.halted() {
			s.dropStuck()
		}
		s.checkStopped()
		return
	}
	delete(s.partials, piece)
	switch {
	case h.err != nil:
		s.fail(h.err)
	case h.right:
		s.verified(h)
		s.spaceAgain()
	case !s.halted():
		s.wrong(h)
	}
	s.checkStopped()
}

// verified is a piece that is right and on disk: everybody is told at once.
func (s *swarm) verified(h *hashing) {
	piece := h.p.piece
	s.have.Set(piece)
	s.l.counts.verified.Add(1)
	s.left--
	s.done += int64(s.pieceSize(piece))
	s.pick.Verified(piece)
	s.acquit(h)
	for _, c := range s.conns {
		if c.state == open {
			c.tellHave(piece)
		}
	}
	s.checkDone()
}
