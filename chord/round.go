package chord

import (
	"slices"
	"time"
)

// claimant is a member with what it claims.
type claimant struct {
	Ref
	claims arcs
}

// round is one comparison of this member's range with all its replicas.
type round struct {
	from, to ID
	set      []Ref // this member first
	ring     int   // members at its beginning, as counted
	waiting  int
	claims   []Claim
	held     []arcs      // what the claims are made of
	heard    map[ID]bool // who has answered, this member among them
	failed   bool
	pulled   int
	pushed   int
	epoch    uint64     // the highest seen
	stale    bool       // some replica does not claim the epoch in force
	equal    []claimant // that are equal now
	gave     bool       // the replicas were given what they lacked
	void     bool       // what was heard before does not count any more
}

func (m *Member) repairRound() {
	r := &m.repair
	if m.phase != member || r.round != nil {
		return
	}
	if grace := m.graceLeft(); grace > 0 {
		r.timer = m.after(grace, m.repairRound)
		return
	}
	r.again = false
	clear(r.dirty)
	set := m.replicas(QuorumOf(Hard, m.counted()).N)
	rd := &round{from: m.pred.ID, to: m.self.ID, set: set, ring: m.counted(), heard: map[ID]bool{m.self.ID: true}}
	r.round = rd
	own := m.claims.over(rd.from, rd.to)
	rd.claims, rd.held = append(rd.claims, own), append(rd.held, m.claims)
	rd.epoch = max(own.highest(), r.epoch)
	rd.waiting = 1
	ask := set
	if !r.complete {
		ask = m.widened(set)
	}
	also := func(r Ref) {
		if !listed(ask, r.ID) {
			ask = append(slices.Clip(ask), r)
		}
	}
	for _, r := range m.repair.offers {
		also(r)
	}
	for _, r := range m.repair.config {
		if here, ok := m.inView(r.ID); ok {
			also(here) // it counts until others do, wherever it stands by now
		}
	}
	// An owner that has just lost its predecessor first finds out whether the
	// range can do without a new replica for a moment.
	rd.gave = r.complete || r.missing == 0 || m.now.Sub(r.missing) >= m.cfg.RestartGrace
	for i, other := range ask[1:] {
		rd.waiting++
		m.compare(other, Hard, rd.from, rd.to, rd.gave && i+1 < len(set), func(c comparison) {
			m.compared(rd, other, c)
		})
	}
	m.compared(rd, m.self, comparison{ok: true, claim: own, claims: m.claims})
}

func (m *Member) compared(rd *round, other Ref, c comparison) {
	rd.failed = rd.failed || !c.ok
	rd.pulled += c.pulled
	rd.pushed += c.pushed
	if c.answered {
		m.overtaken(c.claim)
		rd.claims, rd.held = append(rd.claims, c.claim), append(rd.held, c.claims)
		rd.heard[other.ID] = true
		rd.epoch = max(rd.epoch, c.claim.highest())
		rd.stale = rd.stale || c.claim.highest() > m.repair.epoch
	}
	if !c.ok {
		m.repair.offers = slices.DeleteFunc(m.repair.offers, func(r Ref) bool { return r.ID == other.ID })
	}
	if c.ok {
		rd.equal = append(rd.equal, claimant{other, c.claims})
	}
	if c.ok && listed(rd.set, other.ID) {
		rd.stale = rd.stale || !c.claim.Complete || c.claim.Epoch != m.repair.epoch
	}
	if rd.waiting--; rd.waiting == 0 {
		m.endRepair(rd)
	}
}

// stands reports whether a round is about what this member owns now.
func (m *Member) stands(rd *round) bool {
	return m.phase == member && rd.from == m.pred.ID && !rd.void
}

