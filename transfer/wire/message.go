package wire

import (
	"encoding/binary"
	"fmt"
)

// MessageID tells messages apart: 0..255 is the id byte, KeepAlive the message
// that has none.
type MessageID int16

// The messages of BEP 3, 6 and 10; the package comment says what each carries.
const (
	KeepAlive     MessageID = -1
	Choke         MessageID = 0
	Unchoke       MessageID = 1
	Interested    MessageID = 2
	NotInterested MessageID = 3
	Have          MessageID = 4
	Bitfield      MessageID = 5
	Request       MessageID = 6
	Piece         MessageID = 7
	Cancel        MessageID = 8
	Port          MessageID = 9
	Suggest       MessageID = 13
	HaveAll       MessageID = 14
	HaveNone      MessageID = 15
	Reject        MessageID = 16
	AllowedFast   MessageID = 17
	ExtendedMsg   MessageID = 20
)

var names = map[MessageID]string{
	KeepAlive: "keep-alive", Choke: "choke", Unchoke: "unchoke", Interested: "interested",
	NotInterested: "not interested", Have: "have", Bitfield: "bitfield", Request: "request",
	Piece: "piece", Cancel: "cancel", Port: "port", Suggest: "suggest piece", HaveAll: "have all",
	HaveNone: "have none", Reject: "reject request", AllowedFast: "allowed fast", ExtendedMsg: "extended",
}

// String is the name of the message in the BEPs, or "unknown message N".
func (id MessageID) String() string {
	if s, ok := names[id]; ok {
		return s
	}
	return fmt.Sprintf("unknown message %d", int(id))
}

// shape is how the payload of a message is built.
type shape uint8

const (
	raw   shape = iota // bytes, kept as they are
	empty              // nothing
	index              // u32 piece
	block              // u32 piece, u32 begin, u32 length
	field              // bitfield
	data               // u32 piece, u32 begin, bytes
)

func shapeOf(id MessageID) shape {
	switch id {
	case KeepAlive, Choke, Unchoke, Interested, NotInterested, HaveAll, HaveNone:
		return empty
	case Have, Suggest, AllowedFast:
		return index
	case Request, Cancel, Reject:
		return block
	case Bitfield:
		return field
	case Piece:
		return data
	}
	return raw
}

// Message is one message. The slices of a parsed message point into the bytes
// it was parsed from.
type Message struct {
	ID MessageID
	// Index is the piece of have, request, piece, cancel, suggest, reject, allowed fast.
	Index uint32
	// Begin is the offset in bytes inside the piece: request, piece, cancel, reject.
	Begin uint32
	// Length is the number of bytes meant: request, cancel, reject; of a parsed piece, len(Block).
	Length uint32
	Bits   []byte // bitfield, see FromBytes
	Block  []byte // piece
	// Payload is everything after the id of extended, port and unknown messages.
	Payload []byte
}

// Append appends m, with its length prefix, to dst. Only the fields that belong
// to m.ID are looked at.
func (m Message) Append(dst []byte) []byte {
	if m.ID == KeepAlive {
		return append(dst, 0, 0, 0, 0)
	}
	switch shapeOf(m.ID) {
	case empty:
		return appendHead(dst, m.ID, 0)
	case index:
		return binary.BigEndian.AppendUint32(appendHead(dst, m.ID, 4), m.Index)
	case block:
		dst = binary.BigEndian.AppendUint32(appendHead(dst, m.ID, 12), m.Index)
		dst = binary.BigEndian.AppendUint32(dst, m.Begin)
		return binary.BigEndian.AppendUint32(dst, m.Length)
	case field:
		return append(appendHead(dst, m.ID, len(m.Bits)), m.Bits...)
	case data:
		return append(AppendPieceHeader(dst, m.Index, m.Begin, uint32(len(m.Block))), m.Block...)
	}
	return append(appendHead(dst, m.ID, len(m.Payload)), m.Payload...)
}

// AppendPieceHeader appends the first PieceHeaderLen bytes of a piece message
// whose block of length bytes the caller sends by itself (sendfile).
func AppendPieceHeader(dst []byte, index, begin, length uint32) []byte {
	dst = binary.BigEndian.AppendUint32(appendHead(dst, Piece, 8+int(length)), index)
	return binary.BigEndian.AppendUint32(dst, begin)
}

func appendHead(dst []byte, id MessageID, payload int) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(1+payload)), byte(id))
}
