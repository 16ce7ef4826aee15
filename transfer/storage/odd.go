package storage

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/anacrolix/torrent/metainfo"
)

// maxOdd is how many files each oddity of names shows.
const maxOdd = 3

// Oddities tells in words what is unusual about a .torrent that ParseTorrent has read: it
// can be used, but perhaps not everywhere, or not as its author thought. One line each;
// nil when there is nothing.
func Oddities(torrent []byte, mi *metainfo.MetaInfo, l *Layout) (odd []string) {
	say := func(format string, args ...any) { odd = append(odd, fmt.Sprintf(format, args...)) }
	if s, err := scan(torrent); err == nil && s.odd >= 0 {
		say("byte %d: a key that is out of order, or there twice: other clients may read it differently", s.odd)
	}
	switch n := l.PieceLength; {
	case bits.OnesCount64(uint64(n)) != 1:
		say("the piece length of %d bytes is no power of two", n)
	case n < 16<<10:
		say("the piece length of %d bytes is small: 16384 is usual at least", n)
	case n > 16<<20:
		say("the piece length of %d bytes is large: some clients take 16777216 at most", n)
	}
	if l.Total == 0 {
		say("it has no bytes")
	}
	if l.hybrid {
		say("it is a hybrid of BitTorrent v1 and v2: what is for v1 is used")
	}
	pads, padding := 0, int64(0)
	for _, f := range l.Files {
		if f.Pad {
			pads++
			padding += f.Length
		}
	}
	if pads > 0 {
		say("%d of its files are padding, %d bytes, which is not written", pads, padding)
	}
	if len(l.Links) > 0 {
		say("it has %d symbolic links", len(l.Links))
	}
	var astray []string
	for _, link := range l.astray {
		astray = append(astray, fmt.Sprintf("%q to %q", link.Path, link.To))
	}
	few("symbolic links that lead to nothing in it, and are left out", astray, say)
	names(l, say)
	trackers(mi, l, say)
	return odd
}

// names tells what is unusual about the names of the files.
func names(l *Layout, say func(format string, args ...any)) {
	first := make(map[string]string, len(l.Files))
	var alike, unreadable, foreign []string
	for _, f := range l.Files {
		if f.Pad {
			continue
		}
		lower := strings.ToLower(f.Path)
		if other, known := first[lower]; known {
			alike = append(alike, fmt.Sprintf("%q and %q", other, f.Path))
		} else {
			first[lower] = f.Path
		}
		switch {
		case !utf8.ValidString(f.Path):
			unreadable = append(unreadable, fmt.Sprintf("%q", f.Path))
		case strings.ContainsFunc(f.Path, unicode.IsControl), strings.ContainsAny(f.Path, `\:*?"<>|`), dotted(f.Path):
			foreign = append(foreign, fmt.Sprintf("%q", f.Path))
		}
	}
	few("names that differ in case alone, and are one file on some systems", alike, say)
	few("names that are not UTF-8", unreadable, say)
	few("names that some systems cannot store", foreign, say)
}

// few says what, with the first of a list; nothing when it is empty.
func few(what string, list []string, say func(format string, args ...any)) {
	if len(list) > maxOdd {
		list = append(slices.Clip(list[:maxOdd]), fmt.Sprintf("and %d more", len(list)-maxOdd))
	}
	if len(list) > 0 {
		say("%s: %s", what, strings.Join(list, ", "))
	}
}

// dotted tells whether a component of a path ends as Windows takes none.
func dotted(p string) bool {
	for component := range strings.SplitSeq(p, "/") {
		if strings.HasSuffix(component, ".") || strings.HasSuffix(component, " ") {
			return true
		}
	}
	return false
}

// trackers tells what is unusual about where peers are to come from.
func trackers(mi *metainfo.MetaInfo, l *Layout, say func(format string, args ...any)) {
	tiers, any := mi.UpvertedAnnounceList(), false
	for _, tier := range tiers {
		for _, t := range tier {
			any = true
			if _, err := TrackerURL(t); err != nil {
				say("%q is no http, https or udp tracker that can be asked: %v", t, err)
			}
		}
	}
	switch {
	case any:
		if mi.Announce != "" && !slices.ContainsFunc(tiers, func(t []string) bool { return slices.Contains(t, mi.Announce) }) {
			say("its announce %q is not in its announce-list, which goes before it", mi.Announce)
		}
	case l.Private:
		say("it is private and names no tracker: nobody can find peers")
	case len(mi.UrlList) == 0:
		say("it names no tracker and no web seed")
	}
	for _, t := range mi.UrlList {
		if _, err := WebSeedURL(t); err != nil {
			say("%q is no http or https web seed that can be asked: %v", t, err)
		}
	}
	if len(mi.Nodes) > 0 {
		say("it names %d nodes of the DHT, which is not used", len(mi.Nodes))
	}
}
