package storage

import (
	"errors"
	"fmt"
	"math"
	"sort"

	"github.com/anacrolix/torrent/metainfo"
)

// HashLen is the size of the hash of a piece, SHA-1.
const HashLen = 20

// The largest torrents that are accepted.
const (
	MaxFiles       = 1 << 20
	MaxPieceLength = 256 << 20
	maxTotal       = math.MaxInt64 >> 3
)

var (
	// ErrBadTorrent is wrapped by every error that a torrent itself is to blame for.
	ErrBadTorrent = errors.New("this torrent cannot be used")
	// ErrLengths: negative or overflowing lengths, or a number of pieces that
	// does not belong to them.
	ErrLengths = errors.New("impossible lengths")
	// ErrTooManyFiles: more than MaxFiles.
	ErrTooManyFiles = errors.New("too many files")
	// ErrUnsupported: a version or attribute that this program does not know.
	ErrUnsupported = errors.New("not supported")
)

// File is one file of a torrent.
type File struct {
	Path   string // relative to the target, '/' between components, checked; for a single file its name
	Length int64  // bytes
	Offset int64  // of its first byte in the torrent
	Exec   bool   // BEP 47, attribute x: executable
	Pad    bool   // BEP 47, attribute p: zeros for alignment, never on disk
}

// Layout is how the bytes of a torrent are cut into files and into pieces.
// Invariant: Files[i].Offset is the sum of the lengths before it, Total of all,
// and len(Pieces) == NumPieces()*HashLen.
type Layout struct {
	Name        string // one path component, checked
	PieceLength int64
	Total       int64 // bytes
	Files       []File
	Single      bool   // one file, not a directory with one file in it
	Private     bool   // peers come from its trackers alone (BEP 27)
	Pieces      []byte // HashLen bytes for each piece
	InfoSize    int    // bytes of the info dictionary; 0: not known

	stamps []stamp // of the files as Build hashed them
}

// NumPieces is the number of pieces; 0 when there are no bytes.
func (l *Layout) NumPieces() int {
	return int((l.Total + l.PieceLength - 1) / l.PieceLength)
}

// PieceSize is the number of bytes of piece i: PieceLength, or less for the last.
func (l *Layout) PieceSize(i int) int64 {
	return min(l.PieceLength, l.Total-int64(i)*l.PieceLength)
}

// PieceHash is the SHA-1 of piece i; not to be changed.
func (l *Layout) PieceHash(i int) []byte { return l.Pieces[i*HashLen : (i+1)*HashLen : (i+1)*HashLen] }

// PieceLength is the piece length for content of so many bytes: about 1,000
// pieces up to 1 GiB (many pieces are what lets a small swarm share), then 1 MiB
// up to 16 GiB, then at most 16,384 pieces, and never more than 16 MiB. Always a
// power of two, 16 KiB at least.
func PieceLength(total int64) int64 {
	const least, middle, most = 16 << 10, 1 << 20, 16 << 20
	n := int64(least)
	for n < middle && n*1024 < total {
		n *= 2
	}
	for n < most && n*16384 < total {
		n *= 2
	}
	return n
}

// FromInfo checks the info dictionary of a torrent and returns its layout. An
// error wraps ErrBadTorrent and one of ErrLengths, ErrTooManyFiles,
// ErrUnsupported or those of the names, and shows the path it is about.
func FromInfo(info *metainfo.Info) (*Layout, error) {
	if !info.HasV1() || info.HasV2() && len(info.Pieces) == 0 && info.FileTree.Dir != nil {
		return nil, bad(info.BestName(), fmt.Errorf("%w: a BitTorrent v2 torrent without v1 pieces", ErrUnsupported))
	}
	l := &Layout{Name: info.BestName(), PieceLength: info.PieceLength, Single: len(info.Files) == 0, Pieces: info.Pieces, Private: info.Private != nil && *info.Private}
	if err := checkComponent(l.Name); err != nil {
		return nil, bad(l.Name, err)
	}
	if l.PieceLength <= 0 || l.PieceLength > MaxPieceLength {
		return nil, bad(l.Name, fmt.Errorf("%w: pieces of %d bytes", ErrLengths, l.PieceLength))
	}
	if len(info.Files) > MaxFiles {
		return nil, bad(l.Name, fmt.Errorf("%w: %d, at most %d", ErrTooManyFiles, len(info.Files), MaxFiles))
	}
	if l.Single {
		if err := l.add(l.Name, info.Length, info.ExtendedFileAttrs); err != nil {
			return nil, err
		}
	}
	for i := range info.Files {
		f := &info.Files[i]
		p, err := joinPath(f.BestPath())
		if err != nil {
			return nil, err
		}
		if err := l.add(p, f.Length, f.ExtendedFileAttrs); err != nil {
			return nil, err
		}
	}
	if err := checkClashes(l.Files); err != nil {
		return nil, err
	}
	pieces := (l.Total + l.PieceLength - 1) / l.PieceLength
	if int64(len(l.Pieces)) != pieces*HashLen {
		return nil, bad(l.Name, fmt.Errorf("%w: %d bytes of hashes for %d pieces", ErrLengths, len(l.Pieces), pieces))
	}
	return l, nil
}

// add appends one file.
func (l *Layout) add(path string, length int64, attrs metainfo.ExtendedFileAttrs) error {
	if length < 0 || length > maxTotal-l.Total {
		return bad(path, fmt.Errorf("%w: %d bytes after %d", ErrLengths, length, l.Total))
	}
	f := File{Path: path, Length: length, Offset: l.Total}
	for _, a := range attrs.Attr {
		switch a {
		case 'x':
			f.Exec = true
		case 'p':
			f.Pad = true
		case 'l':
			return bad(path, fmt.Errorf("%w: a symbolic link", ErrUnsupported))
		}
	}
	l.Files = append(l.Files, f)
	l.Total += length
	return nil
}

func bad(path string, reason error) error {
	return fmt.Errorf("%w: %q: %w", ErrBadTorrent, path, reason)
}

// each calls f for every run of bytes of [off, off+n) that lies in one file,
// with the index of the file and the offset in it. The range must be inside the
// torrent.
func (l *Layout) each(off, n int64, f func(file int, off, n int64) error) error {
	if off < 0 || n < 0 || off > l.Total-n {
		return fmt.Errorf("bytes %d+%d are outside of the %d of %q", off, n, l.Total, l.Name)
	}
	at := sort.Search(len(l.Files), func(i int) bool { return l.Files[i].Offset+l.Files[i].Length > off })
	for ; n > 0; at++ {
		file := &l.Files[at]
		in := off - file.Offset
		if part := min(n, file.Length-in); part > 0 {
			if err := f(at, in, part); err != nil {
				return err
			}
			off += part
			n -= part
		}
	}
	return nil
}
