package storage

import (
	"crypto/sha1"

	"chordtorrent/transfer/wire"
)

// Holes gives the pieces that hold nothing but zeros, as their hashes show: in a file
// that was made at its full length they are there already, and need not be fetched.
func Holes(l *Layout) *wire.Bits {
	holes := wire.NewBits(l.NumPieces())
	empty := make(map[int64][HashLen]byte) // size -> hash of so many zeros
	for i := range l.NumPieces() {
		size := l.PieceSize(i)
		sum, known := empty[size]
		if !known {
			sum = hashOfZeros(size)
			empty[size] = sum
		}
		if string(sum[:]) == string(l.PieceHash(i)) {
			holes.Set(i)
		}
	}
	return holes
}

func hashOfZeros(n int64) [HashLen]byte {
	h := sha1.New()
	for n > 0 {
		part := min(n, grid)
		h.Write(zeros[:part])
		n -= part
	}
	return [HashLen]byte(h.Sum(nil))
}
