package transfer

import (
	"fmt"
	"time"
)

// When a web seed is asked, and for how much.

const (
	webAtOnce  = 4 // that are asked at a time
	webSilence = 30 * time.Second
	// A server that gives less than webLeastRate over webSlowFor keeps others from what
	// it was asked for, if they could give it.
	webLeastRate = 16 << 10 // bytes per second
	webSlowFor   = 10 * time.Second
	// A request is for what its server gives in webAhead, within these bounds; but for
	// a whole piece at least, and no more than a quarter of all buffers.
	webAhead = 4 * time.Second
	webLeast = 256 << 10
	webMost  = 8 << 20
)

func (s *swarm) tickWeb(passed time.Duration) {
	for _, w := range s.web {
		w.down.tick(passed)
		f := w.fetch
		if f == nil {
			continue
		}
		if f.held.Load() || f.waited.Swap(false) {
			f.heard = s.l.now // we do not listen
			f.measure()
		}
		if s.l.now.Sub(f.heard) > webSilence {
			w.end(fmt.Errorf("nothing has come for %v", webSilence))
			continue
		}
		if took := s.l.now.Sub(f.measured); took >= webSlowFor {
			rate := float64(f.read.Load()-f.readThen) / took.Seconds()
			if f.measure(); rate < webLeastRate && w.replaceable() {
				w.end(fmt.Errorf("it gives %.0f bytes per second, and others have it too", rate))
			}
		}
	}
	s.webEnded()
	s.askWeb()
}

// measure begins to measure anew how fast the request brings something.
func (f *webFetch) measure() { f.measured, f.readThen = f.w.s.l.now, f.read.Load() }

// replaceable tells whether somebody else could give what it is asked for now.
func (w *webSeed) replaceable() bool {
	s := w.s
	if len(w.fetch.left) == 0 {
		return false // all has come
	}
	next := w.fetch.left[0].Piece
	for _, o := range s.web {
		if o != w && o.never == "" && o.bits.Get(next) && !s.l.now.Before(o.next) {
			return true
		}
	}
	for _, c := range s.conns {
		if c.state == open && !c.chokesUs && !c.snubbed && c.bits.Get(next) {
			return true
		}
	}
	return false
}

// askWeb asks web seeds for more, as far as peers leave something to wish for.
func (s *swarm) askWeb() {
	if !s.webWaits() || s.paused() || s.l.now.Before(s.webFrom) {
		return
	}
	asked, peers := 0, s.down.rate
	for _, w := range s.web {
		peers -= w.down.rate
		if w.fetch != nil {
			asked++
		}
	}
	for _, w := range s.web {
		if w.fetch != nil || w.never != "" || s.l.now.Before(w.next) || asked == webAtOnce {
			continue
		}
		if w.gives > 0 && peers >= w.gives {
			continue
		}
		if w.ask() {
			asked++
		}
	}
}

// run is how many pieces a request is for.
func (w *webSeed) run() int {
	n := min(max(int64(w.gives*webAhead.Seconds()), webLeast), webMost, w.s.l.e.cfg.BufferBytes/4)
	return int(max(n/int64(w.s.geo.PieceLen), 1))
}

// ask begins a request; false when there is nothing to ask for, or no room for it.
func (w *webSeed) ask() bool {
	s := w.s
	if !w.known {
		s.pick.AddPeer(w.id)
		s.pick.PeerBits(w.id, w.bits)
		w.known = true
	}
	w.starved = false
	s.blocks = s.pick.Gap(w.id, w.run(), s.blocks[:0])
	if len(s.blocks) == 0 && s.late() {
		s.blocks = s.pick.GapAgain(w.id, w.run(), s.blocks) // who owes the rest is slow
	}
	f := &webFetch{w: w, began: s.l.now, heard: s.l.now, measured: s.l.now, pieces: make(map[int]*webPiece)}
	for _, b := range s.blocks {
		if !s.mayAsk(w.id, b) {
			s.pick.Release(w.id, b)
			continue
		}
		p := s.partialOf(b.Piece)
		if p == nil {
			w.starved = true
			s.pick.Release(w.id, b)
			continue
		}
		f.add(b, p)
	}
	if len(f.left) == 0 {
		return false
	}
	w.fetch = f
	f.start()
	return true
}
