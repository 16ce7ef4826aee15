package rpc

import (
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/hashicorp/go-msgpack/v2/codec"
)

// ErrUnknownKind means a frame number, or a Go type, that kinds.go does not
// list.
var ErrUnknownKind = errors.New("unknown kind of ring message")

// ErrMalformed means bytes that are not what they say they are.
var ErrMalformed = errors.New("malformed ring message")

const (
	maxKinds = 128
	// maxBody is the longest body: what MaxFrame leaves under the header.
	maxBody = MaxFrame - headerBytes - leftBytes
	// maxDepth is how deep structs and slices may nest; the deepest message
	// needs about half of it.
	maxDepth = 16
)

// handle configures msgpack. It is shared, and not changed after this.
var handle = func() *codec.MsgpackHandle {
	h := new(codec.MsgpackHandle)
	h.StructToArray = true
	// Lengths were checked against the bytes that are there before decoding
	// begins, so the first allocation may have the length that was named;
	// a smaller bound would only copy long values again and again.
	h.MaxInitLen = MaxFrame
	h.MaxDepth = maxDepth
	return h
}()

// known is the table prepared for coding.
var known = prepare()

type prepared struct {
	role  role
	typ   reflect.Type
	shape *shape
}

type preparedTable struct {
	byNumber [maxKinds]prepared // role 0: not given
	byType   map[reflect.Type]uint8
}

// prepare panics on a row that breaks the rules stated with the table.
func prepare() *preparedTable {
	k := &preparedTable{byType: make(map[reflect.Type]uint8)}
	for n, row := range kinds {
		if row.msg == nil {
			continue
		}
		t := reflect.TypeOf(row.msg)
		if first, twice := k.byType[t]; twice {
			panic(fmt.Sprintf("rpc: %v has two frame numbers, %d and %d", t, first, n))
		}
		s, err := shapeOf(t)
		if err != nil {
			panic("rpc: " + err.Error())
		}
		k.byType[t] = uint8(n)
		k.byNumber[n] = prepared{row.role, t, s}
	}
	return k
}

type encoder struct {
	enc *codec.Encoder
	buf []byte
}

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.enc = codec.NewEncoderBytes(&e.buf, handle)
	return e
}}

var decoders = sync.Pool{New: func() any { return codec.NewDecoderBytes(nil, handle) }}

// roleOf is the role of a frame number, 0 when the number is unknown.
func roleOf(kind uint8) role {
	if int(kind) >= maxKinds {
		return 0
	}
	return known.byNumber[kind].role
}

// Encode gives the frame number and the body of a message, given by value as
// kinds.go lists it. The body shares no memory with the message. Errors:
// ErrUnknownKind for another type, ErrMalformed when it is too long to send.
func Encode(msg any) (kind uint8, body []byte, err error) {
	return appendBody(nil, msg)
}

// appendBody appends a message's body to dst.
func appendBody(dst []byte, msg any) (kind uint8, _ []byte, err error) {
	kind, ok := known.byType[reflect.TypeOf(msg)]
	if !ok {
		return 0, dst, fmt.Errorf("%w: %T is not in the table", ErrUnknownKind, msg)
	}
	e := encoders.Get().(*encoder)
	e.buf = e.buf[:0]
	e.enc.ResetBytes(&e.buf)
	if err := e.enc.Encode(msg); err != nil {
		return 0, dst, fmt.Errorf("encoding %T: %w", msg, err) // the encoder is not reused after an error
	}
	if len(e.buf) > maxBody {
		return 0, dst, fmt.Errorf("%w: %T of %d bytes, %d is the most", ErrMalformed, msg, len(e.buf), maxBody)
	}
	dst = append(dst, e.buf...)
	if cap(e.buf) <= keepBuffer {
		encoders.Put(e)
	}
	return kind, dst, nil
}

// Decode is the reverse of Encode: it gives the message by value, sharing no
// memory with body. Errors: ErrUnknownKind, ErrMalformed.
func Decode(kind uint8, body []byte) (any, error) { return decodeOf(Version, kind, body) }

// decodeOf is Decode for what a program of that version has encoded: of a newer one there
// may be fields that are not known here, which are skipped, of an older one the last may
// be missing, which are zero then.
func decodeOf(version uint16, kind uint8, body []byte) (any, error) {
	if roleOf(kind) == 0 {
		return nil, fmt.Errorf("%w: number %d", ErrUnknownKind, kind)
	}
	row := &known.byNumber[kind]
	if len(body) > maxBody {
		return nil, fmt.Errorf("%w: %v of %d bytes, %d is the most", ErrMalformed, row.typ, len(body), maxBody)
	}
	rest, err := row.shape.check(body, version)
	if err != nil {
		return nil, fmt.Errorf("%w: %v: %w", ErrMalformed, row.typ, err)
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: %v: %d bytes too many", ErrMalformed, row.typ, len(rest))
	}
	v := reflect.New(row.typ)
	d := decoders.Get().(*codec.Decoder)
	d.ResetBytes(body)
	if err := d.Decode(v.Interface()); err != nil {
		return nil, fmt.Errorf("%w: %v: %w", ErrMalformed, row.typ, err) // nor is the decoder
	}
	d.ResetBytes(nil) // lets go of body
	decoders.Put(d)
	return v.Elem().Interface(), nil
}

// kindOf is the frame number of a message's type.
func kindOf(msg any) (kind uint8, ok bool) {
	kind, ok = known.byType[reflect.TypeOf(msg)]
	return kind, ok
}
