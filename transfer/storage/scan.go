package storage

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// ErrSyntax is wrapped when the bytes are no bencoded torrent.
var ErrSyntax = errors.New("not a .torrent file")

const (
	maxDepth = 128
	// maxValues is how many values a .torrent may hold: of each file its length, its path
	// with all components, and in a hybrid as much again. MaxFiles bounds the dictionaries
	// that are in lists.
	maxValues = 8 * MaxFiles
)

// scanner goes over bencoded bytes before anybody decodes them: decoders believe a
// length before they have seen what it is the length of, and make of few bytes much
// memory.
type scanner struct {
	b      []byte
	values int
	files  int // dictionaries in lists
	// odd is where the first key stands that is out of order, or there a second time; -1:
	// none. Such bytes can be read, but not by everybody in the same way.
	odd   int
	large bool // numbers may have more than 64 bits
}

// scan finds out whether b is one bencoded dictionary and nothing else.
func scan(b []byte) (*scanner, error) {
	s := &scanner{b: b, odd: -1}
	end, err := s.value(0, 0)
	switch {
	case err != nil:
		return nil, err
	case b[0] != 'd':
		return nil, fmt.Errorf("%w: it is not one dictionary", ErrSyntax)
	case end != len(b):
		return nil, fmt.Errorf("%w: byte %d: its dictionary ends here, and %d bytes follow", ErrSyntax, end, len(b)-end)
	}
	return s, nil
}

func (s *scanner) fail(at int, what string) (int, error) {
	return 0, fmt.Errorf("%w: byte %d: %s", ErrSyntax, at, what)
}

// value returns where the value that begins at b[at] ends.
func (s *scanner) value(at, depth int) (int, error) {
	if at >= len(s.b) {
		return s.fail(at, "it ends in the middle")
	}
	if depth > maxDepth {
		return s.fail(at, "nested too deeply")
	}
	if s.values++; s.values > maxValues {
		return s.fail(at, fmt.Sprintf("more than %d values", maxValues))
	}
	switch c := s.b[at]; {
	case c == 'i':
		end := bytes.IndexByte(s.b[at:min(len(s.b), at+24)], 'e')
		if end < 0 {
			return s.fail(at, "endless number")
		}
		if _, err := strconv.ParseInt(string(s.b[at+1:at+end]), 10, 64); err != nil && !(s.large && errors.Is(err, strconv.ErrRange)) {
			return s.fail(at, "bad number")
		}
		return at + end + 1, nil
	case c >= '0' && c <= '9':
		return s.text(at)
	case c == 'l':
		return s.list(at+1, depth)
	case c == 'd':
		return s.dict(at+1, depth)
	default:
		return s.fail(at, fmt.Sprintf("0x%02x is no bencoding", c))
	}
}

func (s *scanner) list(at, depth int) (int, error) {
	for at < len(s.b) && s.b[at] != 'e' {
		if s.b[at] == 'd' {
			if s.files++; s.files > MaxFiles {
				return 0, fmt.Errorf("%w: %w: more than %d", ErrSyntax, ErrTooManyFiles, MaxFiles)
			}
		}
		var err error
		if at, err = s.value(at, depth+1); err != nil {
			return 0, err
		}
	}
	return s.close(at)
}

func (s *scanner) dict(at, depth int) (int, error) {
	var last []byte
	for first := true; at < len(s.b) && s.b[at] != 'e'; first = false {
		end, err := s.text(at)
		if err != nil {
			return 0, err
		}
		key, _ := textAt(s.b, at)
		if !first && bytes.Compare(key, last) <= 0 && s.odd < 0 {
			s.odd = at
		}
		last = key
		if at, err = s.value(end, depth+1); err != nil {
			return 0, err
		}
	}
	return s.close(at)
}

func (s *scanner) close(at int) (int, error) {
	if at >= len(s.b) {
		return s.fail(at, "it ends in the middle")
	}
	return at + 1, nil
}

func (s *scanner) text(at int) (int, error) {
	colon := max(bytes.IndexByte(s.b[at:min(len(s.b), at+12)], ':'), 0)
	n, err := strconv.ParseUint(string(s.b[at:at+colon]), 10, 32)
	if err != nil {
		return s.fail(at, "no string")
	}
	if n > uint64(len(s.b)-at-colon-1) {
		return s.fail(at, "a string longer than the file")
	}
	return at + colon + 1 + int(n), nil
}
