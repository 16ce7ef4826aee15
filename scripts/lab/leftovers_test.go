package lab

import (
	"os"
	"slices"
	"strconv"
	"testing"
)

// A lab whose maker is gone is removed; that of another kind, and one in use, stays.
func TestLeftoversAreThoseOfMakersThatAreGone(t *testing.T) {
	names := "ws4194999-0 (id: 3)\nws4194999-sw\nws1-0\nio4194999-0\nws-0\nws" + strconv.Itoa(os.Getpid()) + "-0\nmy-ws4194999-0\n"
	got := orphans(names, "ws", func(p string) bool { return p == strconv.Itoa(os.Getpid()) })
	if want := []string{"ws4194999-0", "ws4194999-sw", "ws1-0"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
