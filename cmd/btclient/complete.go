package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"chordtorrent/client/api"
	"chordtorrent/communicator"
)

// completeWithin is how long a person who presses the tabulator waits at most.
const completeWithin = 1500 * time.Millisecond

// names completes the names that the ring has.
func (a *app) names(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const files = cobra.ShellCompDirectiveDefault // a .torrent, or the target
	if len(args) > 0 {
		return nil, files
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
	defer cancel()
	if a.configure(cmd) != nil || a.begin() != nil {
		return nil, files
	}
	var found []cobra.Completion
	_ = a.lookUp(ctx, func(ring *communicator.Communicator) error {
		list, _ := ring.Files(ctx, begun) // a part is of help
		for _, f := range list {
			found = append(found, f.Name)
		}
		return nil
	})
	return found, files
}

// jobs completes the jobs of the daemon, by name.
func (a *app) jobs(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
	defer cancel()
	var found []cobra.Completion
	if a.configure(cmd) == nil && a.begin() == nil {
		if r, err := a.mustRemote(); err == nil {
			var jobs []api.Job
			_ = r.Do(ctx, "GET", "/jobs", nil, &jobs)
			for _, j := range jobs {
				if strings.HasPrefix(j.Name, begun) {
					found = append(found, cobra.CompletionWithDesc(j.Name, string(j.State)))
				}
			}
		}
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}
