package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"chordtorrent/client"
	"chordtorrent/cmd/environment"
	"chordtorrent/cmd/manual"
	"chordtorrent/communicator"
	"chordtorrent/node"
	"chordtorrent/transfer"
	"chordtorrent/version"
)

// The ways to show progress.
const (
	progressAuto = "auto"
	progressBar  = "bar"
	progressJSON = "json"
	progressNone = "none"
)

// defaultCluster is the ring's name unless somebody gave it one.
const defaultCluster = node.DefaultCluster

// globals are the flags that every command takes.
type globals struct {
	storage      string
	ring         string
	cluster      string
	secretFile   string
	multicast    string
	multicastTTL int
	json         bool
	logLevel     string
	logFormat    string
	config       string
}

// app is one run of the program.
type app struct {
	flags     globals
	elsewhere elsewhere
	out       *output
	console   *console
	log       *slog.Logger

	progress     string // as the flag says
	progressMode string // what it means here
	meter        *meter
	started      bool              // a command of ours has begun
	given        map[string]string // by flag: where its value stands, unless on the command line
}

func newApp(stdout, stderr io.Writer) *app {
	return &app{out: &output{w: stdout, seen: isTerminal(stdout)}, console: &console{terminal: stderr}, progressMode: progressNone, given: map[string]string{}}
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "btclient",
		Short: "Publish files by name in a ring of chordnodes, and download them from everyone who has them",
		Long: `btclient publishes files by name in a ring of chordnodes and downloads them from
everyone who has them. The ring is found by multicast.

  btclient publish disk.img         on one machine
  btclient download disk.img        on any other

A flag that is not given may come from the environment, as BTCLIENT_LOG_LEVEL for
--log-level, or from a file of lines flag = value; under [COMMAND] they are for that
command alone.

Standard output is for scripts: one line per event, or with --json one object.
Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 data does not match its
hashes, 5 no ring in reach, 130 interrupted (run it again to continue).`,
		Version:       version.String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError(fmt.Errorf("there is no command %q", args[0]), "btclient")
			}
			cmd.SetOut(a.console) // standard output is for scripts
			if err := cmd.Help(); err != nil {
				return err
			}
			return usageError(errors.New("no command was given"), "btclient")
		},
	}
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		if err := a.configure(cmd); err != nil {
			return err
		}
		if err := a.begin(); err != nil {
			return err
		}
		environment.WarnOfStrange(a.log, root, os.Environ(), serveFlags)
		return nil
	}
	f := root.PersistentFlags()
	f.StringVar(&a.flags.storage, "storage", "", "the `DIR` for identity, .torrents and downloads (default $BTCLIENT_STORAGE, else Storage in the user's data directory)")
	f.StringVar(&a.flags.ring, "ring", "", "ring members to ask, `HOST:PORT,...`, where multicast does not reach")
	f.StringVar(&a.flags.cluster, "cluster", defaultCluster, "the ring's `NAME`, as its chordnodes have it")
	f.StringVar(&a.flags.secretFile, "secret-file", "", "the `FILE` of the ring's secret, a copy of its chordnodes'")
	f.StringVar(&a.flags.multicast, "multicast", "", "the discovery `GROUP:PORT`, or off (default 239.255.4.3:1234)")
	f.IntVar(&a.flags.multicastTTL, "multicast-ttl", 1, "how many routers discovery may pass; 0 stays on this machine")
	f.BoolVar(&a.flags.json, "json", false, "print one JSON object per event instead of text")
	f.StringVar(&a.flags.logLevel, "log-level", "warn", "log from this `LEVEL` on: debug, info, warn, error")
	f.StringVar(&a.flags.logFormat, "log-format", "text", "text or json")
	f.StringVar(&a.flags.config, "config", "", "the `FILE` with values for flags that are not given (default chordtorrent/btclient.conf in the user's configuration directory)")
	root.AddCommand(a.publishCommand(), a.uploadCommand(), a.downloadCommand(), a.lsCommand(), a.showCommand(), a.torrentCommand(),
		a.unpublishCommand(), a.verifyCommand(), a.serveCommand(), a.downloadsCommand(), a.limitCommand(), a.removeCommand(), a.cancelCommand(), a.healthCommand())
	root.AddCommand(a.metainfoCommand())
	manual.AddTo(root, takes(1, 1, "DIR"))
	root.AddCommand(a.steerCommands()...)
	for _, c := range root.Commands() {
		switch c.Name() {
		case "download", "show", "torrent", "unpublish":
			c.ValidArgsFunction = a.names
		case "pause", "resume", "retry", "cancel", "remove", "limit":
			c.ValidArgsFunction = a.jobs
		case "ls", "verify", "downloads", "serve", "health":
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
	}
	return root
}

