package storage

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestOdditiesAreToldInWords(t *testing.T) {
	hash := strings.Repeat("h", 20)
	const fine = "8:announce8:http://t"
	files := func(names ...string) string {
		s := "5:filesl"
		for _, n := range names {
			s += "d6:lengthi1e4:pathl" + n + "ee"
		}
		return s + "e"
	}
	info := func(files string) string {
		return "4:infod" + files + "4:name1:n12:piece lengthi16384e6:pieces20:" + hash
	}
	for _, c := range []struct{ torrent, want string }{
		{"d" + fine + info("6:lengthi3e") + "ee", ""},
		{"d" + info("6:lengthi3e") + "ee", "no tracker and no web seed"},
		{"d" + info("6:lengthi3e") + "e8:url-list8:http://we", ""},
		{"d" + info("6:lengthi3e") + "e8:url-list7:ftp://we", `"ftp://w" is no http`},
		{"d" + info("6:lengthi3e") + "7:privatei1eee", "it is private and names no tracker"},
		{"d8:announce7:wss://t" + info("6:lengthi3e") + "ee", `"wss://t" is no http, https or udp tracker`},
		{"d8:announce8:http://t13:announce-listll8:http://uee" + info("6:lengthi3e") + "ee", `"http://t" is not in its announce-list`},
		{"d" + fine + info("6:lengthi3e") + "e5:nodesll1:hi1eeee", "1 nodes of the DHT"},
		{"d" + info("6:lengthi3e") + "e" + fine + "e", "byte 82: a key that is out of order"},
		{"d" + fine + fine + info("6:lengthi3e") + "ee", "byte 21: a key"},
		{"d" + fine + info(files("1:a", "1:A", "1:b")) + "ee", `"a" and "A"`},
		{"d" + fine + info(files("1:\xff")) + "ee", `not UTF-8: "\xff"`},
		{"d" + fine + info(files("1:a2:b.", "3:x:y", "1:\n", "2:a?", "1:?")) + "ee", `cannot store: "a/b.", "x:y", "\n", and 2 more`},
		{"d" + fine + info("5:filesld6:lengthi3e4:pathl1:aeed4:attr1:p6:lengthi5eed4:attr1:l6:lengthi0e4:pathl1:be12:symlink pathl1:aeee") + "ee", "1 of its files are padding, 5 bytes"},
		{"d" + fine + info("5:filesld6:lengthi3e4:pathl1:aeed4:attr1:l6:lengthi0e4:pathl1:be12:symlink pathl1:aeee") + "ee", "1 symbolic links"},
		{"d" + fine + info("5:filesld6:lengthi3e4:pathl1:aeed4:attr1:l6:lengthi0e4:pathl1:be12:symlink pathl2:..1:aeee") + "ee", `left out: "b" to "../a"`},
		{"d" + fine + "4:infod9:file treede6:lengthi3e12:meta versioni2e4:name1:n12:piece lengthi16384e6:pieces20:" + hash + "ee", "hybrid"},
		{"d" + fine + "4:infod6:lengthi0e4:name1:n12:piece lengthi16384e6:pieces0:ee", "no bytes"},
		{"d" + fine + "4:infod6:lengthi3e4:name1:n12:piece lengthi100e6:pieces20:" + hash + "ee", "no power of two"},
		{"d" + fine + "4:infod6:lengthi3e4:name1:n12:piece lengthi1024e6:pieces20:" + hash + "ee", "is small"},
		{"d" + fine + "4:infod6:lengthi3e4:name1:n12:piece lengthi33554432e6:pieces20:" + hash + "ee", "is large"},
	} {
		mi, l, err := ParseTorrent([]byte(c.torrent))
		if err != nil {
			t.Errorf("%s: %v", c.torrent, err)
			continue
		}
		odd := Oddities([]byte(c.torrent), mi, l)
		if c.want == "" && odd != nil || c.want != "" && !slices.ContainsFunc(odd, func(s string) bool { return strings.Contains(s, c.want) }) {
			t.Errorf("%s: %q, want %q", c.torrent, odd, c.want)
		}
	}
}

func TestOurOwnTorrentsAreNotOdd(t *testing.T) {
	l := &Layout{Name: "many", PieceLength: 16384, Total: 5, Private: true, Files: []File{{Path: "a/b", Length: 5, Exec: true}, {Path: "c", Offset: 5}}, Pieces: bytes.Repeat([]byte{7}, 20)}
	b, _, err := encode(l, options{tiers: [][]string{{"http://a/announce", "udp://b:1"}, {"https://c"}}, webSeeds: []string{"http://w/", "https://x/"}, comment: "hello"})
	must(t, err)
	mi, back, err := ParseTorrent(b)
	must(t, err)
	if odd := Oddities(b, mi, back); odd != nil || mi.Comment != "hello" || !back.Private {
		t.Errorf("%q %+v", odd, mi)
	}
	if !slices.Equal(mi.UrlList, []string{"http://w/", "https://x/"}) {
		t.Errorf("%q", mi.UrlList)
	}
}
