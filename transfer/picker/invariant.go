package picker

import (
	"fmt"
	"slices"
)

// CheckInvariant recounts everything that the picker keeps count of and
// returns the first difference. It costs pieces x peers: for tests.
func (k *Picker) CheckInvariant() error {
	for _, check := range []func() error{k.checkOrder, k.checkTransfers, k.checkPeers} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// CheckInvariant is Picker.CheckInvariant for first copies.
func (f *FirstCopies) CheckInvariant() error {
	ahead, coming := make(map[*follower]int), make(map[*follower]int)
	for i, g := range f.given {
		if f.followers[g.to.id] != g.to || g.to.stubborn {
			return fmt.Errorf("piece %d is kept for peer %d, who is gone", i, g.to.id)
		}
		if g.asked.IsZero() {
			ahead[g.to]++
		} else {
			coming[g.to]++
		}
	}
	for id, w := range f.followers {
		if w.id != id || w.ahead != ahead[w] || w.coming != coming[w] {
			return fmt.Errorf("peer %d: %d pieces ahead and %d coming, counted %d and %d", id, ahead[w], coming[w], w.ahead, w.coming)
		}
	}
	return nil
}

func (k *Picker) checkOrder() error {
	missing, seeds := 0, 0
	for _, q := range k.list {
		if q.seed {
			seeds++
		}
	}
	if seeds != k.seeds {
		return fmt.Errorf("seeds: counted %d, kept %d", seeds, k.seeds)
	}
	if k.bound[0] != 0 || int(k.bound[len(k.bound)-1]) != len(k.order) || !slices.IsSorted(k.bound) {
		return fmt.Errorf("bounds %v of %d open pieces", k.bound, len(k.order))
	}
	for i := range k.geo.Pieces {
		holders := 0
		for _, q := range k.list {
			if q.has.Get(i) {
				holders++
			}
		}
		if holders != k.Availability(i) {
			return fmt.Errorf("piece %d: %d holders, availability %d", i, holders, k.Availability(i))
		}
		w, a := k.where[i], k.avail[i]
		if (w == verified) != k.have.Get(i) || (w >= 0) != k.open.Get(i) {
			return fmt.Errorf("piece %d is at %d, have %v, open %v", i, w, k.have.Get(i), k.open.Get(i))
		}
		if w != verified {
			missing++
		}
		if w >= 0 && (int(k.order[w]) != i || w < k.bound[a] || w >= k.bound[a+1]) {
			return fmt.Errorf("piece %d of availability %d is at %d, bounds %v", i, a, w, k.bound)
		}
		if w <= flying && k.transfers[flying-w].piece != i {
			return fmt.Errorf("piece %d is at %d: another transfer", i, w)
		}
	}
	if missing != k.left || k.open.Count() != len(k.order) || k.left != len(k.order)+len(k.transfers) {
		return fmt.Errorf("%d missing, %d left, %d open, %d in flight", missing, k.left, len(k.order), len(k.transfers))
	}
	return nil
}

func (k *Picker) checkTransfers() error {
	owed, mineFree, allFree := make(map[PeerID]int), make(map[PeerID]int), 0
	for slot, t := range k.transfers {
		free, got, sum := 0, 0, 0
		byPeer := make(map[PeerID]int)
		for n, b := range t.blocks {
			switch b.state {
			case received:
				got++
			case asked:
				for _, p := range append([]PeerID{b.peer}, t.also[n]...) {
					byPeer[p]++
					owed[p]++
					sum++
				}
				if t.askers(n) > maxAskers {
					return fmt.Errorf("piece %d block %d: %d askers", t.piece, n, t.askers(n))
				}
			default:
				free++
				if n < t.next {
					return fmt.Errorf("piece %d block %d is free before %d", t.piece, n, t.next)
				}
			}
			if b.state != asked && len(t.also[n]) > 0 {
				return fmt.Errorf("piece %d block %d: askers of a block that is not asked", t.piece, n)
			}
		}
		if t.slot != slot || free != t.free || got != t.got || sum != t.asksSum || len(t.blocks) != k.geo.Blocks(t.piece) {
			return fmt.Errorf("piece %d: counted free %d got %d asks %d, kept %d %d %d", t.piece, free, got, sum, t.free, t.got, t.asksSum)
		}
		if len(byPeer) != len(t.debts) {
			return fmt.Errorf("piece %d: debts %v, counted %v", t.piece, t.debts, byPeer)
		}
		for _, d := range t.debts {
			if byPeer[d.peer] != d.n {
				return fmt.Errorf("piece %d: peer %d owes %d, kept %d", t.piece, d.peer, byPeer[d.peer], d.n)
			}
		}
		if t.attendant == nil {
			if !slices.Contains(k.orphans, t) || free == len(t.blocks) {
				return fmt.Errorf("piece %d: nobody attends it, free %d of %d", t.piece, free, len(t.blocks))
			}
		} else {
			if k.peers[t.attendant.id] != t.attendant || !slices.Contains(t.attendant.mine, t) || slices.Contains(k.orphans, t) {
				return fmt.Errorf("piece %d: attendant %d does not know", t.piece, t.attendant.id)
			}
			mineFree[t.attendant.id] += free
		}
		allFree += free
	}
	if allFree != k.free {
		return fmt.Errorf("free blocks: counted %d, kept %d", allFree, k.free)
	}
	attended := len(k.orphans)
	for _, q := range k.list {
		attended += len(q.mine)
		if owed[q.id] != q.asked || mineFree[q.id] != q.free {
			return fmt.Errorf("peer %d: owes %d, kept %d; free %d, kept %d", q.id, owed[q.id], q.asked, mineFree[q.id], q.free)
		}
		delete(owed, q.id)
	}
	if attended != len(k.transfers) || len(owed) > 0 {
		return fmt.Errorf("%d transfers are attended or orphans, %d in flight; owed by strangers: %v", attended, len(k.transfers), owed)
	}
	return nil
}

func (k *Picker) checkPeers() error {
	if len(k.list) != len(k.peers) {
		return fmt.Errorf("%d peers in the list, %d in the map", len(k.list), len(k.peers))
	}
	for _, q := range k.list {
		want, open := q.has.AndNotCount(k.have), 0
		for range q.has.EachAnd(k.open) {
			open++
		}
		if k.peers[q.id] != q || want != q.want || open != q.open {
			return fmt.Errorf("peer %d: want %d, kept %d; open %d, kept %d", q.id, want, q.want, open, q.open)
		}
		if q.seed && !q.has.All() {
			return fmt.Errorf("peer %d counts as a seed and is none", q.id)
		}
	}
	return nil
}
