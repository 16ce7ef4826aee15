package storage

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"strings"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"
)

// MaxTorrent is the size of the largest .torrent that is read, in bytes.
const MaxTorrent = 64 << 20

// ParseTorrent reads a .torrent. The info hash is the HashInfoBytes of what it
// returns. An error wraps ErrBadTorrent.
func ParseTorrent(b []byte) (*metainfo.MetaInfo, *Layout, error) {
	fail := func(err error) (*metainfo.MetaInfo, *Layout, error) {
		return nil, nil, fmt.Errorf("%w: %w", ErrBadTorrent, err)
	}
	if len(b) > MaxTorrent {
		return fail(fmt.Errorf("%w: %d bytes, at most %d", ErrSyntax, len(b), MaxTorrent))
	}
	if _, err := scan(b); err != nil {
		return fail(err)
	}
	mi := new(metainfo.MetaInfo)
	if err := bencode.Unmarshal(b, mi); err != nil {
		return fail(fmt.Errorf("%w: %w", ErrSyntax, err))
	}
	if len(mi.InfoBytes) == 0 {
		return fail(fmt.Errorf("%w: there is no info dictionary in it", ErrSyntax))
	}
	info, err := readInfo(mi.InfoBytes)
	if err != nil {
		return nil, nil, err
	}
	l, err := FromInfo(info)
	if err != nil {
		return nil, nil, err
	}
	l.InfoSize = len(mi.InfoBytes)
	return mi, l, nil
}

// readInfo decodes an info dictionary that has been scanned.
func readInfo(b []byte) (*metainfo.Info, error) {
	// The file tree of version 2 is left out: all that is in it is in a hybrid's list of
	// files as well.
	var d struct {
		Name        string              `bencode:"name"`
		NameUTF8    string              `bencode:"name.utf-8"`
		PieceLength int64               `bencode:"piece length"`
		Pieces      []byte              `bencode:"pieces"`
		Length      *int64              `bencode:"length"`
		Files       []metainfo.FileInfo `bencode:"files"`
		Private     *bencode.Bytes      `bencode:"private"`
		Attr        string              `bencode:"attr"`
		MetaVersion int64               `bencode:"meta version"`
		Tree        *bencode.Bytes      `bencode:"file tree"`
	}
	if err := bencode.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("%w: %w: %w", ErrBadTorrent, ErrSyntax, err)
	}
	info := &metainfo.Info{
		Name: d.Name, NameUtf8: d.NameUTF8, PieceLength: d.PieceLength, Pieces: d.Pieces, Files: d.Files,
		ExtendedFileAttrs: metainfo.ExtendedFileAttrs{Attr: d.Attr}, MetaVersion: d.MetaVersion,
	}
	name := info.BestName()
	switch {
	case d.Length == nil && d.Files == nil && d.Tree != nil:
		return nil, bad(name, errV2)
	case (d.Length == nil) == (d.Files == nil):
		return nil, bad(name, fmt.Errorf("%w: there has to be a length or a list of files, not both", ErrLengths))
	case d.Length != nil:
		info.Length = *d.Length
	case len(d.Files) == 0:
		return nil, bad(name, fmt.Errorf("%w: the list of files is empty", ErrLengths))
	}
	if d.Private != nil {
		private := string(*d.Private) != "i0e"
		info.Private = &private
	}
	return info, nil
}

// WebSeeds gives the URLs of HTTP servers that a .torrent names for its content (BEP 19).
// It is for a .torrent that ParseTorrent has read; what is no list of URLs is none.
func WebSeeds(torrent []byte) []string {
	var named struct {
		URLs metainfo.UrlList `bencode:"url-list"`
	}
	if err := bencode.Unmarshal(torrent, &named); err != nil {
		return nil
	}
	return named.URLs
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
		Private     int    `bencode:"private,omitempty"`
	}
	multiInfo struct {
		Files       []fileInfo `bencode:"files"`
		Name        string     `bencode:"name"`
		PieceLength int64      `bencode:"piece length"`
		Pieces      []byte     `bencode:"pieces"`
		Private     int        `bencode:"private,omitempty"`
	}
	fileInfo struct {
		Attr   string   `bencode:"attr,omitempty"`
		Length int64    `bencode:"length"`
		Path   []string `bencode:"path"`
	}
)

// encode writes the .torrent of a layout and its info hash, and notes InfoSize. The
// same layout and options give the same bytes.
func encode(l *Layout, o options) ([]byte, [20]byte, error) {
	var info any
	private := 0
	if l.Private {
		private = 1
	}
	if l.Single {
		info = singleInfo{attr(l.Files[0]), l.Total, l.Name, l.PieceLength, l.Pieces, private}
	} else {
		m := multiInfo{Name: l.Name, PieceLength: l.PieceLength, Pieces: l.Pieces, Private: private}
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
	mi := metainfo.MetaInfo{InfoBytes: raw, AnnounceList: o.tiers, UrlList: o.webSeeds, Comment: o.comment, CreatedBy: "chordtorrent"}
	if len(o.tiers) > 0 && len(o.tiers[0]) > 0 {
		mi.Announce = o.tiers[0][0]
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
	switch {
	case f.Pad:
		return "p"
	case f.Exec:
		return "x"
	}
	return ""
}
