package storage

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"sync"

	"chordtorrent/transfer/wire"

	"golang.org/x/sys/unix"
)

// readSize is how much a hashing worker reads at once: small enough to be still
// in the processor's cache when it is hashed.
const readSize = 512 << 10

// Verify hashes what is there on so many workers (0: one per core) and returns
// the pieces that are right. Files that are missing, too short or no files have wrong
// pieces, not an error; holes are compared without being read. progress, if not
// nil, is told the bytes looked at so far, by one worker at a time. The error
// is that of ctx or of the disk. Whether a file has changed since it was opened
// does not matter here.
func Verify(ctx context.Context, c *Content, workers int, progress func(done, total int64)) (*wire.Bits, error) {
	return VerifyAmong(ctx, c, nil, workers, progress)
}

// VerifyAmong is Verify of some pieces alone; nil: of all.
func VerifyAmong(ctx context.Context, c *Content, among *wire.Bits, workers int, progress func(done, total int64)) (*wire.Bits, error) {
	have := wire.NewBits(c.l.NumPieces())
	err := hashPieces(ctx, c, among, workers, progress, func(i int, sum [HashLen]byte) {
		if string(sum[:]) == string(c.l.PieceHash(i)) {
			have.Set(i)
		}
	})
	if err != nil {
		return nil, err
	}
	return have, nil
}

// hashPieces calls found for every piece among these (nil: all) that is there in full, one at
// a time, in any order.
func hashPieces(ctx context.Context, c *Content, among *wire.Bits, workers int, progress func(done, total int64), found func(i int, sum [HashLen]byte)) error {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex // everything below, and the calls of progress and found
		next   int
		done   int64
		failed error
		empty  = make(map[int64][HashLen]byte) // size -> hash of so many zeros
	)
	work := func() {
		h := &pieceHasher{c: c, buf: make([]byte, min(readSize, c.l.PieceLength))}
		for {
			mu.Lock()
			for among != nil && next < c.l.NumPieces() && !among.Get(next) {
				done += c.l.PieceSize(next)
				next++
			}
			i := next
			next++
			stop := failed != nil || i >= c.l.NumPieces()
			mu.Unlock()
			if stop {
				return
			}
			size := c.l.PieceSize(i)
			hole, err := h.isHole(int64(i)*c.l.PieceLength, size)
			var sum [HashLen]byte
			known := false
			if hole {
				mu.Lock()
				sum, known = empty[size]
				mu.Unlock()
			}
			if err == nil && !known {
				sum, err = h.hash(ctx, int64(i)*c.l.PieceLength, size)
			}
			mu.Lock()
			switch {
			case err == nil:
				if hole {
					empty[size] = sum
				}
				found(i, sum)
			case errors.Is(err, errAbsent):
			case failed == nil:
				failed = err
			}
			if done += size; progress != nil && failed == nil {
				progress(done, c.l.Total)
			}
			mu.Unlock()
		}
	}
	for range min(workers, c.l.NumPieces()) {
		wg.Go(work)
	}
	wg.Wait()
	return failed
}

// errAbsent: a file is missing or too short.
var errAbsent = errors.New("not there")

// pieceHasher is what one worker needs.
type pieceHasher struct {
	c   *Content
	buf []byte
}

// open opens file i without minding whether it has changed.
func (h *pieceHasher) open(i int) (*handle, error) {
	f, err := h.c.handles.acquire(i, false)
	for _, absent := range []error{fs.ErrNotExist, ErrNotRegular, unix.ENOTDIR} {
		if errors.Is(err, absent) {
			return nil, errAbsent
		}
	}
	return f, err
}

// isHole reports whether a range is nothing but holes and padding. It costs no
// search in files that have all their blocks.
func (h *pieceHasher) isHole(off, n int64) (bool, error) {
	dense := errors.New("dense")
	err := h.c.l.each(off, n, func(i int, at, n int64) error {
		if h.c.l.Files[i].Pad {
			return nil
		}
		f, err := h.open(i)
		if err != nil {
			return err
		}
		defer h.c.handles.release(f)
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Blocks*512 >= st.Size || !isHole(f.File, at, n) {
			return dense
		}
		return nil
	})
	if err == dense {
		return false, nil
	}
	return err == nil, err
}

// hash reads and hashes a range.
func (h *pieceHasher) hash(ctx context.Context, off, n int64) (sum [HashLen]byte, err error) {
	d := sha1.New()
	err = h.c.l.each(off, n, func(i int, at, n int64) error {
		pad := h.c.l.Files[i].Pad
		var f *handle
		if !pad {
			var err error
			if f, err = h.open(i); err != nil {
				return err
			}
			defer h.c.handles.release(f)
		}
		for n > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			buf := h.buf[:min(n, int64(len(h.buf)))]
			if pad {
				clear(buf)
			} else if _, err := f.ReadAt(buf, at); err == io.EOF {
				return errAbsent
			} else if err != nil {
				return fmt.Errorf("read %s: %w", h.c.name(i), reason(err))
			}
			d.Write(buf)
			at += int64(len(buf))
			n -= int64(len(buf))
		}
		return nil
	})
	d.Sum(sum[:0])
	return sum, err
}
