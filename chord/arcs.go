package chord

import "slices"

// Arc is a range (From, To] of the ring with the claim that this member holds
// all of it: complete as of the owner's round Epoch, in a ring of Ring members.
// From == To is the whole ring.
type Arc struct {
	From, To ID
	Epoch    uint64
	Ring     int
	Holders  Holders // to whom it was granted; the zero Holders if that is not known
	Next     Intent  // the last grant that this member was told of since; the zero Intent if none
}

// Intent is a grant that a range's owner has told of beforehand: others may count
// by it now, or never will.
type Intent struct {
	Epoch   uint64
	Ring    int
	Holders Holders
}

// overlaps reports whether the arc has a place in common with (from, to].
func (a Arc) overlaps(from, to ID) bool { return InArc(from, a.To, to) || InArc(a.From, to, a.To) }

// arcs is a set of disjoint claimed ranges.
type arcs []Arc

// at gives the claim for one place.
func (a arcs) at(id ID) Claim {
	for _, arc := range a {
		if InArc(arc.From, id, arc.To) {
			return Claim{Complete: true, Epoch: arc.Epoch, Ring: arc.Ring, Holders: arc.Holders, Newest: arc.Epoch, Next: arc.Next}
		}
	}
	return Claim{}
}

// over gives the claim for the whole arc (from, to]: complete only if claimed
// ranges cover it without a gap; the oldest epoch and the largest ring of them
// count. One that is not complete tells what is known of parts of it.
func (a arcs) over(from, to ID) Claim {
	none := a.partly(from, to)
	claim := Claim{Newest: none.Newest, Next: none.Next}
	cursor, whole := from, from == to
	for range len(a) + 1 { // the arc it begins in may be the one it ends in
		i := slices.IndexFunc(a, func(arc Arc) bool {
			return arc.From == arc.To || arc.From == cursor || Between(arc.From, cursor, arc.To)
		})
		if i < 0 {
			return none
		}
		arc := a[i]
		if claim.Ring == 0 || arc.Epoch < claim.Epoch {
			claim.Epoch, claim.Holders = arc.Epoch, arc.Holders
		}
		claim.Ring = max(claim.Ring, arc.Ring)
		if arc.From == arc.To || (!whole && InArc(cursor, to, arc.To)) || (whole && InArc(cursor, from, arc.To)) {
			claim.Complete = true
			return claim
		}
		cursor = arc.To
	}
	return none
}

// partly gives the highest epoch of the claims that overlap the arc (from, to],
// the ring it was granted in, and the latest grant that was told of.
func (a arcs) partly(from, to ID) (c Claim) {
	for _, arc := range a {
		if !arc.overlaps(from, to) {
			continue
		}
		if arc.Epoch > c.Newest {
			c.Newest, c.Ring = arc.Epoch, arc.Ring
		}
		if arc.Next.Epoch > c.Next.Epoch {
			c.Next = arc.Next
		}
	}
	return c
}

// without gives the set with the arc (from, to] taken out.
func (a arcs) without(from, to ID) arcs {
	if from == to {
		return nil
	}
	var rest arcs
	for _, arc := range a {
		rest = append(rest, cut(arc, from, to)...)
	}
	return rest
}

// with gives the set with a new claim that replaces what it overlaps.
func (a arcs) with(arc Arc) arcs { return append(a.without(arc.From, arc.To), arc) }

// telling gives the set with a grant noted on what it has of the arc (from, to].
func (a arcs) telling(from, to ID, next Intent) arcs {
	list := a.without(from, to)
	for _, arc := range a {
		inside := []Arc{arc}
		if from != to {
			inside = cut(arc, to, from)
		}
		for _, piece := range inside {
			piece.Next = next
			list = append(list, piece)
		}
	}
	return list
}

// cut gives what is left of arc when (from, to] is taken out: 0 to 2 pieces.
func cut(arc Arc, from, to ID) []Arc {
	// Measured from arc.From, so that the ring's seam does not matter. The
	// hole's ends outside the arc lie behind its end.
	whole := arc.From == arc.To
	end := Distance(arc.From, arc.To)
	start, stop := Distance(arc.From, from), Distance(arc.From, to)
	beyond := func(d ID) bool { return !whole && d.Compare(end) > 0 }
	piece := func(f, t ID) Arc {
		part := arc
		part.From, part.To = f, t
		return part
	}
	var zero ID
	switch {
	case start.Compare(stop) < 0 || stop == zero:
		// The hole does not pass over arc.From.
		if !whole && start.Compare(end) >= 0 {
			return []Arc{arc}
		}
		var pieces []Arc
		if start != zero {
			pieces = append(pieces, piece(arc.From, from))
		}
		if stop != zero && !beyond(stop) && to != arc.To {
			pieces = append(pieces, piece(to, arc.To))
		}
		return pieces
	default:
		// The hole begins before arc.From and ends inside or behind the arc.
		switch {
		case !whole && stop.Compare(end) >= 0:
			return nil
		case whole || start.Compare(end) < 0:
			return []Arc{piece(to, from)}
		}
		return []Arc{piece(to, arc.To)}
	}
}
