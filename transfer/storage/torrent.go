package storage

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"
)

// MaxTorrent is the size of the largest .torrent that is read, in bytes.
const MaxTorrent = 64 << 20

const maxDepth = 128

// ErrSyntax is wrapped when the bytes are no bencoded torrent.
var ErrSyntax = errors.New("not a .torrent file")

// ParseTorrent reads a .torrent. The info hash is the HashInfoBytes of what it
// returns. An error wraps ErrBadTorrent.
func ParseTorrent(b []byte) (*metainfo.MetaInfo, *Layout, error) {
	fail := func(err error) (*metainfo.MetaInfo, *Layout, error) {
		return nil, nil, fmt.Errorf("%w: %w", ErrBadTorrent, err)
	}
	if len(b) > MaxTorrent {
		return fail(fmt.Errorf("%w: %d bytes, at most %d", ErrSyntax, len(b), MaxTorrent))
	}
	// The bencode package believes the length of a string before it has seen
	// it, so the structure is checked first.
	end, err := skipValue(b, 0, 0)
	if err == nil && (end != len(b) || b[0] != 'd') {
		err = fmt.Errorf("%w: it is not one dictionary", ErrSyntax)
	}
	if err != nil {
		return fail(err)
	}
	mi := new(metainfo.MetaInfo)
	if err := bencode.Unmarshal(b, mi); err != nil {
		return fail(fmt.Errorf("%w: %w", ErrSyntax, err))
	}
	if len(mi.InfoBytes) == 0 {
		return fail(fmt.Errorf("%w: there is no info dictionary in it", ErrSyntax))
	}
	var present struct {
		Length *bencode.Bytes `bencode:"length"`
		Files  *bencode.Bytes `bencode:"files"`
		Tree   *bencode.Bytes `bencode:"file tree"`
	}
	info, err := mi.UnmarshalInfo()
	if err == nil {
		err = bencode.Unmarshal(mi.InfoBytes, &present)
	}
	if err != nil {
		return fail(fmt.Errorf("%w: %w", ErrSyntax, err))
	}
	if present.Tree == nil && (present.Length == nil) == (present.Files == nil) {
		return nil, nil, bad(info.BestName(), fmt.Errorf("%w: there has to be a length or a list of files, not both", ErrLengths))
	}
	if present.Files != nil && len(info.Files) == 0 {
		return nil, nil, bad(info.BestName(), fmt.Errorf("%w: the list of files is empty", ErrLengths))
	}
	l, err := FromInfo(&info)
	if err != nil {
		return nil, nil, err
	}
	l.InfoSize = len(mi.InfoBytes)
	return mi, l, nil
}

// skipValue returns where the bencoded value that begins at b[at] ends.
func skipValue(b []byte, at, depth int) (int, error) {
	if at >= len(b) {
		return 0, fmt.Errorf("%w: it ends in the middle", ErrSyntax)
	}
	if depth > maxDepth {
		return 0, fmt.Errorf("%w: nested too deeply", ErrSyntax)
	}
	switch c := b[at]; {
	case c == 'i':
		end := bytes.IndexByte(b[at:min(len(b), at+24)], 'e')
		if end < 0 {
			return 0, fmt.Errorf("%w: byte %d: endless number", ErrSyntax, at)
		}
		if _, err := strconv.ParseInt(string(b[at+1:at+end]), 10, 64); err != nil {
			return 0, fmt.Errorf("%w: byte %d: bad number", ErrSyntax, at)
		}
		return at + end + 1, nil
	case c >= '0' && c <= '9':
		return skipString(b, at)
	case c == 'l' || c == 'd':
		at++
		for at < len(b) && b[at] != 'e' {
			var err error
			if c == 'd' {
				if at, err = skipString(b, at); err != nil {
					return 0, err
				}
			}
			if at, err = skipValue(b, at, depth+1); err != nil {
				return 0, err
			}
		}
		if at >= len(b) {
			return 0, fmt.Errorf("%w: it ends in the middle", ErrSyntax)
		}
		return at + 1, nil
	default:
		return 0, fmt.Errorf("%w: byte %d is 0x%02x", ErrSyntax, at, c)
	}
}

func skipString(b []byte, at int) (int, error) {
	colon := max(bytes.IndexByte(b[at:min(len(b), at+12)], ':'), 0)
	n, err := strconv.ParseUint(string(b[at:at+colon]), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%w: byte %d: no string", ErrSyntax, at)
	}
	if n > uint64(len(b)-at-colon-1) {
		return 0, fmt.Errorf("%w: byte %d: a string longer than the file", ErrSyntax, at)
	}
	return at + colon + 1 + int(n), nil
}

// The info dictionaries that are written, with everything that BEP 3 demands
// also where it is zero.
type (
	singleInfo struct {
		Attr        string `bencode:"attr,omitempty"`
		Length      int64  `bencode:"length"`
		Name        string `bencode:"name"`
		PieceLength int64  `bencode:"piece length"`
		Pieces      []byte `bencode:"pieces"`
	}
	multiInfo struct {
		Files       []fileInfo `bencode:"files"`
		Name        string     `bencode:"name"`
		PieceLength int64      `bencode:"piece length"`
		Pieces      []byte     `bencode:"pieces"`
	}
	fileInfo struct {
		Attr   string   `bencode:"attr,omitempty"`
		Length int64    `bencode:"length"`
		Path   []string `bencode:"path"`
	}
)

// encode writes the .torrent of a layout and its info hash, and notes InfoSize. The
// same layout and tiers give the same bytes.
func encode(l *Layout, tiers [][]string) ([]byte, [20]byte, error) {
	var info any
	if l.Single {
		info = singleInfo{attr(l.Files[0]), l.Total, l.Name, l.PieceLength, l.Pieces}
	} else {
		m := multiInfo{Name: l.Name, PieceLength: l.PieceLength, Pieces: l.Pieces}
		for _, f := range l.Files {
			m.Files = append(m.Files, fileInfo{attr(f), f.Length, strings.Split(f.Path, "/")})
		}
		info = m
	}
	raw, err := bencode.Marshal(info)
	if err != nil {
		return nil, [20]byte{}, fmt.Errorf("encode the info dictionary of %q: %w", l.Name, err)
	}
	l.InfoSize = len(raw)
	mi := metainfo.MetaInfo{InfoBytes: raw, AnnounceList: tiers, CreatedBy: "chordtorrent"}
	if len(tiers) > 0 && len(tiers[0]) > 0 {
		mi.Announce = tiers[0][0]
	}
	var out bytes.Buffer
	if err := mi.Write(&out); err != nil {
		return nil, [20]byte{}, fmt.Errorf("encode the torrent of %q: %w", l.Name, err)
	}
	if out.Len() > MaxTorrent {
		return nil, [20]byte{}, fmt.Errorf("the torrent of %q would have %d bytes, at most %d: publish it in parts", l.Name, out.Len(), MaxTorrent)
	}
	return out.Bytes(), sha1.Sum(raw), nil
}

func attr(f File) string {
	if f.Exec {
		return "x"
	}
	return ""
}
