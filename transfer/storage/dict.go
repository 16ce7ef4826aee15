package storage

import "fmt"

// Dict gives the bencoded dictionary that b begins with, whatever follows on it, if it
// is safe to decode: no deeper than a few levels, no string longer than b. ErrSyntax
// otherwise. It is for what others than a .torrent are written in. Numbers may be larger
// than an int64: whoever needs one finds out.
func Dict(b []byte) ([]byte, error) {
	s := &scanner{b: b, odd: -1, large: true}
	end, err := s.value(0, 0)
	if err == nil && b[0] != 'd' {
		err = fmt.Errorf("%w: it does not begin with a dictionary", ErrSyntax)
	}
	if err != nil {
		return nil, err
	}
	return b[:end], nil
}
