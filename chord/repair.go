package chord

import (
	"slices"
	"time"
)

const (
	repairPause = 300 * time.Millisecond // before a round that failed is repeated
	repairDelay = 20 * time.Millisecond  // lets changes that come together be one round
)

// repairState is what this member knows of the range it owns, (pred, self].
//
// A range goes through rounds. In each the owner compares its copy with every
// replica's, and both sides take over what is newer at the other. When the
// claims of those who answered make a read quorum, the owner holds every
// acknowledged write: complete. When a complete owner has found all replicas
// equal it grants them the range under a new epoch, and once all have
// confirmed, that set is the one quorums count by.
type repairState struct {
	running  bool
	again    bool
	timer    timer
	complete bool
	config   []Ref  // the replicas that count, this member first; empty until the first round ends
	epoch    uint64 // of config
	base     uint64 // the oldest epoch whose claims completed the range, before there is a config
	dirty    map[ID]bool
	behind   int // maps found differing in the last round
	settled  bool
	last     Time // when a round last found everything in order
	sweep    timer
	looking  timer         // when strays are looked for
	strays   []Arc         // found at the last look, and not dropped since
	lacking  int           // ranges that should be held here and were not granted, at the last look
	handing  int           // of these, being brought to their owners
	straying bool          // this member may hold copies that their owner lacks
	attempts [][]Ref       // the sets of grants since config that not all have confirmed
	flying   map[uint64]ID // writes on their way to replicas, by the serial of their sending
	// missing is since when a replica that counts, or the predecessor, has been
	// out of reach; 0: it has not.
	missing Time
	// claimants is how many claimed the newest epoch, and were equal, when the
	// owner without a config had completed its range.
	claimants int
	offers    []Ref // others that hold something of this range and have asked since the last round that ended well
	purged    Stamp // the horizon of the last purge of this range that all replicas have confirmed
	paid      Time  // until when what was transferred takes up the rate
	touched   []ID  // places of maps merged into while strays are handed over
}

// startData begins the care for data when the member takes its place.
func (m *Member) startData() {
	m.repair.dirty, m.repair.flying = map[ID]bool{}, map[uint64]ID{}
	m.rangeChanged(false)
	m.repair.sweep = m.after(sweepEvery, m.sweepSoft)
}

// rangeChanged starts afresh: the range has another beginning.
func (m *Member) rangeChanged(shrunk bool) {
	r := &m.repair
	claim := m.claims.over(m.pred.ID, m.self.ID)
	// A shrunken range is as complete as the larger one was, and its replicas
	// count as before. A larger one has a part that they were not asked about;
	// and a ring of one that is taken into another was not the only owner.
	keep := shrunk && r.complete && claim.Complete && claim.Epoch == r.epoch && len(r.config) > 0
	if !keep {
		if r.complete && r.missing == 0 && !shrunk {
			r.missing = m.now // the predecessor has gone
		}
		r.complete, r.config, r.offers, r.purged = !m.keeps(fillFirst), nil, nil, 0
		m.restartWrites()
	}
	r.settled = false
	m.event("range", m.pred, "owns the range behind %s", m.pred.ID.Short())
	m.rejudge()
	m.repairSoon()
}

// nextEpoch is the epoch this member grants when e is the highest it knows of:
// higher, and no other member's, as it ends in 16 bits of this member's id.
func (m *Member) nextEpoch(e uint64) uint64 { return (e>>16+1)<<16 | m.epochMark() }

func (m *Member) epochMark() uint64 {
	return uint64(m.self.ID[IDBytes-2])<<8 | uint64(m.self.ID[IDBytes-1])
}

// overtaken looks at a claim to something this member owns. If another member
// has granted it later than this one, the range has gone on elsewhere, as on
// the other side of a partition, and has to be completed anew.
func (m *Member) overtaken(c Claim) {
	r := &m.repair
	if len(r.config) == 0 || !c.Complete || c.Epoch <= r.epoch || c.Epoch&0xffff == m.epochMark() {
		return
	}
	r.complete, r.config = false, nil
	m.restartWrites()
	m.repairSoon()
}

// repairSoon asks for a round now, because something has changed.
func (m *Member) repairSoon() {
	r := &m.repair
	r.settled, r.straying = false, true
	if m.phase != member {
		return
	}
	if r.running {
		r.again = true
		return
	}
	m.timers.stop(r.timer)
	r.timer = m.after(repairDelay, m.repairRound)
}

// missed notes that a write did not reach a replica.
func (r *repairState) missed(ref Ref) {
	if r.dirty != nil {
		r.dirty[ref.ID] = true
	}
	r.settled = false
}

// maxOffers bounds the members beside its successors that an owner asks.
const maxOffers = 16

// offered notes who asks for this member's range from outside: after a merge,
// or when many joined at once, that may be the only one with a claim to it, or
// the one with the newest.
func (m *Member) offered(ref Ref) {
	r := &m.repair
	if m.phase != member || len(r.offers) >= maxOffers || slices.Contains(r.offers, ref) {
		return
	}
	r.offers = append(r.offers, ref)
	m.repairSoon()
}

// graceLeft is how long to wait before a dead replica is replaced, as it may be
// back in a moment with all it had: only as long as writes can do without it
// and without one more.
func (m *Member) graceLeft() time.Duration {
	r := &m.repair
	if !r.complete {
		return 0
	}
	left, ring := r.claimants, max(m.ring, len(m.view)+1)
	if len(r.config) > 0 {
		left, ring = 1, m.ring
		for _, c := range r.config[1:] {
			if slices.ContainsFunc(m.succ, func(s Ref) bool { return s.ID == c.ID }) {
				left++
			}
		}
		switch {
		case left == len(r.config):
			r.missing = 0
		case r.missing == 0:
			r.missing = m.now
		}
	}
	if r.missing == 0 || left <= QuorumOf(Hard, ring).W {
		return 0
	}
	return max(0, r.missing.Add(m.cfg.RestartGrace).Sub(m.now))
}

