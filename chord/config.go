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
	// TombstoneLife is how long a deleted hard field is remembered at least;
	// default 10 days. It has to be the same in the whole ring.
	TombstoneLife time.Duration
	// RestartGrace is how long the place of a dead replica stays free for its
	// return, as long as enough others are left; default 5 s.
	RestartGrace time.Duration
	// RepairBytesPerSec bounds what this member brings into order by itself,
	// sent and received; default 32 MiB/s.
	RepairBytesPerSec int

	// Place, if set, is taken at Start without joining: for simulations of a
	// ring that stands already.
	Place *Place

	listLength int  // L, set by tests; default by the size of the ring
	without    rule // rules that a test has switched off
}

// Place is a member's place in a ring: its neighbours, and fingers as far as
// they are known.
type Place struct {
	Pred    Ref
	Succ    []Ref // in ring order
	Fingers []Ref
}

// State is what a member must not forget over a restart, besides its maps.
type State struct {
	HighStamp Stamp // no stamp above it was ever given out by this member
	// Ring is the number of members in the last view in which this member's
	// range was repaired completely; quorums follow it. 0 means never.
	Ring int
	// Arcs are the ranges whose copy here was complete when the state was
	// written. After a restart they are claims among others: the newest count.
	Arcs  []Arc
	Epoch uint64 // the highest that this member has granted or tried to
	Known []Ref  // members seen last, for rejoining
	// Purged is the stamp up to which this member may have forgotten
	// tombstones; Contact is when, in milliseconds of ring time, its maps were
	// last compared with the ring's.
	Purged  Stamp
	Contact int64
	// Forgotten are members that an operator has declared gone for good.
	Forgotten []ID
	// Missed are those of whom this member has known since the ring was last whole, and
	// who are not there.
	Missed []ID
}
