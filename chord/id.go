package chord

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
)

// IDBytes is the width of an identifier: the ring has 2^160 places.
const IDBytes = 20

// ID is a place on the ring, big-endian, modulo 2^160.
type ID [IDBytes]byte

// ParseID reads the 40 hex digits that String writes.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 2*IDBytes {
		return id, fmt.Errorf("ring id %q: want %d hex digits, have %d", s, 2*IDBytes, len(s))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return id, fmt.Errorf("ring id %q: %w", s, err)
	}
	return id, nil
}

// String gives 40 hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Short gives the first 8 hex digits, for people.
func (id ID) Short() string { return hex.EncodeToString(id[:4]) }

// Compare orders identifiers as numbers: -1, 0, +1.
func (id ID) Compare(other ID) int {
	// Most differ at once; this is the innermost loop of lookups.
	if a, b := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(other[:8]); a != b {
		if a < b {
			return -1
		}
		return 1
	}
	return bytes.Compare(id[8:], other[8:])
}

// Between reports whether x lies strictly inside the arc that runs clockwise
// from a to b. With a == b the arc is the whole ring but that one place.
func Between(a, x, b ID) bool {
	if a.Compare(b) < 0 {
		return a.Compare(x) < 0 && x.Compare(b) < 0
	}
	return x.Compare(a) > 0 || x.Compare(b) < 0
}

// InArc reports whether x lies in the half-open arc (a, b], the shape of the
// range a member owns: a is its predecessor, b the member itself. With a == b
// the arc is the whole ring.
func InArc(a, x, b ID) bool { return x == b || Between(a, x, b) }

// Distance is the way clockwise from a to b, as a number modulo 2^160.
func Distance(a, b ID) ID {
	var d ID
	borrow := 0
	for i := IDBytes - 1; i >= 0; i-- {
		v := int(b[i]) - int(a[i]) - borrow
		borrow = 0
		if v < 0 {
			v += 256
			borrow = 1
		}
		d[i] = byte(v)
	}
	return d
}

// top is the last place before the ring's seam.
var top = func() (id ID) {
	for i := range id {
		id[i] = 0xff
	}
	return id
}()

// plus is a + b modulo 2^160.
func plus(a, b ID) ID {
	carry := 0
	for i := IDBytes - 1; i >= 0; i-- {
		v := int(a[i]) + int(b[i]) + carry
		a[i], carry = byte(v), v>>8
	}
	return a
}

var one = ID{IDBytes - 1: 1}

// next and previous are the places beside id.
func next(id ID) ID     { return plus(id, one) }
func previous(id ID) ID { return Distance(one, id) }

// sixteenth is a length divided by 16. The zero length is that of the whole
// ring.
func sixteenth(length ID) (part ID) {
	if length == (ID{}) {
		part[0] = 0x10
		return part
	}
	for i := range part {
		part[i] = length[i] >> 4
		if i > 0 {
			part[i] |= length[i-1] << 4
		}
	}
	return part
}

// Ref names a ring member and says how to reach it.
type Ref struct {
	ID   ID
	Addr string // host:port of its ring port, as it advertises it
}

// IsZero reports whether the Ref names nobody.
func (r Ref) IsZero() bool { return r == Ref{} }

// HashKey is the place of a key on the ring: SHA-1 over all its bytes.
func HashKey(k Key) ID { return sha1.Sum([]byte(k)) }

// SplitWidest gives an identifier in the middle of the widest of some arcs: who
// joins a ring draws places at random, asks for the arcs they lie in, and takes
// this one, so that members own about equal shares (the more arcs, the more
// equal). It is anywhere in the middle sixteenth, so that two who choose the same
// arc at the same time share it.
func SplitWidest(rng *rand.Rand, gaps []Arc) ID {
	var widest Arc
	var width ID // less one, so that the whole ring is the widest
	for i, a := range gaps {
		if w := previous(Distance(a.From, a.To)); i == 0 || w.Compare(width) > 0 {
			widest, width = a, w
		}
	}
	at, part := widest.From, sixteenth(sixteenth(width))
	for range 120 + rng.IntN(16) {
		at = plus(at, part)
	}
	for part = sixteenth(part); part != (ID{}); part = sixteenth(part) {
		for range rng.IntN(16) {
			at = plus(at, part)
		}
	}
	return at
}
