// Command btclient publishes files under a name and downloads them by that
// name, from everyone who has them, with a ring of chordnodes as the tracker.
//
// It answers one question: how does a person or a script ask package client
// for something, and how do they see what came of it? It owns flags, terminal
// output, signals and exit codes, and wires the parts: a communicator to the
// ring, the Storage folder, and with --embedded a ring member inside the
// process. What publishing and downloading are is package client's.
//
// Standard output is data for scripts, one line per event, and nothing else;
// people read standard error. The commands' helps have the exact lines.
//
// Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 data does not match
// its hashes, 5 no ring in reach, 130 interrupted (run it again to continue).
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"chordtorrent/client"
	"chordtorrent/client/api"
	_ "chordtorrent/cmd/start" // where the program begins
)

func main() {
	// Asking for SIGPIPE makes a write to a closed pipe an error instead of
	// the end of the process, so that `btclient ls | head` ends well and a
	// download outlives the reader of its progress.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	fallBack()
	ctx, stop := interruptible(os.Stderr)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// oneInterrupt is the time within which signals count as one: a terminal and a
// wrapper (timeout, make) may both pass on the same Ctrl-C.
const oneInterrupt = 200 * time.Millisecond

// interruptible is a context that the first SIGINT or SIGTERM cancels, with
// client.ErrInterrupted as the cause. The second one ends the process at once.
func interruptible(stderr io.Writer) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		if _, ok := <-signals; !ok {
			return
		}
		cancel(client.ErrInterrupted)
		first := time.Now()
		for range signals {
			if time.Since(first) >= oneInterrupt {
				fmt.Fprintln(stderr, "btclient: stopped at once")
				os.Exit(api.CodeInterrupted)
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel(nil)
	}
}

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := newApp(stdout, stderr)
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetOut(a.out)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.started {
		// Nothing of ours has run: what went wrong is how it was asked.
		err = usageError(err, cmd.CommandPath())
	}
	return a.finish(err)
}
