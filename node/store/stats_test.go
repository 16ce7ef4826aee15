package store

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// TestADiskThatGoesOnRefusingIsToldOfNowAndThen has a full disk refuse twenty writes
// in a second for two minutes: the log has the first, then one line a minute with the
// number, and one when it is over.
func TestADiskThatGoesOnRefusingIsToldOfNowAndThen(t *testing.T) {
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	var c commitStats
	full, now := errors.New("no space"), time.Unix(1, 0)
	for range 2*60*20 + 1 {
		c.wrote(full, now, log)
		now = now.Add(50 * time.Millisecond)
	}
	c.wrote(nil, now, log) // a small one that found room
	if n := strings.Count(text.String(), "again"); n != 0 {
		t.Errorf("told at once that it is over: %s", text.String())
	}
	c.wrote(nil, now.Add(troubleFor), log)
	c.wrote(nil, now.Add(2*troubleFor), log)
	var got []string
	for line := range strings.Lines(text.String()) {
		_, line, _ = strings.Cut(line, "level=")
		got = append(got, strings.TrimSpace(line))
	}
	want := []string{
		`ERROR msg="cannot write to the database" err="no space" refused=1`,
		`ERROR msg="cannot write to the database" err="no space" refused=1200`,
		`ERROR msg="cannot write to the database" err="no space" refused=1200`,
		`INFO msg="the database takes writes again" refused=0`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the log says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
