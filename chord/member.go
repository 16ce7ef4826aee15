package chord

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Body is the content of a message between members: one of the types that
// package rpc gives a frame number.
type Body interface{ body() }

// Envelope is a message on its way. A reply carries the Seq of its request.
type Envelope struct {
	From, To Ref
	Seq      uint64
	Reply    bool
	Body     Body
}

// Output is what a Member wants done since the last Take, in this order.
type Output struct {
	Store  []StoreOp
	Send   []Envelope
	Done   []Done
	Events []Event
	Wake   Time // when Tick wants to be called at the latest; 0 means never
}

// Done is the end of an operation begun with Member.Do.
type Done struct {
	Token uint64
	Reply any // GetReply, PutReply, AssignIDReply, ForgetReply or Status: as the operation was
}

// EventRefused is the kind of an event that says that a message from Ref was
// refused; its Text is the reason, one of a few.
const EventRefused = "refused"

// Event is a change of state that an operator wants to know.
type Event struct {
	Kind string // EventRefused, "joined", "alone", "successor", "predecessor", "range", "ring", "left"
	Ref  Ref    // whom it is about
	Text string // for people
}

// Member is one member of the ring. Its methods are called by one goroutine
// at a time, with times that never run backwards; after each call (or a batch
// of them) the caller drains Take and carries out what it says.
type Member struct {
	cfg  Config
	self Ref
	now  Time
	out  Output

	phase     phase
	began     Time // when this life did
	clock     hybridClock
	ringClock ringClock
	ahead     map[Key]Stamp // the last stamps of keys that stand above the clock
	serial    uint64        // of requests, store tokens and timers

	// The ring (ring.go). pred is never zero once phase is member; a ring of
	// one is its own predecessor. succ never holds self, is in ring order and
	// at most L long.
	pred Ref
	succ []Ref
	view []Ref // by gossip, sorted by ID, self included
	// viewWhole says that the view is of the whole ring, see setList.
	viewWhole bool

	maintenance maintenance
	fingers     fingers

	// Data (repair.go). claims are the ranges this member vouches for; ring is
	// the n that quorums follow: members of the last completely repaired view.
	claims arcs
	ring   int
	elder  int  // ring, as it was in an earlier life or has been for a while in this one
	knew   bool // State named other members
	// founded says that the claims are those of a ring of one that began with
	// nothing in this life, and has had nobody else yet.
	founded bool
	given   uint64 // the highest epoch this member has granted or tried to
	repair  repairState

	purged  Stamp // as in State
	contact int64 // as in State
	// contactHere is the same in this life, by this member's own clock.
	contactHere Time

	forgotten, missed []ID // as in State

	requests map[uint64]*request
	timers   timers
	stores   map[uint64]func(error)
	rtt      map[ID]roundTrip // of members that answered
	passed   passages
	writes   map[*writing]uint64 // under way here as owner, by when they began
}

// phase is where a member is in its life.
type phase uint8

const (
	idle phase = iota // before Start
	joining
	member
	leaving
	left
)

func (p phase) String() string {
	return [...]string{"idle", "joining", "member", "leaving", "left"}[p]
}

// New makes a member that has done nothing yet. It fails on a Config that
// cannot work.
func New(cfg Config) (*Member, error) {
	switch {
	case cfg.Rand == nil:
		return nil, errors.New("chord: Config.Rand is missing")
	case cfg.Store == nil:
		return nil, errors.New("chord: Config.Store is missing")
	case cfg.Self.Addr == "":
		return nil, fmt.Errorf("chord: member %s has no address", cfg.Self.ID.Short())
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&cfg.Stabilize, 500*time.Millisecond)
	def(&cfg.Repair, 10*time.Second)
	def(&cfg.MinRTO, 50*time.Millisecond)
	def(&cfg.MaxRTO, 1500*time.Millisecond)
	def(&cfg.OpTimeout, 10*time.Second)
	def(&cfg.JoinWindow, time.Second)
	def(&cfg.TombstoneLife, tombstoneLife)
	def(&cfg.RestartGrace, 5*time.Second)
	if cfg.RepairBytesPerSec <= 0 {
		cfg.RepairBytesPerSec = 32 << 20
	}
	m := &Member{
		cfg:       cfg,
		self:      cfg.Self,
		view:      []Ref{cfg.Self},
		claims:    slices.Clone(arcs(cfg.State.Arcs)),
		ring:      cfg.State.Ring,
		given:     cfg.State.Epoch,
		purged:    cfg.State.Purged,
		contact:   cfg.State.Contact,
		forgotten: slices.Clone(cfg.State.Forgotten),
		missed:    slices.Clone(cfg.State.Missed),
		elder:     cfg.State.Ring,
		knew:      slices.ContainsFunc(cfg.State.Known, func(r Ref) bool { return r.ID != cfg.Self.ID }),
		ahead:     map[Key]Stamp{},
		requests:  map[uint64]*request{},
		stores:    map[uint64]func(error){},
		writes:    map[*writing]uint64{},
		rtt:       map[ID]roundTrip{},
	}
	for _, r := range cfg.State.Known {
		m.miss(r.ID) // until it is seen
	}
	m.cfg.State = State{} // taken over
	// Late replies to an earlier life of this member match nothing.
	m.serial = cfg.Rand.Uint64() >> 16
	m.clock = hybridClock{last: cfg.State.HighStamp, reserved: cfg.State.HighStamp}
	return m, nil
}

