package main

import (
	"testing"

	"chordtorrent/client/api"
)

// Whoever waits for a publication is not told what was published after it.
func TestALaterPublicationIsNotTakenForTheOneThatWasAskedFor(t *testing.T) {
	asked := api.Job{Kind: api.Publication, State: api.Queued, Version: 2}
	for _, c := range []struct {
		now  api.Job
		want bool
	}{
		{api.Job{State: api.Running, Version: 2}, false},
		{api.Job{State: api.Done, Version: 3}, false},
		{api.Job{State: api.Failed, Version: 3}, false}, // done, and changed since
		{api.Job{State: api.Running, Version: 3}, true},
		{api.Job{State: api.Done, Version: 4}, true},
	} {
		if got := replaced(asked, c.now); got != c.want {
			t.Errorf("%s, version %d: %v", c.now.State, c.now.Version, got)
		}
	}
	// A download that follows its name goes on to the newest.
	asked.Kind = api.Download
	if replaced(asked, api.Job{State: api.Running, Version: 3}) {
		t.Error("a download that goes on with a newer version")
	}
}

func TestAFailedJobEndsWithTheCodeOfItsError(t *testing.T) {
	for code, want := range map[int]int{api.CodeMismatch: api.CodeMismatch, api.CodeNoRing: api.CodeNoRing, 0: api.CodeFailed} {
		err := verdict(api.Job{State: api.Failed, Error: "it is so", Hint: "do that", Code: code})
		if p := api.ProblemOf(err); p.Code != want || p.Error != "it is so" || p.Hint != "do that" {
			t.Errorf("%d: %+v", code, p)
		}
	}
	if err := verdict(api.Job{State: api.Done}); err != nil {
		t.Error(err)
	}
}

func TestRatesAreReadAsTheyArePrinted(t *testing.T) {
	for given, want := range map[string]int64{"none": 0, "0": 0, "7": 7, "500K": 500 << 10, "60KiB": 60 << 10, "1.5m": 3 << 19, "20MiB": 20 << 20, "1GiB": 1 << 30, "2gib": 2 << 30} {
		if got, err := parseRate(given); err != nil || got != want {
			t.Errorf("%s: %d, %v", given, got, err)
		}
	}
	for n, want := range map[int64]string{0: "none", 1: "1", 1000: "1000", 1023: "1023", 500 << 10: "500K", 1 << 20: "1M", 3 << 19: "1536K", 20 << 20: "20M", 1 << 30: "1G", 1 << 40: "1024G"} {
		got := rateOf(n)
		if back, err := parseRate(got); got != want || err != nil || back != n {
			t.Errorf("%d: %q is read as %d, %v", n, got, back, err)
		}
	}
	for _, given := range []string{"", "fast", "-1K", "5B", "5Ki", "5KB", "KiB", "5KKiB", "NaN", "InfK", "1e30G"} {
		if got, err := parseRate(given); err == nil {
			t.Errorf("%s: %d", given, got)
		}
	}
}
