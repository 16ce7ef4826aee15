package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// PieceHeaderLen is what a piece message has before its block.
const PieceHeaderLen = 13

var (
	// ErrTooLong is wrapped when a message exceeds its limit.
	ErrTooLong = errors.New("message too long")
	// ErrMalformed is wrapped when a message cannot have the length it has.
	ErrMalformed = errors.New("malformed message")
)

// Limits bound what a peer may send, in bytes. A zero field forbids what it
// counts, except for MaxRequest.
type Limits struct {
	MaxBlock    uint32 // block of a piece message
	MaxBitfield uint32 // bitfield, (pieces+7)/8 once the torrent is known
	MaxPayload  uint32 // extended, port and unknown messages
	// MaxRequest is the longest block that may be asked for; zero: not looked at here.
	MaxRequest uint32
}

// DefaultLimits fits a torrent of so many pieces: blocks and requests up to
// 1 MiB, a bitfield of exactly that torrent at most, 256 KiB of extended payload.
func DefaultLimits(pieces int) Limits {
	return Limits{MaxBlock: 1 << 20, MaxBitfield: uint32((pieces + 7) / 8), MaxPayload: 256 << 10, MaxRequest: 1 << 20}
}

// largest is the greatest length prefix that any message may have.
func (l Limits) largest() uint64 {
	return 1 + max(uint64(l.MaxBlock)+8, uint64(l.MaxBitfield), uint64(l.MaxPayload), 12)
}

// Header is the beginning of a message: enough to know what follows.
type Header struct {
	ID MessageID
	// Length is the number of bytes of the message that follow the header: of a
	// piece message its block, of others the whole payload.
	Length uint32
	Index  uint32 // of a piece message
	Begin  uint32 // of a piece message
}

// ParseHeader reads the beginning of the message at the start of b: the length
// prefix and the id, and of a piece message the piece and offset too, so that
// the block can be read straight to where it belongs. n is the length of the
// header (4, 5 or 13); n == 0 without an error means that b is too short. An
// error wraps ErrTooLong or ErrMalformed and comes as early as it can be known.
func ParseHeader(b []byte, lim Limits) (h Header, n int, err error) {
	if len(b) < 4 {
		return Header{}, 0, nil
	}
	length := binary.BigEndian.Uint32(b)
	if length == 0 {
		return Header{ID: KeepAlive}, 4, nil
	}
	if uint64(length) > lim.largest() {
		return Header{}, 0, fmt.Errorf("%w: %d bytes announced, no message has more than %d", ErrTooLong, length, lim.largest())
	}
	if len(b) < 5 {
		return Header{}, 0, nil
	}
	h = Header{ID: MessageID(b[4]), Length: length - 1}
	if err := h.check(lim); err != nil {
		return Header{}, 0, err
	}
	if h.ID != Piece {
		return h, 5, nil
	}
	if len(b) < PieceHeaderLen {
		return Header{}, 0, nil
	}
	h.Length -= 8
	h.Index = binary.BigEndian.Uint32(b[5:])
	h.Begin = binary.BigEndian.Uint32(b[9:])
	return h, PieceHeaderLen, nil
}

// check compares the payload length of a message with what its id allows.
func (h Header) check(lim Limits) error {
	var want uint32
	switch shapeOf(h.ID) {
	case empty:
	case index:
		want = 4
	case block:
		want = 12
	case field:
		return h.atMost(lim.MaxBitfield)
	case data:
		if h.Length < 8 {
			return fmt.Errorf("%w: piece with a payload of %d bytes, at least 8", ErrMalformed, h.Length)
		}
		if h.Length-8 > lim.MaxBlock {
			return fmt.Errorf("%w: piece with a block of %d bytes, at most %d", ErrTooLong, h.Length-8, lim.MaxBlock)
		}
		return nil
	default:
		return h.atMost(lim.MaxPayload)
	}
	if h.Length != want {
		return fmt.Errorf("%w: %v with a payload of %d bytes instead of %d", ErrMalformed, h.ID, h.Length, want)
	}
	return nil
}

func (h Header) atMost(limit uint32) error {
	if h.Length > limit {
		return fmt.Errorf("%w: %v with a payload of %d bytes, at most %d", ErrTooLong, h.ID, h.Length, limit)
	}
	return nil
}

// Parse reads the message at the start of b; n is its length with the prefix.
// n == 0 without an error means that b does not hold all of it yet. An error
// wraps ErrTooLong or ErrMalformed. The slices of m point into b.
func Parse(b []byte, lim Limits) (m Message, n int, err error) {
	h, hn, err := ParseHeader(b, lim)
	if err != nil || hn == 0 {
		return Message{}, 0, err
	}
	n = hn + int(h.Length)
	if len(b) < n {
		return Message{}, 0, nil
	}
	m = Message{ID: h.ID}
	payload := b[hn:n:n]
	switch shapeOf(h.ID) {
	case empty:
	case index:
		m.Index = binary.BigEndian.Uint32(payload)
	case block:
		m.Index = binary.BigEndian.Uint32(payload)
		m.Begin = binary.BigEndian.Uint32(payload[4:])
		m.Length = binary.BigEndian.Uint32(payload[8:])
		if m.ID == Request && lim.MaxRequest != 0 && m.Length > lim.MaxRequest {
			return Message{}, 0, fmt.Errorf("%w: request for %d bytes, at most %d", ErrTooLong, m.Length, lim.MaxRequest)
		}
	case field:
		m.Bits = payload
	case data:
		m.Index, m.Begin, m.Length, m.Block = h.Index, h.Begin, h.Length, payload
	default:
		m.Payload = payload
	}
	return m, n, nil
}
