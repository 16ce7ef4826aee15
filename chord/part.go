package chord

import "slices"

// maxPieces bounds the claims that one answer lists. A range that has grown over
// more has claims that nobody hears of, and waits for those who made them.
const maxPieces = 256

// part is a piece of a range, up to a place, within which each member's claim is one
// and the same: a range that has grown consists of several, which were granted to
// different members at different times, and are judged one by one.
type part struct {
	to   ID
	base uint64 // the oldest epoch whose claims completed it
	ring int    // that was taken for the ring's size then
	// byWord: no claims complete it. By an operator's word nobody comes who has more of it
	// than those who are here.
	byWord bool
}

// pieces gives the claims that overlap the arc (from, to], if that is not one to
// all of it.
func (a arcs) pieces(from, to ID) (list []Arc) {
	for _, arc := range a {
		if arc.overlaps(from, to) {
			list = append(list, arc)
		}
	}
	if len(list) == 1 && a.over(from, to).Complete {
		return nil
	}
	return list[:min(len(list), maxPieces)]
}

// claims gives what a summary's claim to a range is made of.
func (s Summary) claims(from, to ID) arcs {
	if len(s.Claims) == 0 && s.Claim.Complete {
		c := s.Claim
		return arcs{{From: from, To: to, Epoch: c.Epoch, Ring: c.Ring, Holders: c.Holders, Next: c.Next}}
	}
	return s.Claims
}

// ends gives where the parts of the round's range end, in ring order.
func (rd *round) ends() []ID {
	ends := []ID{rd.to}
	for _, held := range rd.held {
		for _, arc := range held {
			for _, id := range []ID{arc.From, arc.To} {
				if id != rd.to && InArc(rd.from, id, rd.to) {
					ends = append(ends, id)
				}
			}
		}
	}
	slices.SortFunc(ends, func(a, b ID) int { // rd.to may be rd.from, a whole turn away
		return Distance(next(rd.from), a).Compare(Distance(next(rd.from), b))
	})
	return slices.Compact(ends)
}

// claimsAt gives everybody's claim to the part that ends there, this member's
// first. Who has none to it tells what it has of the rest.
func (rd *round) claimsAt(end ID) (claims []Claim) {
	for i, held := range rd.held {
		c := held.at(end)
		if !c.Complete {
			c = rd.claims[i]
			c.Complete = false
		}
		claims = append(claims, c)
	}
	return claims
}

// vouchedParts is vouched for every part of the round's range.
func (m *Member) vouchedParts(rd *round, all bool) (parts []part, ok bool) {
	for _, end := range rd.ends() {
		claims := rd.claimsAt(end)
		base, ring, ok := m.vouched(claims, rd.heard, m.knownRing(claims[0], claims), all)
		if ok {
			parts = append(parts, part{to: end, base: base, ring: ring})
			continue
		}
		if ring = largest(claims, m.ring); !all || !m.accounted(ring) {
			return nil, false
		}
		parts = append(parts, part{to: end, ring: ring, byWord: true})
	}
	return parts, true
}

// remaining are those who count so far and are equal now, wherever they stand on
// the ring.
type remaining struct {
	all    []Ref // who count in every part of the range
	some   []Ref // and in only some
	enough bool  // of them in every part, for a grant
}

// remaining goes by the last grant if this member made it; else who claims, of a
// part, the epoch by which this member has completed it, or a later one, counts.
func (m *Member) remaining(rd *round) (left remaining) {
	r := &m.repair
	if len(r.config) > 0 {
		for _, c := range rd.equal {
			if listed(r.config, c.ID) {
				left.all = append(left.all, c.Ref)
			}
		}
		left.enough = len(left.all) >= m.needed(QuorumOf(Hard, m.ring))
		return left
	}
	counts := make([]int, len(r.base.parts))
	for _, c := range rd.equal {
		in := 0
		for i, p := range r.base.parts {
			if held := c.claims.at(p.to); p.byWord || held.Complete && held.Epoch >= p.base {
				counts[i]++
				in++
			}
		}
		switch in {
		case 0:
		case len(counts):
			left.all = append(left.all, c.Ref)
		default:
			left.some = append(left.some, c.Ref)
		}
	}
	left.enough = true
	for i, p := range r.base.parts {
		left.enough = left.enough && (p.byWord || counts[i] >= m.needed(QuorumOf(Hard, p.ring)))
	}
	return left
}