// begin checks the flags that every command takes. What fails before it is a
// usage error.
func (a *app) begin() error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.flags.logLevel)); err != nil {
		return a.badFlag("log-level", a.flags.logLevel, "use debug, info, warn or error")
	}
	options := &slog.HandlerOptions{Level: level}
	switch a.flags.logFormat {
	case "text":
		a.log = slog.New(slog.NewTextHandler(a.console, options))
	case "json":
		a.log = slog.New(slog.NewJSONHandler(a.console, options))
	default:
		return a.badFlag("log-format", a.flags.logFormat, "use text or json")
	}
	if a.flags.cluster == "" {
		return a.badFlag("cluster", "is empty", "give the ring's name, or leave the flag out")
	}
	if a.flags.multicastTTL < 0 || a.flags.multicastTTL > 255 {
		return a.badFlag("multicast-ttl", strconv.Itoa(a.flags.multicastTTL), "use 0 to 255")
	}
	switch a.progress {
	case "", progressAuto:
		if isTerminal(a.console.terminal) {
			a.progressMode = progressBar
		}
	case progressBar, progressJSON, progressNone:
		a.progressMode = a.progress
	default:
		return a.badFlag("progress", a.progress, "use auto, bar, json or none")
	}
	// Progress in JSON makes all of standard output JSON, so that every line parses.
	a.out.json = a.flags.json || a.progressMode == progressJSON
	a.started = true
	return nil
}

// badFlag is an error about a flag's value, with where it stands, unless that is the command line.
func (a *app) badFlag(flag, value, next string) error {
	err := fmt.Errorf("--%s %s: %s", flag, value, next)
	if where := a.given[flag]; where != "" {
		return fmt.Errorf("%s: %w", where, err)
	}
	return err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// takes checks the number of arguments and says what they should be.
func takes(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("%s is missing: %s %s", strings.Fields(what)[0], cmd.CommandPath(), what)
		case most >= 0 && len(args) > most:
			return fmt.Errorf("%q is too much: %s %s", args[most], cmd.CommandPath(), what)
		}
		return nil
	}
}

func (a *app) progressFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.progress, "progress", progressAuto, "`HOW` to show progress: bar, json (lines on standard output), none, or auto: a bar if standard error is a terminal")
}

// usageError marks an error about flags and arguments as one.
func usageError(err error, program string) error {
	if errors.Is(err, client.ErrUsage) {
		return err
	}
	return &client.Hint{Err: &asked{err}, Next: program + " --help shows how to ask"}
}

// asked is an error about how something was asked for.
type asked struct{ error }

func (e *asked) Is(target error) bool { return target == client.ErrUsage }
func (e *asked) Unwrap() error        { return e.error }

// openStorage opens the folder that the flags name.
func (a *app) openStorage() (*client.Storage, error) {
	dir := a.flags.storage
	if dir == "" {
		var err error
		if dir, err = client.DefaultStorageDir(); err != nil {
			return nil, err
		}
	}
	return client.OpenStorage(dir)
}

// howLong reads a flag that says for how long; -1 when it was not given.
func howLong(cmd *cobra.Command, flag string, d time.Duration) (time.Duration, error) {
	if !cmd.Flags().Changed(flag) {
		return -1, nil
	}
	if d < 0 {
		return 0, usageError(fmt.Errorf("--%s %v: a time cannot be negative", flag, d), cmd.CommandPath())
	}
	return d, nil
}

// openRing finds a ring member over the network. storage may be nil.
func (a *app) openRing(ctx context.Context, storage *client.Storage) (*communicator.Communicator, error) {
	return a.openRingWaiting(ctx, storage, 0)
}

// openRingWaiting is openRing with a communicator.Config.Wait.
func (a *app) openRingWaiting(ctx context.Context, storage *client.Storage, wait time.Duration) (*communicator.Communicator, error) {
	cfg := communicator.Config{Wait: wait,
		Ring: a.flags.ring, Cluster: a.flags.cluster, SecretFile: a.flags.secretFile, Multicast: a.flags.multicast, MulticastTTL: a.flags.multicastTTL, Log: a.log,
	}
	if storage != nil {
		cfg.CacheFile = storage.RingCache()
	}
	ring, err := communicator.Open(ctx, cfg)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, client.ErrInterrupted
	case errors.Is(err, communicator.ErrBadArgument):
		return nil, usageError(err, "btclient") // --ring, --secret-file or --multicast
	}
	return ring, err
}

// lookUp runs what only asks the ring.
func (a *app) lookUp(ctx context.Context, ask func(ring *communicator.Communicator) error) error {
	// A Storage that cannot be made costs the memory of earlier ring members,
	// not the answer.
	storage, err := a.openStorage()
	if err != nil {
		a.log.Debug("asking without storage", "err", err)
		storage = nil
	}
	ring, err := a.openRing(ctx, storage)
	if err != nil {
		return err
	}
	defer ring.Close()
	return ask(ring)
}

// farewell is how long saying goodbye to the ring may take when a command ends.
const farewell = 3 * time.Second

func farewellContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), farewell)
}

// profileFlag adds the flag of the commands that serve.
func profileFlag(f *pflag.FlagSet, p *transfer.Profile) {
	f.TextVar(p, "profile", transfer.LAN, "what the network is like: `lan` serves everybody, wan a few at a time, first those that give most")
}
