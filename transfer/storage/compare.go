package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"sort"

	"chordtorrent/transfer/wire"
)

// OpenAsIs opens what is at path for Verify and Compare, whatever is there: path is the
// file of a single-file torrent, else the directory. fs.ErrNotExist when nothing is.
// Nothing is written.
func OpenAsIs(l *Layout, path string) (*Content, error) {
	c, err := newContent(l, path, false)
	if err != nil || !l.Single {
		return c, err
	}
	if _, err := c.stat(0); errors.Is(err, fs.ErrNotExist) {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Run is pieces that follow each other, First to Last.
type Run struct{ First, Last int }

// Difference is what is wrong with one file.
type Difference struct {
	Path   string
	Why    string // in words, when it can be seen without its hashes: it is missing, too long …
	Pieces []Run  // that are wrong and lie in it at least in part
}

// Compare tells which files are not what the torrent says, given the pieces that Verify
// found right. A wrong piece that lies in several files is named with each of them.
func (c *Content) Compare(right *wire.Bits) (wrong []Difference) {
	var runs []Run
	for i := range right.Len() {
		switch {
		case right.Get(i):
		case len(runs) > 0 && runs[len(runs)-1].Last == i-1:
			runs[len(runs)-1].Last = i
		default:
			runs = append(runs, Run{i, i})
		}
	}
	for i, f := range c.l.Files {
		if f.Pad {
			continue
		}
		d := Difference{Path: f.Path}
		switch s, err := c.stat(i); {
		case errors.Is(err, fs.ErrNotExist):
			d.Why = "it is missing"
		case err != nil:
			d.Why = reason(errors.Unwrap(err)).Error()
		case s.size != f.Length:
			d.Why = fmt.Sprintf("it has %d bytes, not %d", s.size, f.Length)
		}
		if f.Length > 0 {
			first, last := int(f.Offset/c.l.PieceLength), int((f.Offset+f.Length-1)/c.l.PieceLength)
			at := sort.Search(len(runs), func(n int) bool { return runs[n].Last >= first })
			for ; at < len(runs) && runs[at].First <= last; at++ {
				d.Pieces = append(d.Pieces, Run{max(runs[at].First, first), min(runs[at].Last, last)})
			}
		}
		if d.Why != "" || d.Pieces != nil {
			wrong = append(wrong, d)
		}
	}
	return wrong
}
