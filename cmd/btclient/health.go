package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"chordtorrent/client/api"
)

// healthTimeout is what a daemon has to answer within: longer than a loaded machine
// takes, and shorter than who asks is patient.
const healthTimeout = 5 * time.Second

type healthyEvent struct {
	Event   string `json:"event"` // "healthy"
	PID     int    `json:"pid"`
	Jobs    int    `json:"jobs"`
	Active  int    `json:"active"`
	Serving int    `json:"serving"`
}

func (a *app) healthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Say whether the daemon is well, for containers and monitoring",
		Long: `Asks the daemon of this Storage whether it works and has a ring in reach. It ends
with 0 if all is well, else with 1, and prints one line:

  healthy pid=<n> jobs=<n> active=<downloads that run> serving=<jobs that are served>`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.health(cmd.Context()) },
	}
}

func (a *app) health(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	st, err := a.daemonStatus(ctx)
	if err != nil {
		// One line, and one code, for those who know only well and unwell.
		return fmt.Errorf("unhealthy: %s", api.ProblemOf(err).Error)
	}
	e := healthyEvent{Event: "healthy", PID: st.PID, Jobs: st.Jobs, Active: st.Active, Serving: st.Serving}
	a.out.line(fmt.Sprintf("healthy pid=%d jobs=%d active=%d serving=%d", e.PID, e.Jobs, e.Active, e.Serving), e)
	return nil
}

// daemonStatus asks the daemon; an error if it cannot do its work.
func (a *app) daemonStatus(ctx context.Context) (st api.Status, err error) {
	r, err := a.mustRemote()
	if err != nil {
		return st, err
	}
	if err := r.Do(ctx, "GET", "/status", nil, &st); err != nil {
		return st, err
	}
	if !st.Ring {
		return st, errors.New("no ring in reach")
	}
	return st, nil
}
