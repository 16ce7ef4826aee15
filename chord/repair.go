package chord

import (
	"encoding/binary"
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
	round    *round // under way
	again    bool
	timer    timer
	complete bool
	config   []Ref  // the replicas that count, this member first; empty until the first round ends
	epoch    uint64 // of config
	base     base   // by what the range is complete, before there is a config
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
	attempts []attempt     // grants since config that not all have confirmed
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

// base is what has completed the parts of a range, and the latest grant that any
// of the claims knew of.
type base struct {
	parts []part
	known uint64
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
		r.offers, r.purged = nil, 0
		m.voided()
		r.complete = !m.keeps(fillFirst)
	}
	r.settled = false
	m.event("range", m.pred, "owns the range behind %s", m.pred.ID.Short())
	m.rejudge()
	m.repairSoon()
}

// voided has the range completed anew. What a round under way has heard may be
// from before others came to own the range, and gave it back.
func (m *Member) voided() {
	r := &m.repair
	r.complete, r.config = false, nil
	if r.round != nil {
		r.round.void = true
	}
	m.restartWrites()
}

// markBits is how many bits of its granter's id an epoch ends in.
const markBits = 32

// nextEpoch is the epoch this member grants when e is the highest it knows of:
// higher, and no other member's, but for one whose id ends in the same markBits: of
// two who grant the same range, on two sides of a partition, one pair in 2^32 does.
func (m *Member) nextEpoch(e uint64) uint64 { return (e>>markBits+1)<<markBits | m.epochMark() }

func (m *Member) epochMark() uint64 {
	return uint64(binary.BigEndian.Uint32(m.self.ID[IDBytes-markBits/8:]))
}

// overtaken looks at a claim to something this member owns. If another member
// has granted it later than this one, or is about to, the range has gone on
// elsewhere, as on the other side of a partition, and has to be completed anew.
func (m *Member) overtaken(c Claim) {
	r := &m.repair
	since := r.base.known
	if len(r.config) > 0 {
		since = r.epoch
	}
	if !r.complete || c.latest() <= since || m.answersFor(c.latest()) {
		return
	}
	m.voided()
	m.repairSoon()
}

// repairSoon asks for a round now, because something has changed.
func (m *Member) repairSoon() {
	r := &m.repair
	r.settled, r.straying = false, true
	if m.phase != member {
		return
	}
	if r.round != nil {
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
	grace := m.cfg.RestartGrace
	if len(r.config) > 0 {
		left, ring = 1, m.ring
		for _, c := range r.config[1:] {
			if listed(m.succ, c.ID) {
				left++
			} else if _, back := m.inView(c.ID); back {
				grace = 2 * m.cfg.RestartGrace // the list will name it in a moment
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
	return max(0, r.missing.Add(grace).Sub(m.now))
}
