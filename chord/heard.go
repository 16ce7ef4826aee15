package chord

import (
	"encoding/binary"
	"math/bits"
)

// heard is what a member has said of its neighbours last, so that it need not
// be sent again while it is the same: in a quiet ring that is most of the time.
type heard struct {
	from ID
	last Neighbors
	hash uint64
}

// question asks r for its neighbours, if they are not as they were.
func (h *heard) question(r Ref) GetNeighbors {
	if h.from != r.ID {
		return GetNeighbors{}
	}
	return GetNeighbors{Known: h.hash}
}

// hash is never 0, which stands for nothing known. It tells what has changed by
// itself from what has not; nobody gains by making two answers look alike.
func (n Neighbors) hash() uint64 {
	h := uint64(n.Purged) ^ uint64(n.Elder)<<1
	if n.Joined {
		h++
	}
	mix := func(v uint64) { h = bits.RotateLeft64((h^v)*0x9e3779b97f4a7c15, 29) }
	add := func(r Ref) {
		mix(binary.BigEndian.Uint64(r.ID[:8]))
		mix(binary.BigEndian.Uint64(r.ID[8:16]))
		mix(uint64(binary.BigEndian.Uint32(r.ID[16:])))
		for i := range len(r.Addr) {
			h = (h ^ uint64(r.Addr[i])) * 0x100000001b3 // as FNV-1a has it
		}
		mix(uint64(len(r.Addr)))
	}
	add(n.Pred)
	for _, r := range n.Succ {
		add(r)
	}
	return h | 1
}

// answer completes r's answer by what it had said before.
func (h *heard) answer(r Ref, n Neighbors, ok bool) (Neighbors, bool) {
	switch {
	case !ok:
		return n, false
	case !n.Same:
		*h = heard{r.ID, n, n.hash()}
	case h.from == r.ID:
		n = h.last
	default:
		return n, false // it was asked for all, by one who had forgotten
	}
	return n, true
}
