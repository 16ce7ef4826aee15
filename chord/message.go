package chord

import "time"

// The messages between members. Each request has one reply type; a member
// that is asked for something it does not do in its present state answers
// with a Code, never with silence.

// GetNeighbors asks for a member's place on the ring; any answer also proves
// that the member is alive (Chord 4.4, Zave 2017).
//
// Known is the hash of the answer that the asker has from before, 0 if it has
// none.
type GetNeighbors struct{ Known uint64 }

// Neighbors is the answer to GetNeighbors and Departing.
type Neighbors struct {
	Same   bool // as Known says; nothing else is given
	Joined bool // false: the asked one is itself still joining
	Pred   Ref
	Succ   []Ref
	Purged Stamp // up to which the asked one may have forgotten tombstones
	// Elder is how many members the ring had in which the asked one's range was
	// complete in an earlier life, or has been for a while; 0: none that is older.
	Elder int
}

// Purge tells a replica to forget the tombstones of the arc (From, To] up to
// the stamp Horizon; the answer is Granted.
type Purge struct {
	From, To ID
	Horizon  Stamp
}

// Forsake tells a member of a Forget; the answer is Granted.
type Forsake struct{ ID ID }

// AskClock asks what time it is at a member.
type AskClock struct{}

// ClockIs is the answer to AskClock: the member's own clock, not ring time.
type ClockIs struct{ Now Time }

// Rectify tells a member that the sender takes it for its first successor, so
// that it may adopt the sender as its predecessor (Zave's rectify).
type Rectify struct{}

// Rectified is the answer to Rectify.
type Rectified struct{}

// Departing tells the neighbours of a member that leaves who its neighbours
// were, so that they close the gap at once.
type Departing struct {
	Pred Ref
	Succ []Ref
}

// FindOwner asks who owns a place on the ring.
type FindOwner struct{ Target ID }

// OwnerHint is the answer to FindOwner: either the asked one is the owner, or
// Next are the members it knows that lie closest before the target, the best
// one first, followed by its guess of the owner.
type OwnerHint struct {
	Owner bool
	Pred  Ref
	Next  []Ref
}

// ForwardGet hands a client's Get to the owner of the key; Left is for how long
// the client waits.
type ForwardGet struct {
	Op   Get
	Left time.Duration
}

// ForwardedGet is the answer to ForwardGet. With CodeNotOwner, Hint is the
// member to ask instead.
type ForwardedGet struct {
	Reply GetReply
	Hint  Ref
}

// ForwardPut hands a client's Put to the owner of the key; Left is for how long
// the client waits. Sent is when this was sent, in milliseconds of ring time: the
// owner stamps the write within stampWithin of it or not at all. Tried is the
// highest stamp that it was tried with before, which the next is to be above.
type ForwardPut struct {
	Op    Put
	Left  time.Duration
	Sent  int64
	Tried Stamp
}

// ForwardedPut is the answer to ForwardPut.
type ForwardedPut struct {
	Reply PutReply
	Hint  Ref
}

// Claim is how far a member vouches for what it holds of a range: Complete
// since the owner's round Epoch, when the ring had Ring members. Newest is the
// highest epoch it holds any part of the range by, complete or not, and Next the
// latest grant of any part that it was told of and does not hold by.
type Claim struct {
	Complete bool
	Epoch    uint64
	Ring     int
	Holders  Holders // of Epoch
	Newest   uint64
	Next     Intent
}

// latest is the epoch of the last grant the claim knows of that is one of the
// range itself, or of a part of it that was only told of.
func (c Claim) latest() uint64 {
	if c.Complete {
		return max(c.Epoch, c.Next.Epoch)
	}
	return c.Next.Epoch
}

// highest is the highest epoch the claim knows of.
func (c Claim) highest() uint64 { return max(c.Newest, c.Next.Epoch) }

// GetStamps asks for the stamps of a map's fields, without their values.
type GetStamps struct {
	Key    Key
	Prefix string
	After  string
	Limit  int // fields, at most
}

// FieldStamp is a field without its value.
type FieldStamp struct {
	Name    string
	Stamp   Stamp
	Expires int64
	Deleted bool
	Size    int // of the value, bytes
}

// Stamps is the answer to GetStamps.
type Stamps struct {
	Code  Code
	Claim Claim // of the asked member, for this key
	Items []FieldStamp
	More  bool
}

// GetFields asks for whole fields by name.
type GetFields struct {
	Key   Key
	Names []string
}

// Fields is the answer to GetFields: those that are held, tombstones too, as
// many as fit into one message.
type Fields struct {
	Code   Code
	Fields []Field
}

// MergeFields asks to merge fields into a map and to answer when that is
// durable (hard) or done (soft).
type MergeFields struct {
	Key    Key
	Fields []Field
}

// Merged is the answer to MergeFields. By its claim for the key the replica
// tells a writer whether another has become the owner since, and by Held, the
// highest stamp of what it had of these fields before, if it was not the same, whether
// another has written.
type Merged struct {
	Code  Code
	Claim Claim
	Held  Stamp
}

// Summarize asks what the asked one holds of the arc (After, End], a part of
// the range (From, To] that is being compared: the digests of its parts as
// parts divides it, or with List those of its single maps.
type Summarize struct {
	Class      Class
	From, To   ID
	After, End ID
	List       bool
	Digest     Digest // of what the asker holds of the arc
}

// KeyDigest is a map's name and its digest.
type KeyDigest struct {
	Key    Key
	Digest Digest
}

// Summary is the answer to Summarize: Equal, or Parts, or a page of Keys: all
// maps in (After, End] of what was asked for.
type Summary struct {
	Code  Code
	Claim Claim // for the whole range
	// Claims are what Claim is made of, unless that is one claim to the whole range,
	// or none to any of it.
	Claims []Arc
	Equal  bool
	Parts  []Digest
	Keys   []KeyDigest
	End    ID
	More   bool
	// Purged is up to which the asked one may have forgotten tombstones.
	Purged Stamp
}

// Grant tells a replica that its copy of the arc (From, To] is complete as of
// the owner's round Epoch.
type Grant struct {
	From, To ID
	Epoch    uint64
	Ring     int
	Holders  Holders
}

// Prepare tells a member that counts so far, and will not by a Grant that is
// about to come, of that; the answer is Granted. See grant.
type Prepare struct {
	From, To ID
	Next     Intent
}

// Granted is the answer to Grant, Prepare, Purge and Forsake.
type Granted struct{ Code Code }

func (GetNeighbors) body() {}
func (Neighbors) body()    {}
func (Rectify) body()      {}
func (Departing) body()    {}
func (FindOwner) body()    {}
func (OwnerHint) body()    {}
func (ForwardGet) body()   {}
func (ForwardedGet) body() {}
func (ForwardPut) body()   {}
func (ForwardedPut) body() {}
func (GetStamps) body()    {}
func (Stamps) body()       {}
func (GetFields) body()    {}
func (Fields) body()       {}
func (MergeFields) body()  {}
func (Merged) body()       {}
func (Summarize) body()    {}
func (Summary) body()      {}
func (Grant) body()        {}
func (Prepare) body()      {}
func (Granted) body()      {}
func (Rectified) body()    {}
func (Purge) body()        {}
func (Forsake) body()      {}
func (AskClock) body()     {}
func (ClockIs) body()      {}
