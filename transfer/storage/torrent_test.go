package storage

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"
)

func TestParseTorrent(t *testing.T) {
	hash := strings.Repeat("h", 20)
	const files = "5:filesld6:lengthi3e4:pathl1:a1:beed4:attr1:p6:lengthi2e4:pathl4:.pad1:2eed4:attr2:hx6:lengthi1e4:pathl1:ceee"
	for name, c := range map[string]struct {
		torrent string
		want    string // "" for fine, else in the error
	}{
		"single":              {"d4:infod6:lengthi3e4:name1:n12:piece lengthi16384e6:pieces20:" + hash + "ee", ""},
		"empty":               {"d4:infod6:lengthi0e4:name1:n12:piece lengthi16384e6:pieces0:ee", ""},
		"empty, no pieces":    {"d4:infod6:lengthi0e4:name1:n12:piece lengthi16384eee", ""},
		"multi":               {"d4:infod" + files + "4:name1:n12:piece lengthi16384e6:pieces20:" + hash + "ee", ""},
		"keys out of order":   {"d4:infod4:name1:n6:lengthi3e12:piece lengthi16384e6:pieces20:" + hash + "ee", ""},
		"unknown keys":        {"d3:fool1:xi-1edee4:infod6:lengthi3e4:name1:n12:piece lengthi16384e6:pieces20:" + hash + "ee", ""},
		"nothing":             {"", "ends in the middle"},
		"HTML":                {"<html>", "byte 0"},
		"a list":              {"le", "not one dictionary"},
		"no info":             {"de", "no info dictionary"},
		"info is a string":    {"d4:info3:abce", "not a .torrent"},
		"something after it":  {"d4:infod6:lengthi0e4:name1:n12:piece lengthi1eeex", "byte 48: its dictionary ends here, and 1 bytes follow"},
		"cut off":             {"d4:infod6:lengthi0e4:name1:n12:piece len", "longer than the file"},
		"endless string":      {"d4:info999999999:", "longer than the file"},
		"negative string":     {"d-1:x1:ye", "byte 1: no string"},
		"not a number":        {"d1:aixee", "bad number"},
		"long number":         {"d1:ai" + strings.Repeat("1", 100) + "ee", "endless number"},
		"too deep":            {"d1:a" + strings.Repeat("l", 1000) + strings.Repeat("e", 1001), "nested too deeply"},
		"no length":           {"d4:infod4:name1:n12:piece lengthi16384e6:pieces20:" + hash + "ee", "length or a list of files"},
		"length and files":    {"d4:infod" + files + "6:lengthi3e4:name1:n12:piece lengthi16384e6:pieces20:" + hash + "ee", "length or a list of files"},
		"no files":            {"d4:infod5:filesle4:name1:n12:piece lengthi16384e6:pieces0:ee", "list of files is empty"},
		"hostile":             {"d4:infod6:lengthi0e4:name2:..12:piece lengthi16384eee", `".."`},
		"two dictionaries":    {"dede", "byte 2: its dictionary ends here, and 2 bytes follow"},
		"v2 alone":            {"d4:infod9:file treed1:ad0:d6:lengthi3e11:pieces root32:" + hash + "012345678901eee12:meta versioni2e4:name1:n12:piece lengthi16384eee", "BitTorrent v2 alone"},
		"hybrid":              {"d4:infod9:file treed1:ad0:d6:lengthi3eeee5:filesld6:lengthi3e4:pathl1:aeee12:meta versioni2e4:name1:n12:piece lengthi16384e6:pieces20:" + hash + "ee", ""},
		"hybrid, one file":    {"d4:infod9:file treed1:nd0:d6:lengthi3eeee6:lengthi3e12:meta versioni2e4:name1:n12:piece lengthi16384e6:pieces20:" + hash + "ee", ""},
		"names in UTF-8":      {"d4:infod5:filesld6:lengthi3e4:pathl3:\xe4\xf6\xfce10:path.utf-8l2:äeee4:name1:\xff10:name.utf-81:n12:piece lengthi16384e6:pieces20:" + hash + "ee", ""},
		"nothing but padding": {"d4:infod5:filesld4:attr1:p6:lengthi3eee4:name1:n12:piece lengthi16384e6:pieces20:" + hash + "ee", "no file in it"},
		"wrong types":         {"d4:infod6:length3:abc4:name1:n12:piece lengthi16384eee", "not a .torrent"},
	} {
		mi, l, err := ParseTorrent([]byte(c.torrent))
		if c.want == "" {
			if err != nil || l.Name != "n" || len(mi.InfoBytes) == 0 {
				t.Errorf("%s: %v", name, err)
			}
		} else if err == nil || !errors.Is(err, ErrBadTorrent) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if name == "multi" && (len(l.Files) != 3 || !l.Files[1].Pad || !l.Files[2].Exec || l.Files[2].Offset != 5) {
			t.Errorf("%+v", l.Files)
		}
	}
	for _, c := range []struct {
		many string
		n    int
		want string
	}{{"de", MaxFiles + 1, "too many files: more than 1048576"}, {"le", maxValues, "more than 8388608 values"}, {"0:", maxValues, "more than 8388608 values"}} {
		if _, _, err := ParseTorrent([]byte("d4:infol" + strings.Repeat(c.many, c.n) + "ee")); !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), c.want) {
			t.Error(err)
		}
	}
	if _, _, err := ParseTorrent(make([]byte, MaxTorrent+1)); !errors.Is(err, ErrSyntax) {
		t.Error(err)
	}
}

