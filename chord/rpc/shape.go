package rpc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// shape is what the bytes of a Go type look like in msgpack. Checking a body
// against it before decoding costs one walk over the bytes and makes the
// decoder's allocations proportional to them.
type shape struct {
	class  shapeClass
	size   int      // fixed: the length of a byte array
	elem   *shape   // list
	fields []*shape // record, in the order on the wire
}

type shapeClass uint8

const (
	boolean shapeClass = iota + 1
	integer
	blob   // string or []byte
	fixed  // [size]byte
	list   // slice of elem
	record // struct
)

// The first byte of a msgpack value says what it is.
const (
	mpNil     = 0xc0
	mpFalse   = 0xc2
	mpTrue    = 0xc3
	mpBin8    = 0xc4
	mpBin32   = 0xc6
	mpUint8   = 0xcc
	mpUint64  = 0xcf
	mpInt8    = 0xd0
	mpInt64   = 0xd3
	mpStr8    = 0xd9
	mpStr32   = 0xdb
	mpArray16 = 0xdc
	mpArray32 = 0xdd
)

var errShort = errors.New("ends too early")

// shapeOf derives the shape of a message type, or says which field has a type
// that messages must not have.
func shapeOf(t reflect.Type) (*shape, error) { return shapeAt(t, t.String(), 0) }

func shapeAt(t reflect.Type, path string, depth int) (*shape, error) {
	if depth >= maxDepth {
		return nil, fmt.Errorf("%s: nests deeper than %d", path, maxDepth)
	}
	switch t.Kind() {
	case reflect.Bool:
		return &shape{class: boolean}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &shape{class: integer}, nil
	case reflect.String:
		return &shape{class: blob}, nil
	case reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return &shape{class: fixed, size: t.Len()}, nil
		}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return &shape{class: blob}, nil
		}
		elem, err := shapeAt(t.Elem(), path+"[]", depth+1)
		return &shape{class: list, elem: elem}, err
	case reflect.Struct:
		s := &shape{class: record}
		return s, s.addFields(t, path, depth)
	}
	return nil, fmt.Errorf("%s: a message must not hold a %v", path, t)
}

// addFields appends the fields of a struct; those of an embedded one come in
// its place, as the codec writes them.
func (s *shape) addFields(t reflect.Type, path string, depth int) error {
	for i := range t.NumField() {
		f := t.Field(i)
		at := path + "." + f.Name
		switch {
		case changesCoding(f.Tag):
			return fmt.Errorf("%s: the tag would change how the field travels", at)
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			if err := s.addFields(f.Type, at, depth); err != nil {
				return err
			}
		case !f.IsExported():
			return fmt.Errorf("%s: a message's fields are exported", at)
		default:
			e, err := shapeAt(f.Type, at, depth+1)
			if err != nil {
				return err
			}
			s.fields = append(s.fields, e)
		}
	}
	return nil
}

// changesCoding reports whether a tag means more to the codec than a name.
func changesCoding(tag reflect.StructTag) bool {
	_, options, _ := strings.Cut(tag.Get("json"), ",")
	return tag.Get("codec") != "" || tag.Get("json") == "-" || options != ""
}

// check walks one value at the front of b and gives what follows it. Records of a program
// of a newer version may have more fields than ours, of an older one fewer.
func (s *shape) check(b []byte, version uint16) (rest []byte, err error) {
	if len(b) == 0 {
		return nil, errShort
	}
	first := b[0]
	switch s.class {
	case boolean:
		if first == mpFalse || first == mpTrue {
			return b[1:], nil
		}
	case integer:
		switch {
		case first <= 0x7f || first >= 0xe0:
			return b[1:], nil
		case first >= mpUint8 && first <= mpUint64:
			return skip(b, 1+1<<(first-mpUint8))
		case first >= mpInt8 && first <= mpInt64:
			return skip(b, 1+1<<(first-mpInt8))
		}
	case blob:
		if first == mpNil {
			return b[1:], nil
		}
		n, head, ok := blobLen(b)
		if ok {
			return skip(b, head+n)
		}
	case fixed:
		n, head, ok := blobLen(b)
		if ok && n == s.size {
			return skip(b, head+n)
		}
	case list:
		if first == mpNil {
			return b[1:], nil
		}
		n, rest, ok := listLen(b)
		if !ok {
			break
		}
		if n > len(rest) {
			return nil, errShort // every element takes a byte at least
		}
		for range n {
			if rest, err = s.elem.check(rest, version); err != nil {
				return nil, err
			}
		}
		return rest, nil
	case record:
		n, rest, ok := listLen(b)
		if !ok {
			break
		}
		if n > len(s.fields) && version <= Version || n < len(s.fields) && version >= Version {
			return nil, fmt.Errorf("%d fields where %d are due", n, len(s.fields))
		}
		for _, f := range s.fields[:min(n, len(s.fields))] {
			if rest, err = f.check(rest, version); err != nil {
				return nil, err
			}
		}
		for range n - len(s.fields) {
			if rest, err = skipValue(rest, maxDepth); err != nil {
				return nil, err
			}
		}
		return rest, nil
	}
	return nil, fmt.Errorf("unexpected byte %#02x", first)
}

// skipValue walks one value of any class at the front of b.
func skipValue(b []byte, depth int) (rest []byte, err error) {
	if len(b) == 0 {
		return nil, errShort
	}
	if depth == 0 {
		return nil, fmt.Errorf("nests deeper than %d", maxDepth)
	}
	for _, s := range []shape{{class: boolean}, {class: integer}, {class: blob}} {
		if rest, err = s.check(b, Version); err == nil {
			return rest, nil
		}
	}
	n, rest, ok := listLen(b)
	if !ok {
		return nil, fmt.Errorf("unexpected byte %#02x", b[0])
	}
	for range n {
		if rest, err = skipValue(rest, depth-1); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func skip(b []byte, n int) ([]byte, error) {
	if n > len(b) {
		return nil, errShort
	}
	return b[n:], nil
}

// blobLen reads the head of a string or of binary data. A head that is cut
// off gives a length that no body has.
func blobLen(b []byte) (n, head int, ok bool) {
	first := b[0]
	switch {
	case first >= 0xa0 && first <= 0xbf:
		return int(first & 0x1f), 1, true
	case first >= mpBin8 && first <= mpBin32:
		n, head = lengthOf(b, first-mpBin8)
		return n, head, true
	case first >= mpStr8 && first <= mpStr32:
		n, head = lengthOf(b, first-mpStr8)
		return n, head, true
	}
	return 0, 0, false
}

// listLen reads the head of an array and gives what follows it.
func listLen(b []byte) (n int, rest []byte, ok bool) {
	first := b[0]
	switch {
	case first >= 0x90 && first <= 0x9f:
		return int(first & 0x0f), b[1:], true
	case first == mpArray16 || first == mpArray32:
		n, head := lengthOf(b, first-mpArray16+1)
		if head > len(b) {
			return n, nil, true
		}
		return n, b[head:], true
	}
	return 0, nil, false
}

// lengthOf reads the length of 1<<log bytes behind the first byte.
func lengthOf(b []byte, log uint8) (n, head int) {
	head = 1 + 1<<log
	if len(b) < head {
		return maxBody, head
	}
	switch log {
	case 0:
		n = int(b[1])
	case 1:
		n = int(binary.BigEndian.Uint16(b[1:]))
	default:
		n = int(min(binary.BigEndian.Uint32(b[1:]), MaxFrame))
	}
	return n, head
}
