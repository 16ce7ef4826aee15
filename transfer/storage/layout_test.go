package storage

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/metainfo"
)

// info is a torrent of files of 10 bytes each, with the right number of hashes.
func info(paths ...[]string) *metainfo.Info {
	in := &metainfo.Info{Name: "name", PieceLength: 16 << 10, Pieces: make([]byte, 20)}
	for _, p := range paths {
		in.Files = append(in.Files, metainfo.FileInfo{Path: p, Length: 10})
	}
	return in
}

func TestHostileNamesAreRefusedByTheirPath(t *testing.T) {
	long := strings.Repeat("x", 256)
	deep := strings.Split(strings.Repeat("d/", 2100)+"f", "/")
	for _, c := range []struct {
		name  string
		paths [][]string
		want  error
		shown string
	}{
		{"parent", [][]string{{"..", "etc", "passwd"}}, ErrNameDots, "../etc/passwd"},
		{"parent inside", [][]string{{"a", "..", "..", "b"}}, ErrNameDots, "a/../../b"},
		{"dot", [][]string{{"a", ".", "b"}}, ErrNameDots, "a/./b"},
		{"absolute component", [][]string{{"/etc/passwd"}}, ErrNameAbsolute, "/etc/passwd"},
		{"absolute path", [][]string{{"", "etc", "passwd"}}, ErrNameAbsolute, "/etc/passwd"},
		{"slash", [][]string{{"a/../../b"}}, ErrNameSlash, "a/../../b"},
		{"empty component", [][]string{{"a", "", "b"}}, ErrNameEmpty, "a//b"},
		{"empty last component", [][]string{{"a", ""}}, ErrNameEmpty, "a/"},
		{"no component", [][]string{{}}, ErrNameEmpty, ""},
		{"NUL", [][]string{{"a\x00b"}}, ErrNameNUL, `a\x00b`},
		{"long name", [][]string{{"dir", long}}, ErrNameTooLong, long},
		{"long path", [][]string{deep}, ErrPathTooLong, "d/d/d/"},
		{"twice", [][]string{{"a", "b"}, {"c"}, {"a", "b"}}, ErrDuplicate, "a/b"},
		{"file and directory", [][]string{{"a", "b", "c"}, {"a-b"}, {"a"}}, ErrFileAndDir, `"a"`},
		{"file below a file", [][]string{{"a", "b"}, {"a", "b", "c"}}, ErrFileAndDir, "a/b"},
	} {
		_, err := FromInfo(info(c.paths...))
		if !errors.Is(err, c.want) || !errors.Is(err, ErrBadTorrent) || !strings.Contains(err.Error(), c.shown) {
			t.Errorf("%s: %v, want %v with %q", c.name, err, c.want, c.shown)
		}
	}
	for name, want := range map[string]error{
		"..": ErrNameDots, "": ErrNameEmpty, "/images/disk.img": ErrNameAbsolute, "a/b": ErrNameSlash, "x\x00": ErrNameNUL, long: ErrNameTooLong,
	} {
		in := &metainfo.Info{Name: name, PieceLength: 1, Length: 1, Pieces: make([]byte, 20)}
		if _, err := FromInfo(in); !errors.Is(err, want) || !strings.Contains(err.Error(), strings.Trim(quoted(name), `"`)) {
			t.Errorf("single file %q: %v, want %v", name, err, want)
		}
	}
}

func quoted(s string) string { return strings.ReplaceAll(s, "\x00", `\x00`) }

func TestOddButHarmlessNamesAreAccepted(t *testing.T) {
	in := info([]string{"..."}, []string{`back\slash`}, []string{" "}, []string{"a", "ü 🎉"}, []string{"a", "b\n"},
		[]string{"b", "c"}, []string{"b-c"}, []string{"bc", "d"}, []string{strings.Repeat("y", 255)}, []string{"\xff\xfe"}, []string{"A", "b\n"})
	l, err := FromInfo(in)
	if err != nil || len(l.Files) != 11 || l.Total != 110 || l.Single || l.Files[3].Path != "a/ü 🎉" || l.Files[3].Offset != 30 {
		t.Fatalf("%+v, %v", l, err)
	}
}

