package storage

import (
	"context"
	"crypto/sha1"
	"os"

	"chordtorrent/transfer/wire"
)

// Holes gives the pieces that hold nothing but zeros, as their hashes show: they need
// not be fetched, see MakeHoles.
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

// MakeHoles has these pieces of a target be zeros, as holes in every file that they lie
// in. Those files are there at their full length afterwards. It does not wait for the
// disk (see Sync), but a device may have to write. progress, if not nil, is told the bytes so
// far. The error is that of ctx, or names the file.
func (c *Content) MakeHoles(ctx context.Context, pieces *wire.Bits, progress func(done int64)) error {
	done := int64(0)
	for i := range pieces.Each() {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := c.l.each(int64(i)*c.l.PieceLength, c.l.PieceSize(i), func(file int, at, n int64) error {
			return c.change(file, func(f *os.File) error { return zero(f, at, n) })
		})
		if err != nil {
			return err
		}
		if done += c.l.PieceSize(i); progress != nil {
			progress(done)
		}
	}
	return nil
}

// zero has n bytes from off of a file read as zeros.
func zero(f *os.File, off, n int64) error {
	if isHole(f, off, n) || punchHole(f, off, n) == nil || zeroRange(f, off, n) == nil {
		return nil
	}
	for n > 0 {
		part := min(n, grid)
		if _, err := f.WriteAt(zeros[:part], off); err != nil {
			return err
		}
		off, n = off+part, n-part
	}
	return nil
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
