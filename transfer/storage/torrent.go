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

// ParseTorrent reads a .torrent, but for what is of BitTorrent v2 alone. The info hash is
// the HashInfoBytes of what it returns. An error wraps ErrBadTorrent.
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
	mi := readMetainfo(b)
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
