package storage

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
)

const (
	// TakePieceLength is the piece length of a stream of which nobody says how long it
	// will be.
	TakePieceLength = 1 << 20
	// takeBuffers bounds what Take holds in memory, in bytes; two pieces it may always hold.
	takeBuffers = 256 << 20
)

// ErrTooLong: a stream has more pieces than a .torrent can tell of.
var ErrTooLong = errors.New("it is too long for pieces of that size")

// Take copies all that src gives into the new, empty file f, and hashes it on the way, so
// that src is read once, in order, and each byte is hashed once: by so many workers (0: one
// per core), of which one reads while the others hash and write. Runs of zeros become holes.
// name is what the torrent is called, from what src is called in errors, which have the
// offset. hint is how many bytes are to be expected, for the piece length; -1 means unknown.
// progress, if not nil, is told the bytes so far, by one worker at a time. Take returns as
// Build does and does not wait for the disk; what is in f after an error is of no use.
// Between reads it looks at ctx, and whether writing has failed: a read that blocks is for
// src to interrupt.
func Take(ctx context.Context, src io.Reader, from string, f *os.File, name string, hint int64, workers int, progress func(done int64)) (*Layout, []byte, [20]byte, error) {
	fail := func(err error) (*Layout, []byte, [20]byte, error) { return nil, nil, [20]byte{}, err }
	if err := checkComponent(name); err != nil {
		return fail(fmt.Errorf("a torrent cannot be called %q: %w", name, err))
	}
	l := &Layout{Name: name, Single: true, PieceLength: TakePieceLength}
	if hint >= 0 {
		l.PieceLength = PieceLength(hint)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	t := &taking{ctx: ctx, stop: stop, src: src, from: from, f: f, pieceLength: l.PieceLength, progress: progress, empty: make(map[int][HashLen]byte)}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	for range min(workers, max(2, int(takeBuffers/l.PieceLength))) {
		t.all.Go(t.work)
	}
	t.all.Wait()
	if t.failed != nil {
		return fail(t.failed)
	}
	if err := f.Truncate(t.read); err != nil { // it may end with a hole
		return fail(fmt.Errorf("set the length of %s: %w", f.Name(), reason(err)))
	}
	l.Total, l.Pieces = t.read, t.pieces
	l.Files = []File{{Path: name, Length: t.read}}
	torrent, hash, err := encode(l, options{})
	if err != nil {
		return fail(err)
	}
	return l, torrent, hash, nil
}

// taking is one Take under way.
type taking struct {
	ctx         context.Context // ends with the first failure too
	stop        func()
	src         io.Reader
	from        string
	f           *os.File
	pieceLength int64
	all         sync.WaitGroup

	reading sync.Mutex // src, and what follows
	read    int64
	over    bool

	mu       sync.Mutex // what follows, and the calls of progress
	pieces   []byte
	empty    map[int][HashLen]byte // by size: the hash of so many zeros
	done     int64
	progress func(int64)
	failed   error
}

func (t *taking) work() {
	buf := make([]byte, t.pieceLength)
	for {
		data, at, err := t.next(buf)
		if err == nil && len(data) == 0 {
			return
		}
		var sum [HashLen]byte
		if err == nil {
			sum = t.hash(data)
			if err = writeSparse(t.f, data, at); err != nil {
				err = fmt.Errorf("write %s: %w", t.f.Name(), reason(err))
			}
		}
		if !t.note(data, at, sum, err) {
			return
		}
	}
}

// next reads a piece; none when there are no more.
func (t *taking) next(buf []byte) (data []byte, at int64, err error) {
	t.reading.Lock()
	defer t.reading.Unlock()
	if t.over {
		return nil, 0, nil
	}
	t.over = true // until it turns out that there may be more
	if err := t.ctx.Err(); err != nil {
		return nil, 0, err
	}
	at = t.read
	n, err := readAll(t.ctx, t.src, buf)
	t.read += int64(n)
	switch {
	case err == io.EOF:
		return buf[:n], at, nil
	case err != nil && t.ctx.Err() != nil:
		return nil, 0, t.ctx.Err()
	case err != nil:
		return nil, 0, fmt.Errorf("read %s at byte %d: %w", t.from, t.read, reason(err))
	case (at/t.pieceLength+1)*HashLen > MaxTorrent*7/8: // some room for the rest of it
		return nil, 0, fmt.Errorf("%w: %s has more than %d bytes, in pieces of %d", ErrTooLong, t.from, t.read, t.pieceLength)
	}
	t.over = false
	return buf, at, nil
}

// readAll fills buf; io.EOF means that src has ended, perhaps before that. Of io.ReadFull it
// could not be told whether src has ended or broken off.
func readAll(ctx context.Context, src io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		var got int
		got, err = src.Read(buf[n:])
		n += got
	}
	return n, err
}

// hash gives the hash of a piece. That of zeros is computed once.
func (t *taking) hash(data []byte) [HashLen]byte {
	if !isZero(data) {
		return sha1.Sum(data)
	}
	t.mu.Lock()
	sum, known := t.empty[len(data)]
	t.mu.Unlock()
	if !known {
		sum = hashOfZeros(int64(len(data)))
		t.mu.Lock()
		t.empty[len(data)] = sum
		t.mu.Unlock()
	}
	return sum
}

// note enters what came of a piece; false when it is over.
func (t *taking) note(data []byte, at int64, sum [HashLen]byte, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		i := int(at/t.pieceLength) * HashLen
		for len(t.pieces) < i+HashLen { // the workers are not done in order
			t.pieces = append(t.pieces, make([]byte, HashLen)...)
		}
		copy(t.pieces[i:], sum[:])
		if t.done += int64(len(data)); t.progress != nil && t.failed == nil {
			t.progress(t.done)
		}
		return t.failed == nil
	}
	if t.failed == nil {
		t.failed = err
		t.stop()
	}
	return false
}

// isZero says whether there is nothing but zeros in data; mostly the first few bytes say that.
func isZero(data []byte) bool {
	for len(data) > 0 {
		n := min(len(data), grid)
		if !bytes.Equal(data[:n], zeros[:n]) {
			return false
		}
		data = data[n:]
	}
	return true
}