// round is one comparison of this member's range with all its replicas.
type round struct {
	from, to ID
	set      []Ref // this member first
	ring     int   // members at its beginning, as counted
	waiting  int
	claims   []Claim
	heard    map[ID]bool // who has answered, this member among them
	failed   bool
	pulled   int
	pushed   int
	epoch    uint64  // the highest seen
	stale    bool    // some replica does not claim the epoch in force
	equal    []Claim // of those that are equal now
	counted  int     // how many of them are in the set and count so far
	gave     bool    // the replicas were given what they lacked
}

func (m *Member) repairRound() {
	r := &m.repair
	if m.phase != member || r.running {
		return
	}
	if grace := m.graceLeft(); grace > 0 {
		r.timer = m.after(grace, m.repairRound)
		return
	}
	r.running, r.again = true, false
	clear(r.dirty)
	set := m.replicas(QuorumOf(Hard, m.counted()).N)
	rd := &round{from: m.pred.ID, to: m.self.ID, set: set, ring: m.counted(), heard: map[ID]bool{m.self.ID: true}}
	own := m.claims.over(rd.from, rd.to)
	rd.claims = append(rd.claims, own)
	rd.epoch = max(own.Newest, r.epoch)
	rd.waiting = 1
	ask := set
	if !r.complete {
		ask = m.widened(set)
	}
	for _, r := range m.repair.offers {
		if !slices.ContainsFunc(ask, func(a Ref) bool { return a.ID == r.ID }) {
			ask = append(slices.Clip(ask), r)
		}
	}
	// An owner that has just lost its predecessor first finds out whether the
	// range can do without a new replica for a moment.
	rd.gave = r.complete || r.missing == 0 || m.now.Sub(r.missing) >= m.cfg.RestartGrace
	for i, other := range ask[1:] {
		rd.waiting++
		m.compare(other, Hard, rd.from, rd.to, rd.gave && i+1 < len(set), func(c comparison) {
			m.compared(rd, c)
		})
	}
	m.compared(rd, comparison{ok: true, self: true, member: m.self.ID})
}

func (m *Member) compared(rd *round, c comparison) {
	rd.failed = rd.failed || !c.ok
	rd.pulled += c.pulled
	rd.pushed += c.pushed
	if !c.self && c.answered {
		m.overtaken(c.claim)
		rd.claims = append(rd.claims, c.claim)
		rd.heard[c.member] = true
		rd.epoch = max(rd.epoch, c.claim.Newest)
		rd.stale = rd.stale || c.claim.Newest > m.repair.epoch
	}
	if c.self {
		c.claim = rd.claims[0]
	}
	if !c.ok {
		m.repair.offers = slices.DeleteFunc(m.repair.offers, func(r Ref) bool { return r.ID == c.member })
	}
	if c.ok {
		rd.equal = append(rd.equal, c.claim)
	}
	if named := func(r Ref) bool { return r.ID == c.member }; c.ok && slices.ContainsFunc(rd.set, named) {
		rd.stale = rd.stale || !c.claim.Complete || c.claim.Epoch != m.repair.epoch
		if slices.ContainsFunc(m.repair.config, named) {
			rd.counted++
		}
	}
	if rd.waiting--; rd.waiting == 0 {
		m.endRepair(rd)
	}
}

// endRepair judges a round.
func (m *Member) endRepair(rd *round) {
	r := &m.repair
	r.behind = rd.pulled + rd.pushed
	if m.phase != member || rd.from != m.pred.ID {
		m.nextRound(repairDelay)
		return
	}
	became := false
	if !r.complete {
		r.base, became = m.vouched(rd.claims, rd.heard, m.knownRing(rd.claims[0], rd.claims), !rd.failed && m.viewStable() && m.listFits())
	}
	if became {
		r.complete = true
		r.claimants = rd.remaining(nil, r.base)
		m.observeRange()
	}
	// The ring as it was when the range was last complete: here, or as those
	// claim who had it since.
	was := m.ring
	if len(r.config) == 0 {
		was = newestClaim(rd.claims).Ring
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
	case m.keeps(byMajority) && (rd.ring < was || !m.listFits()) && (!m.viewStable() || rd.remaining(r.config, r.base) < m.needed(QuorumOf(Hard, was))):
		// A minority of those that count cannot know what the others have
		// acknowledged meanwhile: it must not make itself the whole, neither in
		// a smaller ring nor while it does not ask the ring that gossip sees.
		m.nextRound(repairPause)
	case became || rd.stale || !sameMembers(rd.set, r.config) || m.ring != rd.ring || m.claims.over(rd.from, rd.to).Epoch != r.epoch:
		m.grant(rd)
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

// remaining tells how many of those that count so far, by the last grant if
// this member made it, are in the set of the round and equal; else how many
// claim the epoch by which this member has completed its range, or a later one,
// and are equal now.
func (rd *round) remaining(config []Ref, base uint64) (n int) {
	if len(config) > 0 {
		return rd.counted
	}
	for _, c := range rd.equal {
		if c.Complete && c.Newest >= base {
			n++
		}
	}
	return n
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
	if m.ring == len(m.view) && m.now.Sub(m.maintenance.viewed) >= forgetAfter {
		m.forgotten = nil
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
	r.running = false
	if m.phase != member {
		return
	}
	if r.again {
		d = min(d, repairDelay)
	}
	m.timers.stop(r.timer)
	r.timer = m.after(d, m.repairRound)
}
