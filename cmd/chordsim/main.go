// Command chordsim lets a ring of up to a million members live in virtual time
// and says how it went: how many hops lookups take, how many are right at the
// first try, what maintenance costs, how evenly the ring is divided.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"chordtorrent/chord/sim"
	_ "chordtorrent/cmd/start" // where the program begins, as make links all three alike
	"chordtorrent/version"
)

func main() {
	// Almost all of a simulation's memory lives as long as it does: looking
	// through it more seldom saves a third of the time.
	debug.SetGCPercent(250)
	debug.SetMemoryLimit(7 << 30) // what 100,000 members may take, with some room; beyond, garbage goes sooner
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// errUsage is a command line that makes no sense.
var errUsage = errors.New("usage")

// run is the program: 0 done, 1 failed, 2 usage.
func run(args []string, stdout, stderr io.Writer) int {
	cmd := command(stdout, stderr)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.Execute()
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "chordsim: %v\nchordsim --help says what there is.\n", err)
		return 2
	}
	fmt.Fprintf(stderr, "chordsim: %v\n", err)
	return 1
}

func command(stdout, stderr io.Writer) *cobra.Command {
	var cfg sim.Config
	var asJSON, half bool
	var gossip int
	var partial string
	root := &cobra.Command{
		Use:   "chordsim",
		Short: "Simulate a large ring",
		Long: `Simulates a ring that stands: its members die and join at random, keys are
looked up, and what that took is told. The same seed gives the same run.`,
		Example: `  chordsim --members 100000 --half-life 1h --duration 10m --json
  chordsim --members 10000 --kill-half
  chordsim plot docs/scale docs/scale/*.json`,
		Version:       version.String(),
		Args:          noArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(*cobra.Command, []string) error {
			if err := check(cfg); err != nil {
				return err
			}
			switch {
			case gossip < 0:
				return fmt.Errorf("%w: --gossip %d is not a number of members", errUsage, gossip)
			case gossip == 0:
				gossip = -1
			}
			cfg.Gossip = gossip
			if !asJSON {
				cfg.Progress = func(virtual time.Duration, events uint64) {
					fmt.Fprintf(stderr, "\r%v simulated, %d million events ", virtual, events/1_000_000)
				}
				defer fmt.Fprintln(stderr)
			}
			if half {
				r, err := sim.RunRecovery(cfg)
				if err != nil {
					return err
				}
				return tell(stdout, asJSON, r, recoveryText)
			}
			if partial != "" {
				cfg.Partial = func(r sim.Result) { writePartial(stderr, partial, r) }
			}
			r, err := sim.Run(cfg)
			if err != nil {
				return err
			}
			return tell(stdout, asJSON, r, resultText)
		},
	}
	f := root.Flags()
	f.IntVar(&cfg.Members, "members", 1000, "members at the beginning, 1 to 1000000")
	f.Uint64Var(&cfg.Seed, "seed", 1, "of all that is random")
	f.DurationVar(&cfg.HalfLife, "half-life", time.Hour, "until half of the members have been replaced; 0: nobody dies")
	f.DurationVar(&cfg.Duration, "duration", 10*time.Minute, "virtual time to measure")
	f.DurationVar(&cfg.WarmUp, "warm-up", 20*time.Second, "virtual time before that")
	f.IntVar(&cfg.LookupsPerSec, "lookups", 1000, "keys looked up in each virtual second")
	f.IntVar(&gossip, "gossip", 2000, "the largest ring whose members hear of each other by gossip; 0: none do")
	f.BoolVar(&half, "kill-half", false, "instead: kill half of the members at once, and see how long lookups go wrong")
	f.StringVar(&partial, "partial", "", "a file that gets what was measured so far, as JSON, every virtual ten seconds")
	f.BoolVar(&asJSON, "json", false, "end with one JSON object, and no progress")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	root.AddCommand(plotCommand(stdout))
	return root
}

// writePartial keeps what a long run has measured so far, should it not come to
// its end.
func writePartial(stderr io.Writer, path string, r sim.Result) {
	text, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		fmt.Fprintf(stderr, "chordsim: cannot keep the partial result: %v\n", err)
	}
}

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: unexpected %q", errUsage, args[0])
	}
	return nil
}

func check(cfg sim.Config) error {
	switch {
	case cfg.Members < 1 || cfg.Members > 1_000_000:
		return fmt.Errorf("%w: --members %d is not between 1 and 1000000", errUsage, cfg.Members)
	case cfg.HalfLife < 0 || (cfg.HalfLife > 0 && cfg.HalfLife < time.Second):
		return fmt.Errorf("%w: --half-life %v is under a second", errUsage, cfg.HalfLife)
	case cfg.Duration < time.Second || cfg.WarmUp <= 0:
		return fmt.Errorf("%w: --duration is a second at least, and --warm-up more than nothing", errUsage)
	case cfg.LookupsPerSec < 1 || cfg.LookupsPerSec > 1_000_000:
		return fmt.Errorf("%w: --lookups %d is not between 1 and 1000000", errUsage, cfg.LookupsPerSec)
	}
	return nil
}

// tell writes an outcome for programs or for people.
func tell[T any](w io.Writer, asJSON bool, r T, text func(T) string) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	_, err := io.WriteString(w, text(r))
	return err
}

func resultText(r sim.Result) string {
	return fmt.Sprintf(`members       %d, %d died and %d joined in %.0f s
lookups       %d: %.2f hops in the mean, 99 of 100 in %d or less
first try     %.3f %% end at the right owner, %.3f time-outs per lookup
maintenance   %.0f bytes per second and member
arcs          largest %.2f x the mean (%.2f before anybody died), 99 of 100 below %.2f
this machine  %.0f s, %.0f MiB
`, r.Members, r.Died, r.Joined, r.DurationSec, r.Lookups, r.HopsMean, r.HopsP99, 100*r.FirstTryRatio, r.TimeoutsPerLookup,
		r.MaintenancePerSec, r.ArcMaxOverMean, r.ArcMaxOverMeanJoins, r.ArcP99OverMean, r.WallSec, float64(r.RSSBytes)/(1<<20))
}

func recoveryText(r sim.Recovery) string {
	if r.RightSec < 0 {
		return fmt.Sprintf("%d of %d members killed at once: lookups still go wrong after five minutes\n", r.Killed, r.Members)
	}
	return fmt.Sprintf("%d of %d members killed at once: %.1f %% of the lookups of the first second were right, all from %.0f s on (%d checked)\n",
		r.Killed, r.Members, 100*r.FirstRight, r.RightSec, r.Checked)
}
