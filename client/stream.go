package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

// arrivals tells readers which pieces are there. The zero value has none.
type arrivals struct {
	mu     sync.Mutex
	have   *wire.Bits // nil before begin
	change chan struct{}
	wanted map[*Reader][]int // what each open reader waits for or will
}

func (a *arrivals) begin(have *wire.Bits) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.have, a.change, a.wanted = have.Clone(), make(chan struct{}), make(map[*Reader][]int)
}

func (a *arrivals) add(piece int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.have == nil {
		return // before begin, which is told of it
	}
	a.have.Set(piece)
	close(a.change)
	a.change = make(chan struct{})
}

// Shares tells which pieces are there, as the shares of at most n runs of them: 0 to
// 255 each. Before anything is known it is nil.
func (d *Download) Shares(n int) []byte {
	d.arrived.mu.Lock()
	defer d.arrived.mu.Unlock()
	if d.arrived.have == nil {
		return nil
	}
	return d.arrived.have.Shares(n)
}

// readAhead is how much before a reader is fetched before all else, in bytes: some
// seconds of film.
const readAhead = 8 << 20

// Reader reads one file of a download, also while it is coming in: a Read waits for
// the piece under it, which is fetched before all others, with those behind it. It
// is an io.ReadSeekCloser for one goroutine.
type Reader struct {
	d    *Download
	ctx  context.Context
	file storage.File
	off  int64 // in the file
	from int   // the piece that was asked for last; -1: none
}

// Files lists the files of a download.
func (d *Download) Files() []storage.File { return d.layout.Files }

// Open makes a Reader of the file with this index in Files, whose reads end with ctx.
func (d *Download) Open(ctx context.Context, file int) *Reader {
	return &Reader{d: d, ctx: ctx, file: d.layout.Files[file], from: -1}
}

// Seek implements io.Seeker.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.off
	case io.SeekEnd:
		offset += r.file.Length
	}
	if offset < 0 {
		return 0, errors.New("seeking to before the beginning of the file")
	}
	r.off = offset
	return offset, nil
}

// Read implements io.Reader. It gives no more than one piece, blocks until that is
// there, and fails with ErrInterrupted when the download has ended without it.
func (r *Reader) Read(p []byte) (int, error) {
	if r.off >= r.file.Length {
		return 0, io.EOF
	}
	at := r.file.Offset + r.off
	piece := int(at / r.d.layout.PieceLength)
	end := min(int64(piece+1)*r.d.layout.PieceLength, r.file.Offset+r.file.Length)
	if err := r.await(piece); err != nil {
		return 0, err
	}
	p = p[:min(int64(len(p)), end-at)]
	n, err := r.d.content.ReadAt(p, at)
	if n > 0 {
		err = nil
	}
	r.off += int64(n)
	return n, err
}

// await blocks until a piece is there.
func (r *Reader) await(piece int) error {
	if piece != r.from {
		r.from = piece
		r.hurry(piece)
	}
	for {
		r.d.arrived.mu.Lock()
		there, change := r.d.arrived.have.Get(piece), r.d.arrived.change
		r.d.arrived.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-change:
		case <-r.ctx.Done():
			return context.Cause(r.ctx)
		case <-r.d.done:
			if r.d.err != nil {
				return fmt.Errorf("%q: %w", r.d.Name, r.d.err)
			}
			return nil // complete
		case <-r.d.torrent.Failed():
			return fmt.Errorf("%q: %w", r.d.Name, r.d.torrent.Err())
		case <-time.After(hurryAgain): // more of what is behind it may be wanted by now
			r.hurry(piece)
		}
	}
}

const hurryAgain = 5 * time.Second

// hurry has the pieces under and before the reader fetched first, beside those of
// the other readers.
func (r *Reader) hurry(piece int) {
	last := int(min(r.file.Offset+r.file.Length-1, r.file.Offset+r.off+readAhead) / r.d.layout.PieceLength)
	a := &r.d.arrived
	a.mu.Lock()
	a.wanted[r] = nil
	for i := piece; i <= last; i++ {
		if !a.have.Get(i) {
			a.wanted[r] = append(a.wanted[r], i)
		}
	}
	urgent := a.urgent()
	a.mu.Unlock()
	r.d.torrent.Hurry(urgent)
}

// urgent is what all readers want, the nearest of each first.
func (a *arrivals) urgent() []int {
	var all []int
	for i := 0; ; i++ {
		more := false
		for _, pieces := range a.wanted {
			if i < len(pieces) {
				all, more = append(all, pieces[i]), true
			}
		}
		if !more {
			return all
		}
	}
}

// Close lets what the reader was waiting for be fetched in its turn.
func (r *Reader) Close() error {
	a := &r.d.arrived
	a.mu.Lock()
	delete(a.wanted, r)
	urgent := a.urgent()
	a.mu.Unlock()
	r.d.torrent.Hurry(urgent)
	return nil
}
