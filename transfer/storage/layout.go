package storage

import (
	"errors"
	"fmt"
	"math"
	"path"
	"sort"
	"strings"

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

var errV2 = fmt.Errorf("%w: it is for BitTorrent v2 alone, without the hashes of v1", ErrUnsupported)

// File is one file of a torrent.
type File struct {
	Path   string // relative to the target, '/' between components, checked; for a single file its name
	Length int64  // bytes
	Offset int64  // of its first byte in the torrent
	Exec   bool   // BEP 47, attribute x: executable
	Pad    bool   // BEP 47, attribute p: zeros for alignment, never on disk
}

// Link is a symbolic link of a torrent (BEP 47).
type Link struct {
	Path string // as that of a File
	To   string // the file or directory of the torrent, likewise
}

// Layout is how the bytes of a torrent are cut into files and into pieces.
// Invariant: Files[i].Offset is the sum of the lengths before it, Total of all,
// and len(Pieces) == NumPieces()*HashLen; of what is only served Pieces may be nil.
type Layout struct {
	Name        string // one path component, checked
	PieceLength int64
	Total       int64 // bytes
	Files       []File
	Links       []Link // lead to files and directories of Files, and not to those they lie in
	Single      bool   // one file, not a directory with one file in it
	Private     bool   // peers come from its trackers alone (BEP 27)
	Pieces      []byte // HashLen bytes for each piece
	InfoSize    int    // bytes of the info dictionary; 0: not known

	hybrid bool    // the torrent is one of version 2 too
	astray []Link  // as the torrent has them: they lead to nothing in it
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
// ErrUnsupported or those of the names, and shows the path it is about. Of a hybrid it takes
// what is for version 1. Symbolic links that lead to no file or directory of the torrent, or
// to one that they lie in, are left out.
func FromInfo(info *metainfo.Info) (*Layout, error) {
	if !info.HasV1() {
		return nil, bad(info.BestName(), errV2)
	}
	l := &Layout{Name: info.BestName(), PieceLength: info.PieceLength, Single: len(info.Files) == 0, Pieces: info.Pieces, Private: info.Private != nil && *info.Private, hybrid: info.HasV2()}
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
		// There is nothing that padding could align.
		attr := strings.ReplaceAll(info.Attr, "p", "")
		if err := l.add(l.Name, info.Length, attr); err != nil {
			return nil, err
		}
	}
	for i := range info.Files {
		if err := l.take(&info.Files[i]); err != nil {
			return nil, err
		}
	}
	if err := checkClashes(l); err != nil {
		return nil, err
	}
	if err := l.resolveLinks(); err != nil {
		return nil, err
	}
	pieces := (l.Total + l.PieceLength - 1) / l.PieceLength
	if int64(len(l.Pieces)) != pieces*HashLen {
		return nil, bad(l.Name, fmt.Errorf("%w: %d bytes of hashes for %d pieces", ErrLengths, len(l.Pieces), pieces))
	}
	return l, nil
}

// padName begins the names of padding files that some make instead of setting the
// attribute.
const padName = "_____padding_file_"

// take enters a file, a link or padding as the torrent lists it.
func (l *Layout) take(f *metainfo.FileInfo) error {
	parts := f.BestPath()
	if strings.Contains(f.Attr, "p") || len(parts) > 0 && strings.HasPrefix(parts[len(parts)-1], padName) {
		// Its name is for those who do not know better, and may be anything.
		return l.add(fmt.Sprintf(".pad/%d", f.Length), f.Length, "p")
	}
	p, err := joinPath(parts)
	if err != nil {
		return err
	}
	if !strings.Contains(f.Attr, "l") {
		return l.add(p, f.Length, f.Attr)
	}
	if f.Length != 0 {
		return bad(p, fmt.Errorf("%w: a symbolic link of %d bytes", ErrLengths, f.Length))
	}
	l.Links = append(l.Links, Link{Path: p, To: strings.Join(f.SymlinkPath, "/")}) // see resolveLinks
	return nil
}

// add appends one file.
func (l *Layout) add(path string, length int64, attr string) error {
	if length < 0 || length > maxTotal-l.Total {
		return bad(path, fmt.Errorf("%w: %d bytes after %d", ErrLengths, length, l.Total))
	}
	if strings.Contains(attr, "l") {
		return bad(path, fmt.Errorf("%w: a torrent of nothing but a symbolic link", ErrUnsupported))
	}
	l.Files = append(l.Files, File{
		Path: path, Length: length, Offset: l.Total,
		Exec: strings.Contains(attr, "x"), Pad: strings.Contains(attr, "p"),
	})
	l.Total += length
	return nil
}

// resolveLinks finds out where the links lead, and drops those that lead to nothing in the
// torrent, or to what they lie in. BEP 47 has their targets begin at the torrent's root; some
// have them begin at the link, as file systems do.
func (l *Layout) resolveLinks() error {
	some, there := false, make(map[string]bool)
	for _, f := range l.Files {
		some = some || !f.Pad
		if len(l.Links) == 0 && some {
			return nil
		}
		for p := f.Path; !f.Pad && p != "." && !there[p]; p = path.Dir(p) {
			there[p] = true
		}
	}
	if !some {
		return bad(l.Name, fmt.Errorf("%w: there is no file in it", ErrLengths))
	}
	links := l.Links
	l.Links = nil
next:
	for _, link := range links {
		for _, to := range []string{path.Clean(link.To), path.Join(path.Dir(link.Path), link.To)} {
			if there[to] && !strings.HasPrefix(link.Path, to+"/") {
				l.Links = append(l.Links, Link{link.Path, to})
				continue next
			}
		}
		l.astray = append(l.astray, link)
	}
	return nil
}

func bad(path string, reason error) error {
	return fmt.Errorf("%w: %q: %w", ErrBadTorrent, path, reason)
}

// Part is a run of bytes in one file of a layout.
type Part struct {
	File     int // index in Layout.Files
	Off, Len int64
}

// Parts cuts a range of the torrent's bytes into runs that lie in one file each. It fails
// when the range is not inside the torrent.
func (l *Layout) Parts(off, n int64) (parts []Part, err error) {
	err = l.each(off, n, func(file int, off, n int64) error {
		parts = append(parts, Part{file, off, n})
		return nil
	})
	return parts, err
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
