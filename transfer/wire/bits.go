package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/bits"
)

// ErrBitfield is wrapped by FromBytes when a bitfield does not fit its torrent.
var ErrBitfield = errors.New("wrong bitfield")

// Bits is a set of pieces 0..Len()-1. Bit i is bit 63-i%64 of word i/64, so
// that the words in big-endian order are the bytes of the bitfield message;
// bits from Len() on are always zero. Not safe for concurrent writing.
type Bits struct {
	n int
	w []uint64
}

// NewBits returns an empty set of n pieces.
func NewBits(n int) *Bits { return &Bits{n: n, w: make([]uint64, (n+63)/64)} }

// FromBytes reads the payload of a bitfield message for n pieces. The error
// wraps ErrBitfield: another size than (n+7)/8 bytes, or a spare bit is set.
func FromBytes(p []byte, n int) (*Bits, error) {
	if len(p) != (n+7)/8 {
		return nil, fmt.Errorf("%w: %d bytes for %d pieces, not %d", ErrBitfield, len(p), n, (n+7)/8)
	}
	if n%8 != 0 && p[len(p)-1]<<(n%8) != 0 {
		return nil, fmt.Errorf("%w: a bit beyond the %d pieces is set", ErrBitfield, n)
	}
	b := NewBits(n)
	full := len(p) / 8
	for i := range full {
		b.w[i] = binary.BigEndian.Uint64(p[8*i:])
	}
	for i, c := range p[8*full:] {
		b.w[full] |= uint64(c) << (56 - 8*i)
	}
	return b, nil
}

// Bytes returns the payload of the bitfield message, (Len()+7)/8 bytes.
func (b *Bits) Bytes() []byte { return b.AppendBytes(make([]byte, 0, 8*len(b.w))) }

// AppendBytes appends what Bytes returns to dst.
func (b *Bits) AppendBytes(dst []byte) []byte {
	end := len(dst) + (b.n+7)/8
	for _, w := range b.w {
		dst = binary.BigEndian.AppendUint64(dst, w)
	}
	return dst[:end]
}

// Len is the number of pieces the set is about.
func (b *Bits) Len() int { return b.n }

// Get reports whether piece i is in the set; it panics when i is out of range.
func (b *Bits) Get(i int) bool { b.in(i); return b.w[i>>6]&(1<<(63-i&63)) != 0 }

// Set adds piece i; it panics when i is out of range.
func (b *Bits) Set(i int) { b.in(i); b.w[i>>6] |= 1 << (63 - i&63) }

// Clear removes piece i; it panics when i is out of range.
func (b *Bits) Clear(i int) { b.in(i); b.w[i>>6] &^= 1 << (63 - i&63) }

func (b *Bits) in(i int) {
	if uint(i) >= uint(b.n) {
		panic(fmt.Sprintf("wire: piece %d of %d", i, b.n))
	}
}

// SetAll adds every piece.
func (b *Bits) SetAll() {
	for i := range b.w {
		b.w[i] = ^uint64(0)
	}
	if b.n%64 != 0 {
		b.w[len(b.w)-1] <<= 64 - b.n%64
	}
}

// Count is the number of pieces in the set.
func (b *Bits) Count() int {
	c := 0
	for _, w := range b.w {
		c += bits.OnesCount64(w)
	}
	return c
}

// All reports whether every piece is in the set; true when there is none at all.
func (b *Bits) All() bool {
	for i, w := range b.w {
		if i == len(b.w)-1 && b.n%64 != 0 {
			return w == ^uint64(0)<<(64-b.n%64)
		}
		if w != ^uint64(0) {
			return false
		}
	}
	return true
}

// None reports whether no piece is in the set.
func (b *Bits) None() bool {
	for _, w := range b.w {
		if w != 0 {
			return false
		}
	}
	return true
}

// Clone returns a copy of its own.
func (b *Bits) Clone() *Bits { return &Bits{n: b.n, w: append([]uint64(nil), b.w...)} }

// Equal reports whether both are the same set of the same pieces.
func (b *Bits) Equal(o *Bits) bool {
	if b.n != o.n {
		return false
	}
	for i, w := range b.w {
		if w != o.w[i] {
			return false
		}
	}
	return true
}

// Or adds every piece of o, which must have the same Len.
func (b *Bits) Or(o *Bits) {
	b.same(o)
	for i, w := range o.w {
		b.w[i] |= w
	}
}

// AndNotAny reports whether b has a piece that o has not: whether a peer with b
// is interesting to one with o. Both must have the same Len.
func (b *Bits) AndNotAny(o *Bits) bool {
	b.same(o)
	for i, w := range b.w {
		if w&^o.w[i] != 0 {
			return true
		}
	}
	return false
}

// AndNotCount is the number of pieces that b has and o has not.
func (b *Bits) AndNotCount(o *Bits) int {
	b.same(o)
	c := 0
	for i, w := range b.w {
		c += bits.OnesCount64(w &^ o.w[i])
	}
	return c
}

func (b *Bits) same(o *Bits) {
	if b.n != o.n {
		panic(fmt.Sprintf("wire: sets of %d and %d pieces", b.n, o.n))
	}
}

// Each yields the pieces of the set in ascending order. Clearing what was just
// yielded is fine.
func (b *Bits) Each() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, w := range b.w {
			for w != 0 {
				lead := bits.LeadingZeros64(w)
				w &^= 1 << (63 - lead)
				if !yield(i<<6 + lead) {
					return
				}
			}
		}
	}
}

// EachAnd yields the pieces that are in both sets, in ascending order.
func (b *Bits) EachAnd(o *Bits) iter.Seq[int] {
	b.same(o)
	return func(yield func(int) bool) {
		for i, w := range b.w {
			w &= o.w[i]
			for w != 0 {
				lead := bits.LeadingZeros64(w)
				w &^= 1 << (63 - lead)
				if !yield(i<<6 + lead) {
					return
				}
			}
		}
	}
}

// Shares divides the pieces into at most n equal runs and tells for each which
// share of it is in the set, 0 (nothing) to 255 (all of it): what a peer has,
// in few bytes. A run that has something never says 0, and only a complete one
// says 255.
func (b *Bits) Shares(n int) []byte {
	n = min(n, b.n)
	out := make([]byte, n)
	have := make([]int, n)
	for i := range b.Each() {
		have[i*n/b.n]++
	}
	for k, c := range have {
		// Run k holds the pieces i with k <= i*n/b.n < k+1.
		size := ((k+1)*b.n+n-1)/n - (k*b.n+n-1)/n
		switch c {
		case 0:
		case size:
			out[k] = 255
		default:
			out[k] = byte(min(max(c*255/size, 1), 254))
		}
	}
	return out
}
