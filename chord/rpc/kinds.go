package rpc

import "chordtorrent/chord"

// Version is the version of this table and of everything in it. Programs understand each
// other when their versions differ by one at most, so that a ring can be upgraded member
// by member; others refuse each other in their Hello.
//
// What the version before can do without raises it by one: a field at the end of a struct
// (of one that is embedded nowhere) whose zero value means what was meant before, which the
// older program skips, and a message that it drops. Anything else raises it by two.
const Version = 6

// fits says whether programs of these versions understand each other.
func fits(a, b uint16) bool { return max(a, b)-min(a, b) <= 1 }

// role says when a message may travel.
type role uint8

const (
	setup   role = iota + 1 // the first frames of a connection, and its last
	request                 // a client's operation
	reply                   // the answer to one
	message                 // between members, either way
)

// kind is one row of the table: an example of the message, by value.
type kind struct {
	role role
	msg  any
}

// kinds is the one list of what may stand in a frame: frame number → message.
// A number is never given to another message, and 1..127 is what there is
// (the top bit of the number on the wire marks a reply).
//
// To add a message between members: one line below, with the next number. Its
// fields are exported and of plain types (integers, bool, string, []byte,
// [n]byte, slices and structs of those); a program that finds another kind of
// field in the table does not start, and the tests walk the table.
var kinds = [maxKinds]kind{
	1: {setup, Hello{}},
	2: {setup, Refused{}},

	// Clients and members: chord/op.go.
	16: {request, chord.Get{}},
	17: {reply, chord.GetReply{}},
	18: {request, chord.Put{}},
	19: {reply, chord.PutReply{}},
	20: {request, chord.AssignID{}},
	21: {reply, chord.AssignIDReply{}},
	22: {request, chord.GetStatus{}},
	23: {reply, chord.Status{}},
	24: {request, chord.Forget{}},
	25: {reply, chord.ForgetReply{}},

	// Members among themselves: chord/message.go, from 40 on.
	40: {message, chord.GetNeighbors{}},
	41: {message, chord.Neighbors{}},
	42: {message, chord.Rectify{}},
	43: {message, chord.Departing{}},
	44: {message, chord.FindOwner{}},
	45: {message, chord.OwnerHint{}},
	46: {message, chord.ForwardGet{}},
	47: {message, chord.ForwardedGet{}},
	48: {message, chord.ForwardPut{}},
	49: {message, chord.ForwardedPut{}},
	50: {message, chord.GetStamps{}},
	51: {message, chord.Stamps{}},
	52: {message, chord.GetFields{}},
	53: {message, chord.Fields{}},
	54: {message, chord.MergeFields{}},
	55: {message, chord.Merged{}},
	56: {message, chord.Summarize{}},
	57: {message, chord.Summary{}},
	58: {message, chord.Grant{}},
	59: {message, chord.Granted{}},
	60: {message, chord.Purge{}},
	61: {message, chord.AskClock{}},
	62: {message, chord.ClockIs{}},
	63: {message, chord.Forsake{}},
	64: {message, chord.Rectified{}},
	65: {message, chord.Prepare{}},
}