func TestImpossibleLengthsAreRefused(t *testing.T) {
	for name, change := range map[string]func(in *metainfo.Info){
		"negative length":        func(in *metainfo.Info) { in.Length = -1 },
		"one hash too few":       func(in *metainfo.Info) { in.Pieces = nil },
		"one hash too many":      func(in *metainfo.Info) { in.Pieces = make([]byte, 40) },
		"part of a hash":         func(in *metainfo.Info) { in.Pieces = make([]byte, 19) },
		"no piece length":        func(in *metainfo.Info) { in.PieceLength = 0 },
		"negative piece length":  func(in *metainfo.Info) { in.PieceLength = -16384 },
		"huge piece length":      func(in *metainfo.Info) { in.PieceLength = 256<<20 + 1 },
		"more pieces than exist": func(in *metainfo.Info) { in.Length = math.MaxInt64 },
		"negative file":          func(in *metainfo.Info) { in.Files = []metainfo.FileInfo{{Path: []string{"a"}, Length: -5}} },
		"files that overflow": func(in *metainfo.Info) {
			in.Files = []metainfo.FileInfo{{Path: []string{"a"}, Length: math.MaxInt64}, {Path: []string{"b"}, Length: math.MaxInt64}, {Path: []string{"c"}, Length: 12}}
		},
	} {
		in := &metainfo.Info{Name: "name", PieceLength: 16384, Length: 10, Pieces: make([]byte, 20)}
		change(in)
		if _, err := FromInfo(in); !errors.Is(err, ErrLengths) || !errors.Is(err, ErrBadTorrent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	in := info()
	in.Files = make([]metainfo.FileInfo, MaxFiles+1)
	if _, err := FromInfo(in); !errors.Is(err, ErrTooManyFiles) {
		t.Error(err)
	}
	in = &metainfo.Info{Name: "v2", PieceLength: 16384, MetaVersion: 2, FileTree: metainfo.FileTree{Dir: map[string]metainfo.FileTree{"a": {}}}}
	if _, err := FromInfo(in); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
	in = &metainfo.Info{Name: "link", PieceLength: 1, ExtendedFileAttrs: metainfo.ExtendedFileAttrs{Attr: "l"}}
	if _, err := FromInfo(in); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), `"link"`) {
		t.Error(err)
	}
}

// withLink is info with a symbolic link.
func withLink(path, to []string, paths ...[]string) *metainfo.Info {
	in := info(paths...)
	in.Files = append(in.Files, metainfo.FileInfo{Path: path, ExtendedFileAttrs: metainfo.ExtendedFileAttrs{Attr: "l", SymlinkPath: to}})
	return in
}

