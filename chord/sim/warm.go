package sim

import (
	"math/rand/v2"
	"slices"

	"chordtorrent/chord"
)

// candidates is how many places a newcomer looks at before it takes its own.
const candidates = 24

// copies is how many members hold a range.
const copies = 5

// grow chooses the places of all members, as they would one after the other.
func (w *World) grow() {
	w.ring.add(w.place())
	for w.ring.size < w.cfg.Members {
		var gaps []chord.Arc
		for range candidates {
			owner := w.ring.owner(w.place())
			gaps = append(gaps, chord.Arc{From: w.ring.before(owner), To: owner})
		}
		w.ring.add(chord.SplitWidest(w.rng, gaps))
	}
}

// settle puts a member at each place, with the neighbours, fingers and ranges it
// would have come to.
func (w *World) settle() error {
	ids := w.ring.all()
	n := len(ids)
	refs := make([]chord.Ref, n)
	for i, id := range ids {
		h := w.addHost(id)
		refs[i] = h.ref
	}
	at := func(id chord.ID) int {
		i, _ := slices.BinarySearchFunc(ids, id, chord.ID.Compare)
		return i % n
	}
	list := min(chord.ListLength(n), n-1)
	for i, h := range w.hosts {
		p := &chord.Place{Pred: refs[(i+n-1)%n]}
		for k := 1; k <= list; k++ {
			p.Succ = append(p.Succ, refs[(i+k)%n])
		}
		for _, target := range chord.FingerTargets(h.ref.ID) {
			if list > 0 && chord.InArc(h.ref.ID, target, p.Succ[list-1].ID) {
				break
			}
			if f := refs[at(target)]; f.ID != h.ref.ID {
				p.Fingers = append(p.Fingers, f)
			}
		}
		state := chord.State{Ring: n, Epoch: 1 << 16}
		for k := range min(copies, n) {
			state.Arcs = append(state.Arcs, chord.Arc{From: refs[(i+2*n-k-1)%n].ID, To: refs[(i+n-k)%n].ID, Epoch: 1 << 16, Ring: n})
		}
		h.in = true
		if err := w.boot(h, p, state); err != nil {
			return err
		}
	}
	var view []chord.Ref
	if n <= w.cfg.Gossip {
		view = refs
	}
	for _, h := range w.hosts {
		w.call(h, func(m *chord.Member) {
			if view != nil {
				m.View(w.now, view)
			}
			m.Start(w.now)
		})
	}
	return nil
}

// addHost makes a machine; it is down.
func (w *World) addHost(id chord.ID) *host {
	n := len(w.hosts)
	h := &host{index: int32(n), ref: chord.Ref{ID: id, Addr: address(n)}}
	w.hosts = append(w.hosts, h)
	w.byID[id] = int32(n)
	return h
}

// noData is everybody's store: nothing is kept in these rings.
var noData = chord.NewMemStore()

// boot gives a machine a member that has not started.
func (w *World) boot(h *host, place *chord.Place, state chord.State) (err error) {
	h.m, err = chord.New(chord.Config{
		Self: h.ref, Rand: rand.New(rand.NewPCG(w.cfg.Seed, uint64(h.index))), Store: noData, State: state, Place: place,
	})
	return err
}