// endRepair judges a round.
func (m *Member) endRepair(rd *round) {
	r := &m.repair
	r.behind = rd.pulled + rd.pushed
	if !m.stands(rd) {
		m.nextRound(repairDelay)
		return
	}
	became := false
	if !r.complete {
		r.base.parts, became = m.vouchedParts(rd, !rd.failed && m.viewStable() && m.listFits())
	}
	counting := m.remaining(rd)
	if became {
		r.complete = true
		r.claimants = len(counting.all)
		r.base.known = 0
		for _, c := range rd.claims {
			r.base.known = max(r.base.known, c.latest())
		}
		m.observeRange()
	}
	// The ring as it was when the range was last complete: here, or as those
	// claim by whom it was completed.
	was := m.ring
	if len(r.config) == 0 {
		was = 0
		for _, p := range r.base.parts {
			was = max(was, p.ring)
		}
	}
	switch {
	case !r.complete || rd.failed || len(r.dirty) > 0:
		m.nextRound(repairPause)
	case became && m.graceLeft() > 0, !rd.gave:
		m.nextRound(repairDelay)
	case len(rd.set) < QuorumOf(Hard, rd.ring).N:
		// Gossip knows of a member that is not on the ring: it is still joining,
		// or out of reach and not yet declared dead. It may count, so nothing
		// is granted to fewer.
		m.nextRound(repairPause)
	case rd.pulled > 0 && len(rd.set) > 1:
		// What was taken over came too late for the others: look again.
		m.nextRound(repairDelay)
	case m.keeps(byMajority) && (m.keeps(fillFirst) || len(r.config) > 0) &&
		(!counting.enough || (rd.ring < was || !m.listFits()) && !m.viewStable()):
		// A minority of those that count cannot know what the others have
		// acknowledged meanwhile: it must not make itself the whole, neither in
		// a smaller ring nor while it does not ask the ring that gossip sees.
		if !became && !counting.enough && len(r.config) == 0 {
			// Of those by whom it was completed some have lost what they held since,
			// without having granted it to others. Who vouches for it now may be enough.
			r.complete = false
			m.restartWrites()
		}
		m.nextRound(repairPause)
	case became || rd.stale || len(r.attempts) > 0 || !sameMembers(rd.set, r.config) || m.ring != rd.ring || m.claims.over(rd.from, rd.to).Epoch != r.epoch:
		m.grant(rd, counting)
	default:
		m.repaired()
	}
}

// knownRing is how large the ring was for all that this member knows, when it
// judges the claims to something by those who have answered: old claims may be
// from when it was smaller. If they are newer than its own claim to the same,
// the ring has gone on without this member, and what it knows means nothing.
func (m *Member) knownRing(own Claim, claims []Claim) int {
	if own.Newest > 0 && newestClaim(claims).Epoch > own.Newest {
		return 0
	}
	return m.ring
}

// observeRange shows the clock every stamp of the range: this member now gives
// the next ones.
func (m *Member) observeRange() {
	m.eachOwned(func(k Key) {
		_ = m.cfg.Store.Fields(k, "", "", func(f Field) bool {
			m.clock.observe(f.Stamp, m.ringMillis())
			return true
		})
	})
}

// newestClaim gives the claim of the newest epoch, with the largest ring that
// is named with it; the zero Claim if nobody claims.
func newestClaim(claims []Claim) (newest Claim) {
	for _, c := range claims {
		switch {
		case !c.Complete || c.Epoch < newest.Epoch:
		case c.Epoch == newest.Epoch:
			newest.Ring = max(newest.Ring, c.Ring)
		default:
			newest = c
		}
	}
	return newest
}

func sameMembers(a, b []Ref) bool {
	return slices.EqualFunc(a, b, func(x, y Ref) bool { return x.ID == y.ID })
}

func (m *Member) repaired() {
	r := &m.repair
	r.settled = !r.again
	r.last, r.missing = m.now, 0
	if m.now.Sub(m.began) >= elderAfter {
		m.elder = m.ring
	}
	r.behind = 0
	m.inContact()
	m.orderPurge()
	if m.ring == len(m.view) && r.lacking == 0 && m.now.Sub(m.maintenance.viewed) >= forgetAfter {
		m.forgotten, m.missed = nil, nil
	}
	if !r.again {
		r.offers = nil
	}
	m.rejudge()
	m.straysSoon()
	m.nextRound(m.cfg.Repair)
}

func (m *Member) nextRound(d time.Duration) {
	r := &m.repair
	r.round = nil
	if m.phase != member {
		return
	}
	if r.again {
		d = min(d, repairDelay)
	}
	m.timers.stop(r.timer)
	r.timer = m.after(d, m.repairRound)
}
