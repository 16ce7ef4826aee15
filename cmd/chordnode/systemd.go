package main

import (
	"context"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"chordtorrent/node"
)

// tell tells systemd of a state; without systemd it does nothing.
func tell(state string) { _, _ = sd.SdNotify(false, state) }

// keepWatched tells systemd, if it watches, that the node's loop still answers, each third
// of the time after which it would be ended. It ends with ctx.
func keepWatched(ctx context.Context, n *node.Node) {
	within, err := sd.SdWatchdogEnabled(false)
	if err != nil || within <= 0 {
		return
	}
	turn := time.NewTicker(within / 3)
	defer turn.Stop()
	for {
		asking, cancel := context.WithTimeout(ctx, within/3)
		err := n.Alive(asking)
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
