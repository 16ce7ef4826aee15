package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"chordtorrent/client"
	"chordtorrent/client/api"
)

// jobEvent is a line of `downloads --json`, and what the steering commands print.
type jobEvent struct {
	Event string `json:"event"` // "job"
	api.Job
}

func (a *app) printJob(j api.Job) {
	shown := j
	shown.Name = a.out.shown(j.Name)
	a.out.line(jobLine(shown), jobEvent{"job", j})
}

func jobLine(j api.Job) string {
	state := string(j.State)
	if j.State == api.Running && j.Stage != "" {
		state = j.Stage
	}
	line := fmt.Sprintf("%s %-11s %-11s ", j.ID[:8], j.Kind, state)
	switch {
	case j.State == api.Done:
		line += "100.0 %"
	case j.Bytes > 0:
		line += fmt.Sprintf("%5.1f %%", client.Percent(j.Done, j.Bytes))
	default:
		line += "      –"
	}
	line += fmt.Sprintf("  %s", j.Name)
	if j.RateDown > 0 {
		line += fmt.Sprintf("  %s/s from %d", client.FormatBytes(j.RateDown), j.Peers)
	}
	if why := strings.TrimSpace(j.Error + j.Reason); why != "" {
		line += "  (" + why + ")"
	}
	return line
}

func (a *app) downloadsCommand() *cobra.Command {
	watch := false
	cmd := &cobra.Command{
		Use:   "downloads",
		Short: "List what the daemon downloads, publishes and serves",
		Long: `Lists the jobs of the daemon of this Storage, those that run first: id, kind, state,
how much is there, name, and why something stands still or failed. With --json an
object per line with event "job" and the keys of docs/api.md. With --watch it goes on
until it is interrupted: bars on a terminal, else a line per change of state.`,
		Args: takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := a.mustRemote()
			if err != nil {
				return err
			}
			if watch {
				return a.watchAll(cmd.Context(), r)
			}
			var jobs []api.Job
			if err := r.Do(cmd.Context(), "GET", "/jobs", nil, &jobs); err != nil {
				return a.interruptedOr(cmd.Context(), err)
			}
			for _, j := range jobs {
				a.printJob(j)
				if a.out.silenced() {
					return nil
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "go on, and show changes as they happen")
	a.daemonFlags(cmd.Flags())
	return cmd
}

// onJobs asks the daemon for the same about each job and prints how they are then.
func (a *app) onJobs(ctx context.Context, ids []string, ask func(r *api.Remote, id string) (api.Job, error)) error {
	r, err := a.mustRemote()
	if err != nil {
		return err
	}
	for _, id := range ids {
		j, err := ask(r, id)
		if err != nil {
			return a.interruptedOr(ctx, err)
		}
		a.printJob(j)
	}
	return nil
}

// steerCommands are pause, resume and retry.
func (a *app) steerCommands() []*cobra.Command {
	var all []*cobra.Command
	for _, c := range []struct{ what, short, long string }{
		{"pause", "Stop downloads, or serving, until resume", "Stops downloads, and serving what is complete, until resume. What is there is kept."},
		{"resume", "Go on with what was paused", "Goes on with what was paused, and serves what is complete again."},
		{"retry", "Begin again what failed or was cancelled", "Begins again what failed or was cancelled, with what is there already."},
	} {
		cmd := &cobra.Command{
			Use: c.what + " ID...", Short: c.short, Args: takes(1, -1, "ID..."),
			Long: c.long + `
An ID is what btclient downloads shows, its beginning, or a name.`,
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.onJobs(cmd.Context(), args, func(r *api.Remote, id string) (j api.Job, err error) {
					err = r.Do(cmd.Context(), "POST", api.JobPath(id, c.what), nil, &j)
					return j, err
				})
			},
		}
		a.daemonFlags(cmd.Flags())
		all = append(all, cmd)
	}
	return all
}

// dataFlags are what is to become of data that is there.
type dataFlags struct{ keep, remove bool }

func (d *dataFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&d.keep, "keep-data", false, "keep what is there")
	cmd.Flags().BoolVar(&d.remove, "delete-data", false, "delete what is there")
	cmd.MarkFlagsMutuallyExclusive("keep-data", "delete-data")
}

