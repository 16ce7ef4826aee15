package sim

import (
	"math"
	"time"

	"chordtorrent/chord"
)

// churn has members die and as many join, each at a random moment, so that
// after a half-life half of those who were there at its beginning are gone.
func (w *World) churn() {
	if w.cfg.HalfLife <= 0 {
		return
	}
	mean := float64(w.cfg.HalfLife) / math.Ln2 / float64(w.cfg.Members)
	pause := func() time.Duration { return time.Duration(w.rng.ExpFloat64() * mean) }
	var die, join func()
	die = func() {
		if h := w.anybody(); h != nil && w.ring.size > 1 {
			w.kill(h)
		}
		w.in(pause(), die)
	}
	join = func() {
		w.join()
		w.in(pause(), join)
	}
	w.in(pause(), die)
	w.in(pause(), join)
}

// anybody draws a member of the ring; nil if there is none.
func (w *World) anybody() *host {
	if w.ring.size == 0 {
		return nil
	}
	for {
		if h := w.hosts[w.rng.IntN(len(w.hosts))]; h.in {
			return h
		}
	}
}

// kill has a machine vanish: nobody is told, and nobody is refused.
func (w *World) kill(h *host) {
	h.m, h.in = nil, false
	h.life++
	w.ring.remove(h.ref.ID)
	if w.on {
		w.stats.died++
	}
	w.rumour()
}

// join brings a new member into the ring: by a member that it knows it looks at
// some arcs and takes a place in the widest.
func (w *World) join() {
	contact := w.anybody()
	if contact == nil {
		return
	}
	var gaps []chord.Arc
	answered := 0
	for range candidates {
		w.lookup(contact, w.place(), func(r chord.LookupReply) {
			if r.Code == chord.CodeOK {
				gaps = append(gaps, chord.Arc{From: r.Pred.ID, To: r.Owner.ID})
			}
			if answered++; answered == candidates && len(gaps) > 0 && contact.m != nil {
				w.newcomer(chord.SplitWidest(w.rng, gaps), contact)
			}
		})
	}
}

func (w *World) newcomer(id chord.ID, contact *host) {
	h := w.addHost(id)
	if err := w.boot(h, nil, chord.State{}); err != nil {
		panic("sim: " + err.Error())
	}
	w.call(h, func(m *chord.Member) {
		m.View(w.now, []chord.Ref{h.ref, contact.ref})
		m.Start(w.now)
	})
}

// rumour has gossip tell of a change, in a ring that it can describe: everybody
// hears of it at a moment of their own.
func (w *World) rumour() {
	if w.cfg.Members > w.cfg.Gossip {
		return
	}
	for _, h := range w.hosts {
		if h.m == nil || h.told {
			continue
		}
		h.told = true
		life := h.life
		w.in(w.between(0, seenMax), func() {
			if h.life != life {
				return
			}
			h.told = false
			view := []chord.Ref{h.ref}
			for _, id := range w.ring.all() {
				view = append(view, w.hosts[w.byID[id]].ref)
			}
			w.call(h, func(m *chord.Member) { m.View(w.now, view) })
		})
	}
}