// Start begins to join: by the views given so far and from now on. With
// nobody heard of for JoinWindow the member is a ring of one.
func (m *Member) Start(now Time) {
	m.advance(now)
	if m.phase != idle {
		return
	}
	m.phase, m.began = joining, m.now
	m.keepTime()
	if p := m.cfg.Place; p != nil {
		for _, r := range p.Fingers {
			m.fingers.insert(r)
		}
		m.becomeMember(p.Pred, p.Succ)
		m.cfg.Place = nil // it is said; there may be very many members
		return
	}
	m.startJoin()
}

// Receive takes a message from another member.
func (m *Member) Receive(now Time, env Envelope) {
	m.advance(now)
	if m.phase == idle || m.phase == left || env.Body == nil {
		return
	}
	if reason := m.refusal(env); reason != "" {
		m.event(EventRefused, env.From, "%s", reason)
		return
	}
	if env.Reply {
		m.answered(env)
		return
	}
	m.serve(env)
}

// Unreachable says that there will be no answer to the request seq: it could not be
// delivered to that member or, if it was sent, the connection ended first.
func (m *Member) Unreachable(now Time, to Ref, seq uint64, sent bool) {
	m.advance(now)
	if r := m.requests[seq]; r != nil && r.to.ID == to.ID {
		err := errUnreachable
		if sent {
			err = errBroken
		}
		m.finish(seq, nil, err)
	}
}

// Stored confirms the store operation with that token, or says why it failed.
func (m *Member) Stored(now Time, token uint64, err error) {
	m.advance(now)
	if done := m.stores[token]; done != nil {
		delete(m.stores, token)
		done(err)
	}
}

// View gives the members that gossip believes alive, Self included, any order.
func (m *Member) View(now Time, members []Ref) {
	m.advance(now)
	m.setView(members)
}

// Do begins a client's operation: a Get, Put, AssignID, Forget or GetStatus. Its end
// comes out of Take as a Done with the token, at the latest after OpTimeout.
func (m *Member) Do(now Time, token uint64, op any) { m.DoWithin(now, token, op, m.cfg.OpTimeout) }

// DoWithin is Do for an operation whose client waits only so long: after that a
// write is not begun anew, so that what its client has given up does not
// override what it has written since.
func (m *Member) DoWithin(now Time, token uint64, op any, left time.Duration) {
	m.advance(now)
	left = min(left, m.cfg.OpTimeout)
	done := func(reply any) { m.out.Done = append(m.out.Done, Done{Token: token, Reply: reply}) }
	switch op := op.(type) {
	case Get:
		m.get(op, left, func(r GetReply) { done(r) })
	case Put:
		m.put(op, left, func(r PutReply) { done(r) })
	case AssignID:
		done(m.assignID())
	case Lookup:
		m.find(op.Target, func(r LookupReply) { done(r) })
	case Forget:
		m.forget(op.ID, func(r ForgetReply) { done(r) })
	case GetStatus:
		done(m.status())
	default:
		panic(fmt.Sprintf("chord: Do(%T)", op))
	}
}

// Due is when Tick wants to be called at the latest, as Take tells it; 0 means
// never.
func (m *Member) Due() Time { return m.timers.next() }

// Tick runs the timers that are due.
func (m *Member) Tick(now Time) { m.advance(now) }

// Leave hands over what the member holds, then leaves: Event "left" ends it.
func (m *Member) Leave(now Time) {
	m.advance(now)
	m.startLeave()
}

// Ready reports whether the member is part of a ring, be it of one.
func (m *Member) Ready() bool { return m.phase == member }

// Take gives and forgets all output since the last Take.
func (m *Member) Take() Output {
	out := m.out
	m.out = Output{}
	out.Wake = m.timers.next()
	return out
}

// event tells the operator of a change.
func (m *Member) event(kind string, ref Ref, format string, args ...any) {
	m.out.Events = append(m.out.Events, Event{Kind: kind, Ref: ref, Text: fmt.Sprintf(format, args...)})
}

// store asks for a write; done, if not nil, is called when it is durable.
func (m *Member) store(op StoreOp, done func(error)) {
	if done != nil {
		m.serial++
		op.Token = m.serial
		m.stores[op.Token] = done
	}
	m.out.Store = append(m.out.Store, op)
	if op.Kind == StoreMerge && !m.keeps(keepTombstones) {
		m.out.Store = append(m.out.Store, StoreOp{Kind: StorePurge, Key: op.Key, Purge: slices.DeleteFunc(slices.Clone(op.Merge), func(f Field) bool { return !f.Deleted })})
	}
}

// saveState writes what must survive a restart.
func (m *Member) saveState() { m.saveStateThen(nil) }

// saveStateThen is saveState that calls done when it is durable.
func (m *Member) saveStateThen(done func(error)) {
	m.store(StoreOp{Kind: StoreState, State: &State{
		HighStamp: m.clock.reserved,
		Ring:      m.ring,
		Arcs:      slices.Clone(m.claims),
		Epoch:     m.given,
		Known:     slices.Clone(m.view),
		Purged:    m.purged,
		Contact:   m.contact,
		Forgotten: slices.Clone(m.forgotten),
		Missed:    slices.Clone(m.missed),
	}}, done)
}
