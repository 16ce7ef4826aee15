package picker

import (
	"cmp"
	"slices"
)

// Gap appends to out the blocks that a peer is to be asked for which answers best in few
// and long runs, a web seed, and counts them as asked: those of at most that many pieces
// that follow each other, none of them begun, from the beginning of the longest such run
// that the peer has; what somebody waits for comes first ([Picker.Urgent]). When every
// piece is begun, it is what nobody has been asked for of one of them.
func (k *Picker) Gap(p PeerID, most int, out []Block) []Block {
	q := k.peer(p)
	if most <= 0 || q.want == 0 {
		return out
	}
	for _, i := range k.urgent {
		if !q.has.Get(i) {
			continue
		}
		if k.where[i] >= 0 {
			return k.takeRun(q, i, most, out)
		}
		if t := k.transferOf(i); t != nil && t.free > 0 {
			return k.takeRest(q, t, out)
		}
	}
	if q.open > 0 {
		return k.takeRun(q, k.longestGap(q), most, out)
	}
	t := k.orphanFor(q)
	if t == nil {
		t = k.shared(q)
	}
	if t == nil {
		return out
	}
	return k.takeRest(q, t, out)
}

// GapAgain is Gap for the end, when everything that is missing has been asked for: it is of
// what others owe, as much as that many pieces hold. Nobody's bandwidth is to be spent on
// what would come anyway, so the caller waits until it does not.
func (k *Picker) GapAgain(p PeerID, most int, out []Block) []Block {
	q := k.peer(p)
	if most <= 0 || q.want == 0 || q.asked > 0 || !k.Endgame() {
		return out
	}
	from := len(out)
	out = k.endgame(q, from+most*k.geo.Blocks(0), out)
	slices.SortFunc(out[from:], func(a, b Block) int {
		return cmp.Or(cmp.Compare(a.Piece, b.Piece), cmp.Compare(a.Begin, b.Begin))
	})
	return out
}

// longestGap is where the longest run of open pieces that q has begins; q.open must not
// be zero.
func (k *Picker) longestGap(q *peer) int {
	best, longest := -1, 0
	first, last := -1, -2
	for i := range q.has.EachAnd(k.open) {
		if i != last+1 {
			first = i
		}
		last = i
		if n := i - first + 1; n > longest {
			best, longest = first, n
		}
	}
	return best
}

// takeRun begins up to most open pieces from i on and asks q for all of them.
func (k *Picker) takeRun(q *peer, i, most int, out []Block) []Block {
	for n := 0; n < most && i < k.geo.Pieces && k.where[i] >= 0 && q.has.Get(i); n++ {
		t := k.begin(i)
		k.attend(t, q)
		out = k.take(t, q, len(out)+t.free, out)
		i++
	}
	return out
}

// takeRest asks q for all of t that nobody was asked for.
func (k *Picker) takeRest(q *peer, t *transfer, out []Block) []Block {
	if t.attendant == nil {
		k.attend(t, q)
	}
	return k.take(t, q, len(out)+t.free, out)
}
