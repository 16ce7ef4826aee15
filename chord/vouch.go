package chord

import (
	"cmp"
	"maps"
	"slices"
)

// enough reports whether the answers make a read quorum.
func (m *Member) enough(r *reading) bool {
	if r.op.Key.Class() == Soft {
		return len(r.answers) >= m.quorum(Soft).R
	}
	for _, a := range m.repair.attempts {
		count := 0
		for _, c := range a.set {
			if s, ok := r.answers[c.ID]; ok && s.Code == CodeOK {
				count++
			}
		}
		if count < QuorumOf(Hard, len(a.set)).R {
			return false
		}
	}
	if len(m.repair.config) > 0 {
		count := 0
		for _, c := range m.repair.config {
			if s, ok := r.answers[c.ID]; ok && (c.ID == m.self.ID || s.Claim.Complete) && s.Code == CodeOK {
				count++
			}
		}
		return count >= m.quorum(Hard).R
	}
	// This member has granted the range to nobody yet: the claims that others
	// granted before decide.
	var claims []Claim
	heard := map[ID]bool{}
	for id, s := range r.answers {
		claims = append(claims, s.Claim)
		heard[id] = true
	}
	_, _, ok := m.vouched(claims, heard, max(m.ring, m.size()), r.asked && r.waiting == 0 && !r.silent && m.viewStable() && m.listFits())
	return ok
}

// vouched reports whether claims make a read quorum among themselves. R of
// those of the newest epoch do. If fewer claim it although everybody in a view
// that has not just changed was asked and has answered (all), and at most N-R of
// its holders are not among those heard, then that epoch never came into force, or
// more members are gone than the promises cover: an epoch in force was granted to
// all N, and N less two dead is R, or fewer by an operator's word (see needed). Who
// has it was complete then all the same, so such claims count among those of the
// epoch before, and so on. It is the same with a later epoch that nobody claims
// who was heard, but that some were told of.
//
// known is the size of the ring as the judging member knows it: old claims may
// be from when it was smaller. base is the oldest epoch that was counted, in a
// ring of that size.
func (m *Member) vouched(claims []Claim, heard map[ID]bool, known int, all bool) (base uint64, ring int, ok bool) {
	var parts []Claim // of the range, by who does not have all of it
	ring = known
	every := claims
	claims = slices.DeleteFunc(slices.Clone(claims), func(c Claim) bool {
		if !c.Complete && c.Newest > 0 {
			parts = append(parts, c)
		}
		return !c.Complete
	})
	slices.SortStableFunc(claims, func(a, b Claim) int { return cmp.Compare(b.Epoch, a.Epoch) })
	heard = maps.Clone(heard)
	for _, id := range m.forgotten {
		heard[id] = true // nothing more will be heard
	}
	for i, c := range claims {
		ring = max(ring, c.Ring)
		for _, p := range parts {
			if p.Newest > c.Epoch {
				ring = max(ring, p.Ring) // the ring has gone on since, and how far is not known
			}
		}
		last := i+1 == len(claims) || claims[i+1].Epoch != c.Epoch
		q := QuorumOf(Hard, ring)
		// In a partition, the others may well claim it.
		all = all && c.Holders.without(heard) <= q.N-q.R
		if all {
			q.R = m.needed(q)
		} else {
			// Those who were left out when the set last changed, at most N-R,
			// may be the ones who have answered.
			q.R = max(q.R, q.N-q.R+1)
		}
		if last && i+1 >= q.R {
			return c.Epoch, ring, !m.goneOn(c.Epoch, every, heard, ring, all)
		}
		if last && !all {
			return 0, 0, false
		}
	}
	return 0, 0, false
}

// largest is the largest ring that claims to something name, or known if that is larger.
func largest(claims []Claim, known int) int {
	for _, c := range claims {
		known = max(known, c.Ring, c.Next.Ring)
	}
	return known
}

// goneOn reports whether a grant after an epoch, which some have been told of, may
// have come into force with others: not all have answered, or too many of its
// holders are not among those who have.
func (m *Member) goneOn(epoch uint64, claims []Claim, heard map[ID]bool, ring int, all bool) bool {
	return slices.ContainsFunc(claims, func(c Claim) bool {
		q := QuorumOf(Hard, max(ring, c.Next.Ring))
		return c.Next.Epoch > epoch && !m.answersFor(c.Next.Epoch) && (!all || c.Next.Holders.without(heard) > q.N-q.R)
	})
}
