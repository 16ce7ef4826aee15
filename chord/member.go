package chord

import (
	"math/rand/v2"
	"time"
)

// Config is what a Member needs to begin. Zero durations take the default.
type Config struct {
	Self  Ref
	Rand  *rand.Rand // the only source of randomness
	Store Store
	State State // as loaded from disk; the zero State for a new member

	Stabilize  time.Duration // between two rounds of ring maintenance; default 500 ms
	Repair     time.Duration // between two comparisons with each replica when nothing changes; default 10 s
	MinRTO     time.Duration // first time-out towards a fast peer; default 50 ms
	MaxRTO     time.Duration // longest time-out of one request; default 1.5 s
	OpTimeout  time.Duration // a client operation gives up after it; default 10 s
	JoinWindow time.Duration // silence after which a member is alone; default 1 s
}

// State is what a member must not forget over a restart, besides its maps.
type State struct {
	HighStamp Stamp // no stamp above it was ever given out by this member
	// Ring is the number of members in the last view in which this member's
	// range was repaired completely; quorums follow it. 0 means never.
	Ring    int
	Known   []Ref // members seen last, for rejoining
	Counter uint64
}

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
	Reply any // GetReply, PutReply, AssignIDReply or Status: as the operation was
}

// Event is a change of state that an operator wants to know.
type Event struct {
	Kind string // "joined", "alone", "merged", "successor", "predecessor", "range", "left": static
	Ref  Ref    // whom it is about
	Text string // for people
}

// Member is one member of the ring. Its methods are called by one goroutine
// at a time, with times that never run backwards; after each call (or a batch
// of them) the caller drains Take and carries out what it says.
type Member struct{}

// New makes a member that has done nothing yet.
func New(cfg Config) (*Member, error) { panic("unwritten") }

// Start begins to join: by the hints and views given so far and from now on.
// With nobody heard of for JoinWindow the member is a ring of one.
func (m *Member) Start(now Time) {}

// Receive takes a message from another member.
func (m *Member) Receive(now Time, env Envelope) {}

// Unreachable says that the request seq could not be delivered to a member.
func (m *Member) Unreachable(now Time, to Ref, seq uint64) {}

// Stored confirms the store operation with that token, or says why it failed.
func (m *Member) Stored(now Time, token uint64, err error) {}

// View gives the members that gossip believes alive, Self included, any order.
func (m *Member) View(now Time, members []Ref) {}

// Do begins a client's operation: a Get, Put, AssignID or GetStatus. Its end
// comes out of Take as a Done with the token, at the latest after OpTimeout.
func (m *Member) Do(now Time, token uint64, op any) {}

// Tick runs the timers that are due.
func (m *Member) Tick(now Time) {}

// Leave hands over what the member holds, then leaves: Event "left" ends it.
func (m *Member) Leave(now Time) {}

// Ready reports whether the member is part of a ring, be it of one.
func (m *Member) Ready() bool { return false }

// Take gives and forgets all output since the last Take.
func (m *Member) Take() Output { return Output{} }
