package rpc

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"time"
)

// MaxFrame is the most that the length of a frame may say, in bytes.
const MaxFrame = 2 << 20

const (
	lengthBytes = 4
	headerBytes = 1 + 8 // type and id, the part of a frame that is always there
	leftBytes   = 4     // what is left of the deadline, in frames that are not replies
	replyBit    = 0x80

	// keepBuffer is the largest buffer kept for reuse: big frames are rare.
	keepBuffer = 64 << 10
)

// frame is one frame taken apart. Its body is valid until the next is read.
type frame struct {
	kind  uint8
	reply bool
	id    uint64
	left  time.Duration // 0: not said
	body  []byte
	held  *share // of the reader's admit
}

// appendFrame appends the frame that carries msg. left is rounded up to whole
// milliseconds, so that little is not nothing.
func appendFrame(dst []byte, msg any, id uint64, isReply bool, left time.Duration) ([]byte, error) {
	start := len(dst)
	dst = append(dst, make([]byte, lengthBytes+headerBytes)...)
	if !isReply {
		dst = binary.BigEndian.AppendUint32(dst, leftMillis(left))
	}
	kind, dst, err := appendBody(dst, msg)
	if err != nil {
		return dst[:start], err
	}
	if isReply {
		kind |= replyBit
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-lengthBytes))
	dst[start+lengthBytes] = kind
	binary.BigEndian.PutUint64(dst[start+lengthBytes+1:], id)
	return dst, nil
}

func leftMillis(left time.Duration) uint32 {
	if left <= 0 {
		return 0
	}
	return uint32(min((left+time.Millisecond-1)/time.Millisecond, math.MaxUint32))
}

// frameReader reads frames into one buffer that grows no faster than the
// bytes arrive.
type frameReader struct {
	br    *bufio.Reader
	buf   []byte
	limit int // longest frame accepted
	// admit waits until there is memory for a frame that begins with the byte
	// head; nil when the connection has ended. It is asked once per frame: of
	// a long one when only the first keepBuffer bytes of it are there, so that
	// whoever holds memory has really sent something. May be nil.
	admit func(head byte, bytes int64) *share
}

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{br: bufio.NewReaderSize(r, 32<<10), limit: MaxFrame}
}

// next reads one frame, or says ErrMalformed or what the connection said;
// io.EOF only between two frames.
func (r *frameReader) next() (frame, error) {
	head, err := r.br.Peek(lengthBytes)
	if err != nil {
		if len(head) > 0 && err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return frame{}, err
	}
	n := int(binary.BigEndian.Uint32(head))
	if n < headerBytes || n > r.limit {
		return frame{}, fmt.Errorf("%w: a frame of %d bytes, %d to %d are possible here", ErrMalformed, n, headerBytes, r.limit)
	}
	if _, err := r.br.Discard(lengthBytes); err != nil {
		return frame{}, err
	}
	if cap(r.buf) > keepBuffer && n <= keepBuffer {
		r.buf = nil
	}
	r.buf = r.buf[:0]
	if err := r.fill(min(n, keepBuffer)); err != nil {
		return frame{}, err
	}
	var held *share
	if r.admit != nil {
		if held = r.admit(r.buf[0], int64(n)); held == nil {
			return frame{}, net.ErrClosed
		}
	}
	var f frame
	if err = r.fill(n); err == nil {
		f, err = parseFrame(r.buf)
	}
	if err != nil {
		held.give()
		return frame{}, err
	}
	f.held = held
	return f, nil
}

// fill reads into buf until it has n bytes.
func (r *frameReader) fill(n int) error {
	for len(r.buf) < n {
		step := min(n-len(r.buf), max(keepBuffer, len(r.buf)))
		have := len(r.buf)
		if cap(r.buf)-have < step {
			grown := make([]byte, have, have+step)
			copy(grown, r.buf)
			r.buf = grown
		}
		r.buf = r.buf[:have+step]
		if _, err := io.ReadFull(r.br, r.buf[have:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// parseFrame takes apart what follows a frame's length.
func parseFrame(b []byte) (frame, error) {
	if len(b) < headerBytes {
		return frame{}, fmt.Errorf("%w: a frame of %d bytes", ErrMalformed, len(b))
	}
	f := frame{
		kind:  b[0] &^ replyBit,
		reply: b[0]&replyBit != 0,
		id:    binary.BigEndian.Uint64(b[1:]),
		body:  b[headerBytes:],
	}
	if f.reply {
		return f, nil
	}
	if len(f.body) < leftBytes {
		return frame{}, fmt.Errorf("%w: a request frame of %d bytes", ErrMalformed, len(b))
	}
	f.left = time.Duration(binary.BigEndian.Uint32(f.body)) * time.Millisecond
	f.body = f.body[leftBytes:]
	return f, nil
}