func TestEncodedTorrentParsesToTheSame(t *testing.T) {
	for _, l := range []*Layout{
		{Name: "one", PieceLength: 16384, Total: 5, Single: true, Files: []File{{Path: "one", Length: 5, Exec: true}}, Pieces: bytes.Repeat([]byte{7}, 20)},
		{Name: "none", PieceLength: 16384, Single: true, Files: []File{{Path: "none"}}},
		{Name: "closed", PieceLength: 16384, Total: 5, Single: true, Private: true, Files: []File{{Path: "closed", Length: 5}}, Pieces: bytes.Repeat([]byte{7}, 20)},
		{Name: "padded", PieceLength: 4, Total: 5, Private: true, Files: []File{{Path: "a", Length: 3}, {Path: ".pad/1", Length: 1, Offset: 3, Pad: true}, {Path: "c", Length: 1, Offset: 4}}, Pieces: bytes.Repeat([]byte{7}, 40)},
		{Name: "many", PieceLength: 4, Total: 5, Files: []File{{Path: "a/b", Length: 5}, {Path: "c", Offset: 5}}, Pieces: bytes.Repeat([]byte{7}, 40)},
	} {
		b, hash, err := encode(l, options{tiers: [][]string{{"http://a/announce", "http://b/announce"}, {"udp://c:1"}}})
		if err != nil {
			t.Fatal(err)
		}
		mi, back, err := ParseTorrent(b)
		if err != nil {
			t.Fatalf("%s: %v", l.Name, err)
		}
		if mi.HashInfoBytes() != hash || mi.Announce != "http://a/announce" || len(mi.AnnounceList) != 2 || mi.CreationDate != 0 {
			t.Errorf("%+v", mi)
		}
		if got, want := fmt.Sprintf("%+v", *back), fmt.Sprintf("%+v", *l); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

// What BEP 3 demands is there also when it is zero: other clients insist.
func TestEmptyFileHasLengthAndPieces(t *testing.T) {
	b, _, err := encode(&Layout{Name: "none", PieceLength: 16384, Single: true, Files: []File{{Path: "none"}}}, options{})
	if err != nil || string(b) != "d10:created by12:chordtorrent4:infod6:lengthi0e4:name4:none12:piece lengthi16384e6:pieces0:ee" {
		t.Fatalf("%s %v", b, err)
	}
}

// agrees compares with what a decoder by reflection makes of the same bytes, if it takes
// them at all.
func agrees(t *testing.T, b []byte, l *Layout) {
	var mi metainfo.MetaInfo
	if bencode.Unmarshal(b, &mi) != nil {
		return
	}
	info, err := mi.UnmarshalInfo()
	if err != nil {
		return
	}
	other, err := FromInfo(&info)
	if err != nil {
		t.Fatalf("%+v is refused elsewhere: %v", l, err)
	}
	other.Private, other.InfoSize = l.Private, l.InfoSize
	if fmt.Sprintf("%+v", other) != fmt.Sprintf("%+v", l) {
		t.Fatalf("%+v, elsewhere %+v", l, other)
	}
}

func FuzzParseTorrent(f *testing.F) {
	hash := strings.Repeat("h", 20)
	f.Add([]byte("d4:infod6:lengthi3e4:name1:n12:piece lengthi16384e6:pieces20:" + hash + "ee"))
	f.Add([]byte("d8:announce3:url13:announce-listll1:aee4:infod5:filesld6:lengthi3e4:pathl1:a1:beee4:name1:n12:piece lengthi16384e6:pieces20:" + hash + "ee"))
	f.Add([]byte("d4:infod9:file treed1:ad0:d6:lengthi0eeee12:meta versioni2e4:name1:n12:piece lengthi16384eee"))
	f.Add([]byte("d8:url-list8:http://h4:infod9:file treed1:ad0:d6:lengthi3eeee5:filesld4:attr1:x6:lengthi3e4:pathl1:aeed4:attr1:p6:lengthi2eed4:attr1:l6:lengthi0e4:pathl1:de12:symlink pathl1:aeee12:meta versioni2e4:name1:n12:piece lengthi16384e6:pieces20:" + hash + "7:privatei1eee"))
	f.Add([]byte("d5:nodesll4:hosti1eee8:url-listl1:ae13:creation date1:x4:infod6:lengthi0e4:name1:n12:piece lengthi1eee"))
	f.Fuzz(func(t *testing.T, b []byte) {
		mi, l, err := ParseTorrent(b)
		if err != nil {
			if !errors.Is(err, ErrBadTorrent) {
				t.Fatal(err)
			}
			return
		}
		if mi == nil || len(l.Pieces) != l.NumPieces()*HashLen || len(l.Files) == 0 {
			t.Fatalf("%+v", l)
		}
		var sum int64
		for _, file := range l.Files {
			if file.Offset != sum || file.Length < 0 || file.Path == "" || strings.HasPrefix(file.Path, "/") || strings.Contains("/"+file.Path+"/", "/../") || strings.Contains(file.Path, "\x00") {
				t.Fatalf("%+v", file)
			}
			sum += file.Length
		}
		if sum != l.Total {
			t.Fatalf("%d, not %d", sum, l.Total)
		}
		if s, err := scan(b); err == nil && s.odd < 0 {
			agrees(t, b, l)
		}
		paths := make(map[string]bool)
		for _, file := range l.Files {
			if paths[file.Path] && !file.Pad {
				t.Fatalf("%q twice", file.Path)
			}
			paths[file.Path] = true
		}
		for _, link := range l.Links {
			if paths[link.Path] || strings.Contains("/"+link.Path+"/", "/../") || strings.Contains("/"+link.To+"/", "/../") || strings.HasPrefix(link.Path+"/", link.To+"/") {
				t.Fatalf("%+v", link)
			}
		}
		Oddities(b, mi, l)
		again, _, err := encode(l, options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, back, err := ParseTorrent(again); err != nil || back.Total != l.Total || back.Private != l.Private || len(back.Files) != len(l.Files) {
			t.Fatalf("%+v comes back as %+v, %v", l, back, err)
		}
	})
}
