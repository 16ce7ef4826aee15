package transfer

import (
	"fmt"
	"io"

	"chordtorrent/transfer/storage"
)

const (
	// prepareAhead is how many answers of a connection are opened before it is
	// their turn, so that waiting for the disk overlaps with sending.
	prepareAhead = 4
	// readAhead is how much the kernel is told that will be wanted next.
	readAhead = 4 << 20
	// readers is the number of goroutines that wait for the disk for uploads.
	readers = 4
)

// prepare opens the answers to the oldest requests. Opening files and reading
// them from a disk would hold the loop, so that is done by a worker; only a
// single file whose bytes are in memory already is served without one.
func (c *conn) prepare() {
	for len(c.queue) > 0 && len(c.bodies) < prepareAhead && c.state == open {
		b := &body{ask: c.queue[0]}
		c.queue = c.queue[1:]
		c.bodies = append(c.bodies, b)
		j := &reading{c: c, b: b, io: c.s.t.spec.content, off: int64(b.piece)*int64(c.s.geo.PieceLen) + int64(b.begin)}
		if len(c.s.t.spec.Layout.Files) == 1 {
			j.open()
			if j.err != nil {
				j.back()
				return
			}
			if c.inMemory(b.ask, j.spans) {
				b.open(j.spans, j.release)
				continue
			}
		}
		c.s.away++
		c.l.e.readers.submit(j)
	}
}

// inMemory tells whether sending a range, which is one span of the only file, would
// not wait for a disk. The whole piece is looked at, and further ranges of one that
// was found in memory are not looked at again.
func (c *conn) inMemory(a ask, spans []storage.Span) bool {
	if len(spans) != 1 {
		return false
	}
	sp := spans[0]
	if c.warm.file == sp.File && c.warm.piece == a.piece {
		return true
	}
	fd := int(sp.File.Fd())
	if resident(fd, sp.Off-int64(a.begin), int64(c.s.pieceSize(a.piece))) {
		c.warm = warmPiece{sp.File, a.piece}
		return true
	}
	return resident(fd, sp.Off, sp.Len)
}

// reading is an answer that a worker opens and reads into memory.
type reading struct {
	c   *conn
	b   *body
	io  contentIO
	off int64

	spans   []storage.Span
	release func()
	err     error
}

func (r *reading) open() {
	r.spans, r.release, r.err = r.io.Spans(r.off, int64(r.b.size))
}

// run is on a worker.
func (r *reading) run() {
	if r.release == nil {
		r.open()
	}
	if r.err == nil {
		r.err = r.read()
	}
	if !r.c.l.post(r) && r.release != nil {
		r.release()
	}
}

// read makes the spans resident; the bytes themselves are thrown away.
func (r *reading) read() error {
	var sink []byte
	for _, sp := range r.spans {
		if resident(int(sp.File.Fd()), sp.Off, sp.Len) {
			continue
		}
		willNeed(int(sp.File.Fd()), sp.Off, readAhead)
		if sink == nil {
			sink = make([]byte, min(sp.Len, 256<<10))
		}
		for at := int64(0); at < sp.Len; {
			n, err := sp.File.ReadAt(sink[:min(int64(len(sink)), sp.Len-at)], sp.Off+at)
			if n == 0 {
				if err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return err
			}
			at += int64(n)
		}
	}
	return nil
}

// handle is back on the loop.
func (r *reading) handle(l *loop) {
	r.c.s.away--
	r.back()
	r.c.s.checkStopped()
}

func (r *reading) orphaned() {
	if r.release != nil {
		r.release()
	}
}

func (r *reading) back() {
	c := r.c
	switch {
	case r.err != nil:
		r.orphaned()
		c.s.fail(fmt.Errorf("serve piece %d: %w", r.b.piece, r.err))
	case r.b.gone:
		r.orphaned()
	default:
		r.b.open(r.spans, r.release)
		c.wake()
	}
}
