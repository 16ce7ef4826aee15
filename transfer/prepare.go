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
	// probeRange is how much is looked at at once to see whether it is in memory.
	probeRange = 1 << 20
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
			if c.inMemory(j.spans) {
				b.open(j.spans, j.release)
				continue
			}
		}
		c.s.away++
		c.l.e.readers.submit(j)
	}
}

// inMemory tells whether sending the spans would not wait for a disk. Further
// blocks of a range that was found in memory are not looked at again.
func (c *conn) inMemory(spans []storage.Span) bool {
	for _, sp := range spans {
		if c.warm.file == sp.File && sp.Off >= c.warm.from && sp.Off+sp.Len <= c.warm.to {
			continue
		}
		n := max(sp.Len, probeRange)
		if resident(int(sp.File.Fd()), sp.Off, n) {
			c.warm = warmRange{sp.File, sp.Off, sp.Off + n}
		} else if n == sp.Len || !resident(int(sp.File.Fd()), sp.Off, sp.Len) {
			return false
		}
	}
	return true
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
