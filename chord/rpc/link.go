package rpc

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"chordtorrent/chord"
)

const (
	helloTimeout = 5 * time.Second  // until a stranger has said Hello
	frameTimeout = 30 * time.Second // from a frame's first byte to its last
	writeTimeout = 10 * time.Second // for each writeChunk: who reads slower is dropped
	idleTimeout  = 5 * time.Minute  // without a frame in either direction
	// spareIdle is idleTimeout of the second connection of a pair, which is
	// there because both dialed at once.
	spareIdle  = 10 * time.Second
	closeGrace = 500 * time.Millisecond // to write what waits when we close
	writeChunk = 256 << 10
)

// errIdle ends a connection that nobody used.
var errIdle = errors.New("idle")

// errReplaced ends a connection in whose place the other side has made one.
var errReplaced = errors.New("replaced")

// errSlow ends a connection whose other side does not read.
var errSlow = errors.New("the other side does not read")

// link is an established connection: one goroutine reads it, another writes
// what others put into out. The first error of either ends both.
type link struct {
	conn   net.Conn
	r      *frameReader
	out    *outbox
	peer   chord.Ref // as in its Hello; zero for a client
	speaks uint16    // likewise: its Version
	dialed bool      // by us
	spare  atomic.Bool
	used   atomic.Int64 // when the last batch was written, UnixNano
	asked  unanswered

	once sync.Once
	err  error         // why it ended; read after done
	done chan struct{} // closed at the end
}

func newLink(conn net.Conn, r *frameReader, theirs Hello, dialed, limited bool) *link {
	return &link{conn: conn, r: r, out: newOutbox(limited), peer: theirs.Member, speaks: theirs.Version, dialed: dialed, done: make(chan struct{})}
}

// unheardOf says whether a number may be that of a message which the other side's newer
// program knows and ours does not.
func (l *link) unheardOf(kind uint8) bool { return l.speaks > Version && roleOf(kind) == 0 }

// fail ends the link; the first reason counts.
func (l *link) fail(err error) {
	l.once.Do(func() {
		l.err = err
		close(l.done)
		_ = l.conn.Close() // unblocks reader and writer
	})
}

// next waits for a frame as long as the link is in use at all.
func (l *link) next() (frame, error) {
	for l.r.br.Buffered() == 0 {
		limit := idleTimeout
		if l.spare.Load() {
			limit = spareIdle
		}
		now := time.Now()
		if err := l.conn.SetReadDeadline(now.Add(limit)); err != nil {
			return frame{}, err
		}
		_, err := l.r.br.Peek(1)
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return frame{}, err
		}
		if time.Since(time.Unix(0, l.used.Load())) >= limit {
			return frame{}, errIdle
		}
	}
	if err := l.conn.SetReadDeadline(time.Now().Add(frameTimeout)); err != nil {
		return frame{}, err
	}
	return l.r.next()
}

// admit makes every frame wait for memory (see frameReader.admit).
func (l *link) admit(wait func(head byte, bytes int64) *share) {
	l.r.admit = func(head byte, bytes int64) *share {
		held := wait(head, bytes)
		if held != nil && bytes > keepBuffer {
			// The rest of it has its time from now on.
			_ = l.conn.SetReadDeadline(time.Now().Add(frameTimeout)) // an error shows in the next read
		}
		return held
	}
}

// demote shortens the life of a link that its pair does not need.
func (l *link) demote() {
	l.spare.Store(true)
	_ = l.conn.SetReadDeadline(time.Now().Add(spareIdle)) // an error shows in the reader
}

// write sends what is put into out until the link or out ends. It gives the
// frames of the write that failed, which may have arrived or not, and those
// that were never written.
func (l *link) write() (lost, rest batch) {
	var spare []byte
	for {
		b, more := l.out.take(spare)
		if len(b.tickets) > 0 {
			_ = l.asked.add(b) // it ends after this has
			if err := l.writeAll(b.bytes); err != nil {
				l.fail(err)
				lost = b
				for i, t := range b.tickets {
					l.asked.remove(t.seq)
					lost.tickets[i].sent = true
				}
				break
			}
			l.used.Store(time.Now().UnixNano())
			for _, t := range b.tickets {
				if t.done != nil {
					t.done()
				}
			}
			spare = b.bytes
			continue
		}
		if !more {
			l.fail(net.ErrClosed)
			break
		}
		spare = nil
		select {
		case <-l.out.wake:
		case <-l.done:
		}
		if l.ended() {
			break
		}
	}
	return lost, l.out.close()
}

func (l *link) writeAll(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), writeChunk)
		if err := l.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		if _, err := l.conn.Write(b[:n]); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return errSlow
			}
			return err
		}
		b = b[n:]
	}
	return nil
}

func (l *link) ended() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// release tells the owners of frames that nothing more happens to them.
func (b batch) release() {
	for _, t := range b.tickets {
		if t.done != nil {
			t.done()
		}
	}
}

// endReason is the counter for an error that ended a connection.
func endReason(err error) string {
	switch {
	case errors.Is(err, ErrUnknownKind):
		return "unknown_kind"
	case errors.Is(err, ErrMalformed):
		return "malformed"
	case errors.Is(err, ErrRefused):
		return "refused"
	case errors.Is(err, errIdle):
		return "idle"
	case errors.Is(err, errSlow):
		return "slow_reader"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, errReplaced):
		return "closed"
	}
	return "broken"
}
