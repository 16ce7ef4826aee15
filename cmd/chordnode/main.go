// Command chordnode runs one member of a ring, or shows a person how a ring
// is doing.
//
// It answers one question: which flags make which node? main wires package
// node (run.go) and package communicator (status.go) to flags, signals and
// the terminal; everything else is theirs. stdout carries the ready line or
// what status was asked for, and nothing else; messages for people and the
// log go to stderr.
package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"chordtorrent/cmd/environment"
	"chordtorrent/cmd/manual"
	_ "chordtorrent/cmd/start" // where the program begins
	"chordtorrent/node"
	"chordtorrent/version"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// usageError is a command line that makes no sense.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// run carries out one command line and gives its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	cmd := newCommand(stdout, stderr)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.Execute()
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "chordnode: %v\n", err)
	var usage usageError
	var config *node.ConfigError
	if errors.As(err, &usage) || errors.As(err, &config) {
		fmt.Fprintln(stderr, "See chordnode --help.")
		return exitUsage
	}
	return exitFailed
}

func newCommand(stdout, stderr io.Writer) *cobra.Command {
	var flags runFlags
	var log *slog.Logger
	cmd := &cobra.Command{
		Use:   "chordnode",
		Short: "A member of a chordtorrent ring",
		Long: `chordnode runs one member of a ring. Members of one cluster find each other by
multicast on the local network; without multicast, name some with --join. When
it is part of a ring it prints one line on stdout:

  ready id=<40 hex digits> members=<n> ring=<host:port> http=<host:port> udp=<host:port>

with "-" for what is off. SIGTERM and SIGINT make it hand over what it holds
and leave; a second signal ends it at once.

A flag that is not given may come from the environment: CHORDNODE_LOG_LEVEL for
--log-level. Under systemd it says when it is ready, and is watched.`,
		Example: `  chordnode
  chordnode --data-dir /var/lib/chordnode --bind 10.0.0.5:8000
  chordnode --multicast off --join 10.0.0.5:8000,10.0.0.6:8000
  chordnode status`,
		Args:    noArguments,
		Version: version.String(),
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := fromEnvironment(cmd); err != nil {
				return err
			}
			if log, err = newLogger(stderr, flags.logLevel, flags.logFormat); err == nil {
				environment.WarnOfStrange(log, cmd.Root(), os.Environ())
			}
			return err
		},
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if flags.dataPool != "" && cmd.Flags().Changed("data-dir") {
				return usageError{errors.New("--data-dir and --data-pool: give one of them, the node's own directory or one that it shares")}
			}
			return runNode(flags, stdout, log)
		},
	}
	cmd.SetVersionTemplate("chordnode {{.Version}}\n")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags.register(cmd.Flags())
	cmd.AddCommand(newStatusCommand(stdout), newHealthCommand(stdout), newForgetCommand(stdout), newSecretCommand(stdout))
	manual.AddTo(cmd, oneDirectory)
	return cmd
}

func oneDirectory(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("%s takes one directory, not %d", cmd.CommandPath(), len(args))}
	}
	return nil
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no argument %q", cmd.CommandPath(), args[0])}
	}
	return nil
}
