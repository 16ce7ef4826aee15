package daemon_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chordtorrent/client/api"
	"chordtorrent/client/daemon"
	"chordtorrent/client/daemontest"
)

// Of several copies the one that is served is read: others may have been changed.
func TestWhatIsServedIsHeld(t *testing.T) {
	h := daemontest.New(t)
	a := h.Daemon("a")
	p := h.Publish(a, h.File("disk", 100_000))
	copied := h.Add(a, api.AddDownload{Source: "disk", Target: filepath.Join(h.Dir, "copy")})
	served := h.Until(a, copied.ID, "the copy", daemontest.IsServed)
	if err := os.Remove(p.Path); err != nil {
		t.Fatal(err)
	}
	for range 30 { // in whatever order the jobs are looked at
		if dl, j, err := a.Held(t.Context(), p.InfoHash); err != nil || dl != nil || j.Path != served.Path {
			t.Fatalf("held: %+v, %v", j, err)
		}
	}
	for _, wrong := range []string{"", "x", p.InfoHash + "00", strings.ToUpper(p.InfoHash), p.InfoHash[:38], strings.Repeat("0", 40)} {
		if _, _, err := a.Held(t.Context(), wrong); !errors.Is(err, daemon.ErrNoJob) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