// A symbolic link may lead to what the torrent has, and nowhere else; its target begins at
// the torrent's root, or, as some have it, at the link.
func TestLinksStayInTheTorrent(t *testing.T) {
	files := [][]string{{"dir", "a"}, {"dir", "deep", "b"}, {"c"}}
	for _, c := range []struct{ path, to, want string }{
		{"x", "dir/a", "dir/a"},
		{"x", "dir", "dir"},
		{"dir/x", "dir/deep", "dir/deep"},
		{"dir/x", "deep/b", "dir/deep/b"},
		{"dir/deep/x", "../../c", "c"},
		{"dir/deep/x", "../a", "dir/a"},
		{"x", "../etc/passwd", ""},
		{"x", "/etc/passwd", ""},
		{"x", "//etc", ""},
		{"x", "", ""},
		{"x", ".", ""},
		{"x", "nothing", ""},
		{"x", "x", ""},
		{"dir/x", "dir", ""},
		{"dir/deep/x", "..", ""},
		{"dir/deep/x", "../../../c", ""},
	} {
		l, err := FromInfo(withLink(strings.Split(c.path, "/"), strings.Split(c.to, "/"), files...))
		if err != nil || len(l.Files) != 3 || len(l.Links)+len(l.astray) != 1 {
			t.Fatalf("%s to %s: %+v %v", c.path, c.to, l, err)
		}
		got := ""
		for _, link := range l.Links {
			got = link.To
		}
		if got != c.want {
			t.Errorf("%s to %s leads to %q, want %q", c.path, c.to, got, c.want)
		}
	}
	for _, c := range []struct {
		path string
		want error
	}{
		{"dir/a", ErrDuplicate},
		{"dir/a/x", ErrFileAndDir}, // below a file
		{"dir", ErrFileAndDir},     // files below it
		{"../x", ErrNameDots},
	} {
		if _, err := FromInfo(withLink(strings.Split(c.path, "/"), []string{"c"}, files...)); !errors.Is(err, c.want) || !errors.Is(err, ErrBadTorrent) {
			t.Errorf("%s: %v, want %v", c.path, err, c.want)
		}
	}
	in := withLink([]string{"x"}, []string{"a"}, []string{"a"})
	in.Files[1].Length = 1
	if _, err := FromInfo(in); !errors.Is(err, ErrLengths) {
		t.Error(err)
	}
}

// Padding is known by its attribute, or by the name that some give it, and its name may
// be anything.
func TestPaddingOfOthers(t *testing.T) {
	in := info([]string{"a"}, []string{"..", "pad"}, []string{"d", padName + "0_if you see this file"}, []string{"b"})
	in.Files[1].Attr = "p"
	l, err := FromInfo(in)
	if err != nil || len(l.Files) != 4 || l.Files[0].Pad || !l.Files[1].Pad || !l.Files[2].Pad || l.Files[3].Pad || l.Files[3].Offset != 30 {
		t.Fatalf("%+v %v", l, err)
	}
	if strings.Contains(l.Files[1].Path, "..") {
		t.Errorf("%q", l.Files[1].Path)
	}
	in = &metainfo.Info{Name: "one", PieceLength: 16, Length: 10, Pieces: make([]byte, 20), ExtendedFileAttrs: metainfo.ExtendedFileAttrs{Attr: "px"}}
	if l, err := FromInfo(in); err != nil || l.Files[0].Pad || !l.Files[0].Exec {
		t.Errorf("%+v %v", l, err)
	}
}

func TestPiecesOfALayout(t *testing.T) {
	for _, c := range []struct {
		total  int64
		pieces int
		last   int64
	}{{0, 0, 0}, {1, 1, 1}, {16383, 1, 16383}, {16384, 1, 16384}, {16385, 2, 1}, {65536, 4, 16384}} {
		in := &metainfo.Info{Name: "n", PieceLength: 16384, Length: c.total, Pieces: make([]byte, 20*c.pieces)}
		l, err := FromInfo(in)
		if err != nil || l.NumPieces() != c.pieces || !l.Single || l.Total != c.total {
			t.Fatalf("%d bytes: %+v %v", c.total, l, err)
		}
		if c.pieces > 0 && (l.PieceSize(c.pieces-1) != c.last || len(l.PieceHash(c.pieces-1)) != 20) {
			t.Errorf("%d bytes: last piece of %d", c.total, l.PieceSize(c.pieces-1))
		}
	}
}

func TestPieceLengthRule(t *testing.T) {
	const kib, mib, gib = 1 << 10, 1 << 20, 1 << 30
	for total, want := range map[int64]int64{
		0: 16 * kib, 1: 16 * kib, 16 * mib: 16 * kib, 16*mib + 1: 32 * kib, 256 * mib: 256 * kib,
		gib: mib, gib + 1: mib, 16 * gib: mib, 16*gib + 1: 2 * mib, 64 * gib: 4 * mib, 256 * gib: 16 * mib, 1 << 50: 16 * mib,
	} {
		if got := PieceLength(total); got != want {
			t.Errorf("%d bytes: pieces of %d, want %d", total, got, want)
		}
	}
}
