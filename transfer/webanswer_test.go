package transfer

import (
	"testing"

	"chordtorrent/transfer/storage"
)

func TestURLsOfFiles(t *testing.T) {
	single := &storage.Layout{Name: "a b?.iso", Single: true, Files: []storage.File{{Path: "a b?.iso"}}}
	many := &storage.Layout{Name: "dir", Files: []storage.File{{Path: "x/ü#1%"}}}
	for _, c := range []struct {
		base string
		l    *storage.Layout
		want string
	}{
		{"http://h/p/x.iso", single, "http://h/p/x.iso"},
		{"http://h/p/", single, "http://h/p/a%20b%3F.iso"},
		{"http://h/p%2Fq/", single, "http://h/p%2Fq/a%20b%3F.iso"},
		{"https://u:p@h:8080/p?token=1", single, "https://u:p@h:8080/p?token=1"},
		{"http://h", many, "http://h/dir/x/%C3%BC%231%25"},
		{"http://h/p", many, "http://h/p/dir/x/%C3%BC%231%25"},
		{"http://h/p/?t=1#f", many, "http://h/p/dir/x/%C3%BC%231%25?t=1"},
	} {
		base, err := storage.WebSeedURL(c.base)
		must(t, err)
		if got := fileURL(base, c.l, &c.l.Files[0]).String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.base, got, c.want)
		}
	}
}

// FuzzContentRange: what a server says of a range is a range, or refused.
func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-99/100", "bytes 5-9/*", "bytes */100", "bytes 9-5/100", "items 0-1/2", "bytes 0-99/50", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, last, size, ok := contentRange(text)
		if ok && (first < 0 || last < first || size != -1 && size <= last) {
			t.Errorf("%q: %d-%d of %d", text, first, last, size)
		}
	})
}
