package communicator

import (
	"slices"
	"testing"
)

func TestNearest(t *testing.T) {
	names := []string{
		"ubuntu-24.04.iso", "Ubuntu 22.04.iso", "debian-12.iso", "go source tree", "movie.mkv", "a", "bb", "résumé.pdf", "...",
	}
	for _, c := range []struct {
		typed string
		want  []string
	}{
		{"UBUNTU-24.04.ISO", []string{"ubuntu-24.04.iso", "Ubuntu 22.04.iso"}},
		{"ubuntu", []string{"Ubuntu 22.04.iso", "ubuntu-24.04.iso"}},
		{"debain-12.iso", []string{"debian-12.iso"}},
		{"debian 12", []string{"debian-12.iso"}},
		{"source", []string{"go source tree"}},
		{"movie.mkv.torrent", []string{"movie.mkv"}},
		{"mvoie", []string{"movie.mkv"}},
		{"Resumé.pdf", []string{"résumé.pdf"}},
		{"zzzzzz", nil},
		{"", nil},
	} {
		if got := nearest(c.typed, names, 3); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.typed, got, c.want)
		}
	}
	if got := nearest("ubuntu", names, 1); len(got) != 1 {
		t.Errorf("asked for one, got %q", got)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"abc", "xabc", 1}, {"kitten", "sitting", 3}} {
		if got := distance([]rune(c.a), []rune(c.b), 5); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
	if got := distance([]rune("abcdef"), []rune("uvwxyz"), 2); got <= 2 {
		t.Errorf("strangers are %d apart", got)
	}
}