// decide asks the person when the flags do not say.
func (d *dataFlags) decide(a *app, in io.Reader, what string) (string, error) {
	switch {
	case d.keep:
		return "keep", nil
	case d.remove:
		return "delete", nil
	}
	if f, ok := in.(*os.File); !ok || !isTerminal(f) {
		return "", usageError(errors.New("what is to become of the data? Give --keep-data or --delete-data"), "btclient "+what)
	}
	fmt.Fprintf(a.console, "Delete the data that is there? [y/N] ")
	var answer string
	if _, err := fmt.Fscanln(in, &answer); err != nil && answer != "" {
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	if strings.HasPrefix(strings.ToLower(answer), "y") {
		return "delete", nil
	}
	return "keep", nil
}

func (a *app) cancelCommand() *cobra.Command {
	var data dataFlags
	cmd := &cobra.Command{
		Use: "cancel ID...", Short: "End what is not complete", Args: takes(1, -1, "ID..."),
		Long: `Ends downloads and publications that are not complete. What is there of a download
is kept for a retry with --keep-data, and removed with --delete-data; on a terminal
you are asked.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			what, err := data.decide(a, cmd.InOrStdin(), "cancel")
			if err != nil {
				return err
			}
			return a.onJobs(cmd.Context(), args, func(r *api.Remote, id string) (j api.Job, err error) {
				err = r.Do(cmd.Context(), "POST", api.JobPath(id, "cancel")+"?data="+what, nil, &j)
				return j, err
			})
		},
	}
	data.add(cmd)
	a.daemonFlags(cmd.Flags())
	return cmd
}

type removedEvent struct {
	Event string `json:"event"` // "removed"
	ID    string `json:"id"`
	Name  string `json:"name"`
}

func (a *app) removeCommand() *cobra.Command {
	var data dataFlags
	cmd := &cobra.Command{
		Use: "remove ID...", Short: "Take jobs out of the daemon's list", Args: takes(1, -1, "ID..."),
		Long: `Takes jobs out of the daemon's list, ending them if need be: they are served no
longer. What was published stays in the ring (unpublish takes it out) and on the
disk. What was downloaded stays with --keep-data, and is removed with
--delete-data, if nobody has changed it; on a terminal you are asked.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			what, err := data.decide(a, cmd.InOrStdin(), "remove")
			if err != nil {
				return err
			}
			r, err := a.mustRemote()
			if err != nil {
				return err
			}
			for _, id := range args {
				var j api.Job
				if err := r.Do(cmd.Context(), "GET", api.JobPath(id), nil, &j); err != nil {
					return a.interruptedOr(cmd.Context(), err)
				}
				if err := r.Do(cmd.Context(), "DELETE", api.JobPath(j.ID)+"?data="+what, nil, nil); err != nil {
					return a.interruptedOr(cmd.Context(), err)
				}
				a.out.line(fmt.Sprintf("removed id=%s name=%q", j.ID, j.Name), removedEvent{"removed", j.ID, j.Name})
			}
			return nil
		},
	}
	data.add(cmd)
	a.daemonFlags(cmd.Flags())
	return cmd
}

type settingsEvent struct {
	Event string `json:"event"` // "limits"
	api.Settings
}

func (a *app) limitCommand() *cobra.Command {
	var down, up string
	var priority, most int
	cmd := &cobra.Command{
		Use:   "limit [ID]",
		Short: "Bound the speed of all jobs or of one, and set priorities",
		Long: `Without an ID bounds what the daemon receives (--down) and sends (--up) in all, and
how many downloads run at a time (--max-downloads); with one those of a job, and its
place in the queue (--priority, larger ones first). It takes effect at once and is
remembered. A RATE is in bytes per second, as 500K or 500KiB, 20M (powers of 1024),
or none.
Without flags it prints what holds, a RATE as it can be given; with --json in bytes
per second, 0 for none.`,
		Args: takes(0, 1, "[ID]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			change := map[string]any{}
			for flag, given := range map[string]string{"down": down, "up": up} {
				if !cmd.Flags().Changed(flag) {
					continue
				}
				n, err := parseRate(given)
				if err != nil {
					return usageError(fmt.Errorf("--%s %s: %w", flag, given, err), "btclient limit")
				}
				change["limit_"+flag] = n
			}
			for flag, v := range map[string]int{"priority": priority, "max-downloads": most} {
				if !cmd.Flags().Changed(flag) {
					continue
				}
				if (flag == "priority") != (len(args) == 1) {
					return usageError(fmt.Errorf("--%s is for %s", flag, map[bool]string{true: "all together: leave the ID out", false: "one job: give its ID"}[len(args) == 1]), "btclient limit")
				}
				change[strings.ReplaceAll(flag, "-", "_")] = v
			}
			return a.limit(cmd.Context(), args, change)
		},
	}
	f := cmd.Flags()
	f.StringVar(&down, "down", "", "receive at most `RATE`")
	f.StringVar(&up, "up", "", "send at most `RATE`")
	f.IntVar(&priority, "priority", 0, "the place in the queue: larger ones first")
	f.IntVar(&most, "max-downloads", 0, "how many downloads run at a time")
	a.daemonFlags(f)
	return cmd
}

func (a *app) limit(ctx context.Context, args []string, change map[string]any) error {
	method, in := "GET", any(nil)
	if len(change) > 0 {
		method, in = "PATCH", change
	}
	if len(args) == 1 {
		return a.onJobs(ctx, args, func(r *api.Remote, id string) (j api.Job, err error) {
			err = r.Do(ctx, method, api.JobPath(id), in, &j)
			return j, err
		})
	}
	r, err := a.mustRemote()
	if err != nil {
		return err
	}
	var s api.Settings
	if err := r.Do(ctx, method, "/settings", in, &s); err != nil {
		return a.interruptedOr(ctx, err)
	}
	a.out.line(fmt.Sprintf("limits down=%s up=%s max_downloads=%d", rateOf(s.LimitDown), rateOf(s.LimitUp), s.MaxDownloads), settingsEvent{"limits", s})
	return nil
}

// rateOf is a rate as parseRate reads it, in the largest unit of which it is a whole number.
func rateOf(bytesPerSec int64) string {
	if bytesPerSec == 0 {
		return "none"
	}
	unit := ""
	for _, larger := range []string{"K", "M", "G"} {
		if bytesPerSec%1024 != 0 {
			break
		}
		bytesPerSec, unit = bytesPerSec/1024, larger
	}
	return fmt.Sprint(bytesPerSec) + unit
}

// parseRate reads a number of bytes with a unit, as 20M or, as it is printed, 20MiB.
func parseRate(given string) (int64, error) {
	if given == "none" || given == "0" {
		return 0, nil
	}
	number := strings.TrimRight(given, "KMGIBkmgib")
	shift, known := map[string]int{"": 0, "K": 10, "M": 20, "G": 30, "KIB": 10, "MIB": 20, "GIB": 30}[strings.ToUpper(given[len(number):])]
	v, err := strconv.ParseFloat(number, 64)
	if !known || err != nil || !(v > 0 && v <= math.MaxInt64>>31) {
		return 0, errors.New("use a number of bytes per second as 500K, 500KiB or 20M, or none")
	}
	return int64(v * float64(int64(1)<<shift)), nil
}
