package chord

import (
	"errors"
	"fmt"
	"time"
)

// Errors that operations end with. They travel between programs as a Code;
// Code.Err and PutReply.Err give them back, to be compared with errors.Is.
var (
	// ErrNotFound is a positive claim: a read quorum of complete replicas
	// holds nothing there.
	ErrNotFound = errors.New("not found in the ring")
	// ErrNotReady means that too few replicas have completed their range for
	// an answer to count. Try again.
	ErrNotReady = errors.New("too few of the ring members that hold this can vouch for it now: try again, or see who is missing with chordnode status")
	// ErrUnavailable means that the owner or a quorum did not answer in time.
	ErrUnavailable = errors.New("too few ring members answered in time")
	// ErrTooLarge means that a key, field, value or message exceeds its limit.
	ErrTooLarge = errors.New("over the ring's size limit")
	// ErrBadRequest means that the operation makes no sense as given.
	ErrBadRequest = errors.New("malformed ring operation")
	// ErrStore means that a member's disk refused a write.
	ErrStore = errors.New("a ring member could not write to its disk: its log and `chordnode status` say why")
	// ErrLeaving means that the asked member is on its way out: ask another.
	ErrLeaving = errors.New("this ring member is leaving")
)

// ErrDegraded is the outcome of a hard write that reached fewer replicas than
// it needs: kept where it arrived, repaired later, but not acknowledged.
type ErrDegraded struct{ Copies, Want int }

func (e *ErrDegraded) Error() string {
	return fmt.Sprintf("stored on %d of the %d ring members that must hold it: not acknowledged", e.Copies, e.Want)
}

// Code is an operation's outcome on the wire; code.go has its name and its
// error.
type Code uint8

// The codes, one per sentinel; CodeOK is success.
const (
	CodeOK Code = iota
	CodeNotFound
	CodeNotReady
	CodeUnavailable
	CodeTooLarge
	CodeBadRequest
	CodeStore
	CodeLeaving
	CodeDegraded
	CodeNotOwner // between members only: ask the hinted one
)

// Get asks for fields of one map. Fields come in byte order of their names;
// tombstones and expired entries are not shown.
type Get struct {
	Key    Key
	Prefix string // only fields whose name begins so
	After  string // only fields whose name is greater; pages a long map
	Limit  int    // at most so many bytes of names and values; 0 means MaxGetBytes
	Sample int    // > 0: a random choice of so many fields instead of the first ones
}

// GetReply is the answer to a Get.
type GetReply struct {
	Code Code
	// Fields that matched. Code is CodeNotFound only if the map has no live
	// field under Prefix at all, as a quorum of complete replicas says.
	Fields []Field
	More   bool // there are fields after the last one given
	Total  int  // live fields that match Prefix, as far as the owner knows
	// Unconfirmed: fewer than R replicas could vouch for it.
	Unconfirmed bool
}

// Update is one field's change in a Put.
type Update struct {
	Name   string
	Value  []byte
	TTL    time.Duration // 0 means it does not expire; 24 h at most, and needed for a soft key
	Delete bool
}

// Put changes fields of one map: all of them by the same stamp, all of them
// or (as far as replicas are reached) none.
type Put struct {
	Key     Key
	Updates []Update
}

// PutReply is the answer to a Put.
type PutReply struct {
	Code   Code
	Stamp  Stamp
	Copies int // members that hold it, durably if the key is hard
	Want   int // members that must hold it for an acknowledgement
}

// AssignID asks a member for a client id (a 63-bit number, unique in the ring
// without agreement, as it is made of the member's stamp and id).
type AssignID struct{}

// AssignIDReply is the answer to AssignID.
type AssignIDReply struct {
	Code     Code
	ClientID uint64
}

// Forget declares a member gone for good, by an operator's word: what its
// range still has then counts as all there is, once everybody left has been
// asked. A member alone that is told to forget itself takes what it holds for
// all there is, as after its only database was damaged.
type Forget struct{ ID ID }

// ForgetReply is the answer to Forget: CodeBadRequest if the member lives.
type ForgetReply struct {
	Code Code
	Told int // members that know of it now, the asked one included
	Of   int // members that there are
}

// Lookup finds the owner of a place on the ring, the iterative way of Chord 4.3
// also where gossip knows better; it is for those who study the ring, and does
// not travel between programs.
type Lookup struct{ Target ID }

// LookupReply is the answer to Lookup: CodeUnavailable if nobody answered.
type LookupReply struct {
	Code     Code
	Owner    Ref
	Pred     Ref // of the owner, as it says
	Hops     int // members that answered on the way, the owner among them
	TimeOuts int
}

// GetStatus asks a member for its view of itself and of the ring.
type GetStatus struct{}

// RangeState is how a member stands to a range of which it holds maps.
type RangeState string

// A range is Incomplete at its owner until that holds every acknowledged write;
// Complete at the owner and the replicas it has granted the range to; Handing at
// an owner that leaves; Stray at a member that is none of its replicas and keeps
// its copy until those have confirmed theirs.
const (
	Incomplete RangeState = "incomplete"
	Complete   RangeState = "complete"
	Handing    RangeState = "handing"
	Stray      RangeState = "stray"
)

// Range is an arc (From, To] of the ring at one member.
type Range struct {
	From, To ID
	State    RangeState
	Own      bool
	Epoch    uint64 // of the grant, 0 if there was none
	Maps     int    // hard ones held
}

// Status is a member's view of itself and of the ring.
type Status struct {
	Self        Ref
	State       string // "joining", "member", "leaving"
	Version     string // of the program, filled in by its driver
	Cluster     string // filled in by its driver
	Predecessor Ref
	Successors  []Ref
	Members     []Ref // by gossip, Self included, in ring order
	Keys        int   // hard keys held
	SoftKeys    int
	Bytes       int64 // of hard values held
	// UnderReplicated counts owned hard keys that fewer members hold than
	// should; IncompleteRanges counts ranges this member is still filling.
	UnderReplicated  int
	IncompleteRanges int
	LastRepair       int64 // milliseconds since the Unix epoch; 0 means never
	Ring             int   // members of the last ring in which this member's range was complete; 0 means never
	Ranges           []Range
	ClockOff         int64  // milliseconds this member's clock is ahead of ring time
	Forgotten        []ID   // members that an operator has declared gone for good
	HTTP             string // host:port of the member's HTTP listener, filled in by its driver
	Trouble          string // why the member cannot write to its disk, "" if it can; filled in by its driver
	Missed           []ID   // members it has known of since the ring was last whole, and who are not there
}
