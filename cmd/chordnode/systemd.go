package main

import (
	"context"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
)

// tell tells systemd of a state; without systemd it does nothing.
func tell(state string) { _, _ = sd.SdNotify(false, state) }

// startsWithin is how long a node that starts again is taken to be busy, and not to hang:
// its whole store is checked. The unit gives a first start as long.
const startsWithin = 10 * time.Minute

// keepWatched tells systemd, if it watches, that all is well as far as alive says, which is
// asked each third of the time after which the program would be ended. It ends with ctx.
func keepWatched(ctx context.Context, alive func(context.Context) error) {
	within, err := sd.SdWatchdogEnabled(false)
	if err != nil || within <= 0 {
		return
	}
	turn := time.NewTicker(within / 3)
	defer turn.Stop()
	for {
		asking, cancel := context.WithTimeout(ctx, within/3)
		err := alive(asking)
		cancel()
		if err == nil {
			tell(sd.SdNotifyWatchdog)
		}
		select {
		case <-turn.C:
		case <-ctx.Done():
			return
		}
	}
}
