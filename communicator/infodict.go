package communicator

import (
	"crypto/sha1"
	"fmt"
)

// maxNesting is far above any real torrent; directory trees of BitTorrent v2
// nest once per path element.
const maxNesting = 1024

// infoHashOf gives the SHA-1 of the info dictionary's very bytes in a
// metainfo file (BEP 3). It walks over the rest without building anything,
// so a hostile file of 64 MiB costs neither memory nor stack, which a general
// decoder would spend on it; the client parses what has passed here.
func infoHashOf(metainfo []byte) ([20]byte, error) {
	info, err := infoDict(metainfo)
	if err != nil {
		return [20]byte{}, err
	}
	return sha1.Sum(info), nil
}

func infoDict(b []byte) ([]byte, error) {
	if len(b) == 0 || b[0] != 'd' {
		return nil, fmt.Errorf("%w: not a .torrent: it does not begin with a dictionary", ErrMismatch)
	}
	var info []byte
	at := 1
	for at < len(b) && b[at] != 'e' {
		keyEnd, key, err := bencodeString(b, at)
		if err != nil {
			return nil, err
		}
		end, err := skipBencode(b, keyEnd)
		if err != nil {
			return nil, err
		}
		if string(key) == "info" {
			if info != nil {
				return nil, fmt.Errorf("%w: not a .torrent: two info dictionaries", ErrMismatch)
			}
			if b[keyEnd] != 'd' {
				return nil, fmt.Errorf("%w: not a .torrent: its info is no dictionary", ErrMismatch)
			}
			info = b[keyEnd:end]
		}
		at = end
	}
	switch {
	case at != len(b)-1:
		return nil, fmt.Errorf("%w: not a .torrent: it ends at byte %d of %d", ErrMismatch, at, len(b))
	case info == nil:
		return nil, fmt.Errorf("%w: not a .torrent: no info dictionary", ErrMismatch)
	}
	return info, nil
}

// skipBencode gives the place behind the value that begins at.
func skipBencode(b []byte, at int) (int, error) {
	depth := 0
	for {
		if at >= len(b) {
			return 0, fmt.Errorf("%w: not a .torrent: cut short at byte %d", ErrMismatch, at)
		}
		switch c := b[at]; {
		case c == 'd' || c == 'l':
			if depth++; depth > maxNesting {
				return 0, fmt.Errorf("%w: not a .torrent: nested deeper than %d at byte %d", ErrMismatch, maxNesting, at)
			}
			at++
		case c == 'e' && depth > 0:
			depth--
			at++
		case c == 'i':
			end := at + 1
			for end < len(b) && end-at <= 21 && (b[end] == '-' || (b[end] >= '0' && b[end] <= '9')) {
				end++
			}
			if end >= len(b) || b[end] != 'e' || end == at+1 {
				return 0, fmt.Errorf("%w: not a .torrent: bad number at byte %d", ErrMismatch, at)
			}
			at = end + 1
		default:
			end, _, err := bencodeString(b, at)
			if err != nil {
				return 0, err
			}
			at = end
		}
		if depth == 0 {
			return at, nil
		}
	}
}

func bencodeString(b []byte, at int) (end int, s []byte, err error) {
	n, i := 0, at
	for i < len(b) && b[i] >= '0' && b[i] <= '9' && n <= len(b) {
		n = n*10 + int(b[i]-'0')
		i++
	}
	if i == at || i >= len(b) || b[i] != ':' || n > len(b)-i-1 {
		return 0, nil, fmt.Errorf("%w: not a .torrent: bad string at byte %d", ErrMismatch, at)
	}
	return i + 1 + n, b[i+1 : i+1+n], nil
}
