package daemon

import (
	"context"
	"log/slog"
	"testing"

	"chordtorrent/client/api"
)

// TestWhatCouldNotBeToldIsToldTheNextTime has a reader's time run out just when there is
// something to tell.
func TestWhatCouldNotBeToldIsToldTheNextTime(t *testing.T) {
	d := &Daemon{log: slog.New(slog.DiscardHandler), asks: make(chan func()), over: make(chan struct{}), ctx: t.Context(),
		jobs: map[string]*job{"1": {saved: saved{ID: "1", State: api.Paused}}}}
	s := &Subscription{d: d, wake: make(chan struct{}, 1), dirty: make(map[string]struct{})}
	s.note("1")
	s.note("2")
	tired, cancel := context.WithCancel(t.Context())
	cancel()
	// Either end of the race is well: told to be over before it looked, or after.
	if _, _, err := s.Next(tired); err == nil {
		t.Fatal("told without a loop")
	}
	go func() {
		for {
			select {
			case ask := <-d.asks:
				ask()
			case <-t.Context().Done():
				return
			}
		}
	}()
	jobs, gone, err := s.Next(t.Context())
	if err != nil || len(jobs) != 1 || len(gone) != 1 || gone[0] != "2" {
		t.Errorf("%v, %v, %v", jobs, gone, err)
	}
}
