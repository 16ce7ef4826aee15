package sim

import (
	"slices"

	"chordtorrent/chord"
)

// ring lists identifiers in ring order. It is cut into blocks, so that adding
// one moves few others.
type ring struct {
	blocks [1 << blockBits][]chord.ID
	size   int
}

// blockBits is how many bits of an identifier tell the blocks apart.
const blockBits = 12

func blockOf(id chord.ID) int { return int(id[0])<<(blockBits-8) | int(id[1])>>(16-blockBits) }

func (r *ring) add(id chord.ID) {
	b := &r.blocks[blockOf(id)]
	if i, found := slices.BinarySearchFunc(*b, id, chord.ID.Compare); !found {
		*b = slices.Insert(*b, i, id)
		r.size++
	}
}

func (r *ring) remove(id chord.ID) {
	b := &r.blocks[blockOf(id)]
	if i, found := slices.BinarySearchFunc(*b, id, chord.ID.Compare); found {
		*b = slices.Delete(*b, i, i+1)
		r.size--
	}
}

// owner gives the first member at or behind a place. The ring is not empty.
func (r *ring) owner(id chord.ID) chord.ID {
	n := blockOf(id)
	if i, _ := slices.BinarySearchFunc(r.blocks[n], id, chord.ID.Compare); i < len(r.blocks[n]) {
		return r.blocks[n][i]
	}
	for k := 1; k <= len(r.blocks); k++ {
		if b := r.blocks[(n+k)%len(r.blocks)]; len(b) > 0 {
			return b[0]
		}
	}
	panic("sim: nobody lives")
}

// before gives the last member before a place.
func (r *ring) before(id chord.ID) chord.ID {
	n := blockOf(id)
	if i, _ := slices.BinarySearchFunc(r.blocks[n], id, chord.ID.Compare); i > 0 {
		return r.blocks[n][i-1]
	}
	for k := 1; k <= len(r.blocks); k++ {
		if b := r.blocks[(n-k+len(r.blocks))%len(r.blocks)]; len(b) > 0 {
			return b[len(b)-1]
		}
	}
	panic("sim: nobody lives")
}

// all lists the members from zero on.
func (r *ring) all() []chord.ID {
	ids := make([]chord.ID, 0, r.size)
	for _, b := range r.blocks {
		ids = append(ids, b...)
	}
	return ids
}
