package transfer

import (
	"time"

	"chordtorrent/transfer/picker"
)

// webPiece is a piece of which a request brings something.
type webPiece struct {
	p    *partial
	left int // blocks that are to come
}

// webFetch is a request for blocks. left, pieces and the times belong to the loop.
type webFetch struct {
	w      *webSeed
	left   []picker.Block // that are to come, in this order
	pieces map[int]*webPiece
	began  time.Time
	heard  time.Time
	got    int64

	measured time.Time // since when its rate is measured
	readThen int64     // read, at that time

	fetcher
}

func (f *webFetch) add(b picker.Block, p *partial) {
	f.left = append(f.left, b)
	m := f.pieces[b.Piece]
	if m == nil {
		m = &webPiece{p: p}
		f.pieces[b.Piece] = m
		p.asks++
	}
	m.left++
}

// take notes the next blocks, whose bytes are in data.
func (f *webFetch) take(n int, data []byte) {
	s := f.w.s
	f.heard = s.l.now
	f.got += int64(len(data))
	f.w.down.add(len(data))
	s.came(len(data))
	f.w.failures, f.w.trouble = 0, ""
	for _, b := range f.left[:n] {
		bytes := data[:b.Length]
		data = data[b.Length:]
		p := f.pieces[b.Piece].p
		here := s.partials[b.Piece] == p && !p.hashing
		if here {
			s.buffer(p)
			s.received(p, b, f.w.id, f.w.from, bytes)
		} else {
			s.waste(int64(b.Length)) // somebody was faster
		}
		f.drop(b)
		if here && p.full() {
			s.hash(p)
		}
	}
	f.left = f.left[n:]
}

// drop forgets a block that will not come, or has.
func (f *webFetch) drop(b picker.Block) {
	m := f.pieces[b.Piece]
	if m.left--; m.left > 0 {
		return
	}
	m.p.asks--
	if s := f.w.s; s.partials[b.Piece] == m.p && !m.p.full() {
		s.giveBack(m.p)
	}
}

// webBlocks are the next n blocks of a request.
type webBlocks struct {
	f    *webFetch
	n    int
	data []byte
}

func (b webBlocks) handle(*loop) {
	w := b.f.w
	if w.fetch == b.f {
		b.f.take(b.n, b.data)
		if len(b.f.left) > 0 && w.s.pick.Asked(w.id) == 0 {
			w.end(nil) // peers were faster with all of the rest
		}
	}
	b.f.free <- b.data[:0]
}

// webEnd is the end of a request.
type webEnd struct {
	f   *webFetch
	err error
}

func (e webEnd) handle(*loop) {
	if e.f.w.fetch == e.f {
		e.f.w.end(e.err)
	}
}
