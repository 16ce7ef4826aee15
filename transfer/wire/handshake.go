package wire

import (
	"errors"
	"fmt"
)

// HandshakeLen is the size of a handshake in bytes.
const HandshakeLen = 68

const protocolName = "\x13BitTorrent protocol"

var (
	// ErrNotBitTorrent is wrapped by ParseHandshake when the other side speaks
	// something else; the message says at which byte it stopped being BitTorrent.
	ErrNotBitTorrent = errors.New("not a BitTorrent handshake")
	// ErrShortHandshake means that all bytes so far are right and more must follow.
	ErrShortHandshake = errors.New("incomplete BitTorrent handshake")
)

// Feature is one bit of the reserved bytes of a handshake: what a peer can do
// beyond BEP 3.
type Feature struct{ at, bit byte }

// The features whose messages this package knows.
var (
	Fast     = Feature{7, 0x04} // BEP 6
	Extended = Feature{5, 0x10} // BEP 10
	DHT      = Feature{7, 0x01} // BEP 5
)

// Handshake is what both sides say first.
type Handshake struct {
	Reserved [8]byte
	InfoHash [20]byte
	PeerID   [20]byte
}

// Set claims a feature.
func (h *Handshake) Set(f Feature) { h.Reserved[f.at] |= f.bit }

// Has reports whether the sender claims a feature.
func (h Handshake) Has(f Feature) bool { return h.Reserved[f.at]&f.bit != 0 }

// Append appends the HandshakeLen bytes of h to dst.
func (h Handshake) Append(dst []byte) []byte {
	dst = append(dst, protocolName...)
	dst = append(dst, h.Reserved[:]...)
	dst = append(dst, h.InfoHash[:]...)
	return append(dst, h.PeerID[:]...)
}

// ParseHandshake reads the handshake at the start of b. It may be called with
// what is there so far: it returns ErrShortHandshake while that could still
// become one, and wraps ErrNotBitTorrent from the first wrong byte on.
func ParseHandshake(b []byte) (Handshake, error) {
	var h Handshake
	for i := 0; i < len(protocolName) && i < len(b); i++ {
		if b[i] != protocolName[i] {
			return h, fmt.Errorf("%w: byte %d is 0x%02x, not 0x%02x", ErrNotBitTorrent, i, b[i], protocolName[i])
		}
	}
	if len(b) < HandshakeLen {
		return h, ErrShortHandshake
	}
	copy(h.Reserved[:], b[20:])
	copy(h.InfoHash[:], b[28:])
	copy(h.PeerID[:], b[48:])
	return h, nil
}
