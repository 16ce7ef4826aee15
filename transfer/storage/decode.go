package storage

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"github.com/anacrolix/torrent/metainfo"
)

// Bytes that have been scanned are walked here without looking back at what the scan has
// made sure of. Decoding by reflection takes many times as long, for a large .torrent so
// long that it looks hung.

// skip returns where the value that begins at b[at] ends.
func skip(b []byte, at int) int {
	for depth := 0; ; {
		switch c := b[at]; c {
		case 'i':
			at += bytes.IndexByte(b[at:], 'e') + 1
		case 'l', 'd':
			depth++
			at++
		case 'e':
			depth--
			at++
		default:
			_, at = textAt(b, at)
		}
		if depth == 0 {
			return at
		}
	}
}

// textAt is the string that begins at b[at], and where it ends.
func textAt(b []byte, at int) ([]byte, int) {
	n := 0
	for ; b[at] != ':'; at++ {
		n = 10*n + int(b[at]-'0')
	}
	return b[at+1 : at+1+n], at + 1 + n
}

// entries yields the keys of a dictionary with their values, nothing for another value.
func entries(b []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		if b[0] != 'd' {
			return
		}
		for at := 1; b[at] != 'e'; {
			key, value := textAt(b, at)
			at = skip(b, value)
			if !yield(string(key), b[value:at]) {
				return
			}
		}
	}
}

// items yields the values of a list, nothing for another value.
func items(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if b[0] != 'l' {
			return
		}
		for at := 1; b[at] != 'e'; {
			value := at
			at = skip(b, value)
			if !yield(b[value:at]) {
				return
			}
		}
	}
}

// text is a string; "" for another value.
func text(b []byte) string {
	if b[0] < '0' || b[0] > '9' {
		return ""
	}
	s, _ := textAt(b, 0)
	return string(s)
}

// number is a number; 0 for another value.
func number(b []byte) int64 {
	if b[0] != 'i' {
		return 0
	}
	n, _ := strconv.ParseInt(string(b[1:len(b)-1]), 10, 64)
	return n
}

// texts are the strings of a list, or the one that stands in its place.
func texts(b []byte) (all []string) {
	if b[0] != 'l' {
		return []string{text(b)}
	}
	for item := range items(b) {
		all = append(all, text(item))
	}
	return all
}

// urls are the texts of a url-list; some write an empty one.
func urls(b []byte) []string {
	return slices.DeleteFunc(texts(b), func(s string) bool { return s == "" })
}

// readMetainfo decodes a .torrent that has been scanned, but for what is of version 2
// alone. What is not what it should be beside the info dictionary is passed over.
func readMetainfo(b []byte) *metainfo.MetaInfo {
	mi := &metainfo.MetaInfo{}
	for key, value := range entries(b) {
		switch key {
		case "info":
			mi.InfoBytes = append([]byte(nil), value...)
		case "announce":
			mi.Announce = text(value)
		case "announce-list":
			mi.AnnounceList = nil
			for tier := range items(value) {
				if tier := texts(tier); len(tier) > 0 {
					mi.AnnounceList = append(mi.AnnounceList, tier)
				}
			}
		case "url-list":
			mi.UrlList = urls(value)
		case "nodes":
			for node := range items(value) {
				host := ""
				for part := range items(node) {
					if host == "" {
						host = text(part)
					} else {
						host += ":" + strconv.FormatInt(number(part), 10)
					}
				}
				mi.Nodes = append(mi.Nodes, metainfo.Node(host))
			}
		case "creation date":
			mi.CreationDate = number(value)
		case "comment":
			mi.Comment = text(value)
		case "created by":
			mi.CreatedBy = text(value)
		case "encoding":
			mi.Encoding = text(value)
		}
	}
	return mi
}

// readInfo decodes an info dictionary that has been scanned. The file tree of version 2 is
// left out: all that is in it is in a hybrid's list of files as well.
func readInfo(b []byte) (*metainfo.Info, error) {
	if b[0] != 'd' {
		return nil, fmt.Errorf("%w: %w: its info is no dictionary", ErrBadTorrent, ErrSyntax)
	}
	info := &metainfo.Info{}
	var single, several, tree bool
	wrong := ""
	expect := func(kind byte, key string, value []byte) bool {
		is := value[0]
		if is >= '0' && is <= '9' {
			is = 's'
		}
		if is != kind {
			wrong = key
		}
		return is == kind
	}
	for key, value := range entries(b) {
		switch key {
		case "name":
			expect('s', key, value)
			info.Name = text(value)
		case "name.utf-8":
			info.NameUtf8 = text(value)
		case "piece length":
			expect('i', key, value)
			info.PieceLength = number(value)
		case "pieces":
			expect('s', key, value)
			info.Pieces = []byte(text(value))
		case "length":
			single = expect('i', key, value)
			info.Length = number(value)
		case "files":
			several = expect('l', key, value)
			info.Files = nil
			for item := range items(value) {
				if expect('d', key, item) {
					info.Files = append(info.Files, readFile(item, expect))
				}
			}
		case "private":
			private := string(value) != "i0e"
			info.Private = &private
		case "attr":
			info.Attr = text(value)
		case "meta version":
			info.MetaVersion = number(value)
		case "file tree":
			tree = true
		}
	}
	name := info.BestName()
	switch {
	case wrong != "":
		return nil, bad(name, fmt.Errorf("%w: its %q is of another kind than it should be", ErrSyntax, wrong))
	case !single && !several && tree:
		return nil, bad(name, errV2)
	case single == several:
		return nil, bad(name, fmt.Errorf("%w: there has to be a length or a list of files, not both", ErrLengths))
	case several && len(info.Files) == 0:
		return nil, bad(name, fmt.Errorf("%w: the list of files is empty", ErrLengths))
	}
	return info, nil
}

// readFile decodes an entry of the list of files.
func readFile(b []byte, expect func(kind byte, key string, value []byte) bool) (f metainfo.FileInfo) {
	for key, value := range entries(b) {
		switch key {
		case "length":
			expect('i', key, value)
			f.Length = number(value)
		case "path":
			if expect('l', key, value) {
				f.Path = texts(value)
			}
		case "path.utf-8":
			f.PathUtf8 = texts(value)
		case "attr":
			f.Attr = text(value)
		case "symlink path":
			f.SymlinkPath = texts(value)
		}
	}
	return f
}
