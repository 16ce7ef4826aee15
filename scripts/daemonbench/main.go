// Command daemonbench measures what a person feels of btclient serve, with the real
// programs on loopback: names by the hundred thousand, folders of ten thousand files,
// a thousand torrents that nobody wants, the end of a film that is still coming in, and
// a large file of which one per cent has changed.
//
// It answers one question: how long, and at what cost? Each task is a function of its
// own (tasks.go), in turn on one ring; what came of it is one JSON object. It needs no
// root, and nothing leaves the machine.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"chordtorrent/client/api"
	"chordtorrent/communicator"
	"chordtorrent/scripts/lab"
)

// bench is one run of the program.
type bench struct {
	bin     string // the directory of btclient and chordnode
	work    string
	cluster string
	ring    *communicator.Communicator
	procs   []*exec.Cmd

	names, files, seeds, many int

	size int64
}

func main() {
	b := &bench{}
	flag.StringVar(&b.bin, "bin", "bin", "the `directory` of btclient and chordnode")
	flag.StringVar(&b.work, "work", "", "an empty `directory` for what is made (default a temporary one)")
	flag.IntVar(&b.names, "names", 100_000, "names in the ring")
	flag.IntVar(&b.files, "files", 10_000, "files that are dropped into a folder")
	flag.IntVar(&b.seeds, "seeds", 1000, "torrents that are served while nobody fetches")
	flag.IntVar(&b.many, "many", 100_000, "small files that are dropped into a folder and served")
	flag.Int64Var(&b.size, "size", 2<<30, "bytes of the large file")
	only := flag.String("tasks", "watch,idle,range,change,names", "which, in this order; many is one more")
	out := flag.String("out", "", "write the result into this `file` as well")
	commit := flag.String("commit", "", "note this `commit` in the result")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	result := map[string]any{"machine": lab.ThisMachine(*commit), "members": members}
	err := b.run(ctx, strings.Split(*only, ","), result)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "daemonbench:", err)
	}
	text, _ := json.MarshalIndent(result, "", "  ")
	fmt.Println(string(text))
	if *out != "" && err == nil {
		err = os.WriteFile(*out, append(text, '\n'), 0o644)
	}
	if err != nil {
		os.Exit(1)
	}
}

// members is how many chordnodes the ring has.
const members = 3

func (b *bench) run(ctx context.Context, tasks []string, result map[string]any) (err error) {
	if b.work == "" {
		if b.work, err = os.MkdirTemp("", "daemonbench-"); err != nil {
			return err
		}
		defer os.RemoveAll(b.work)
	}
	b.cluster = fmt.Sprintf("bench-%d", os.Getpid())
	defer b.stop()
	for i := range members {
		if _, err := b.start(ctx, "chordnode", "ready id=", "--data-dir", filepath.Join(b.work, fmt.Sprintf("node-%d", i)),
			"--bind", "127.0.0.1:0", "--http", "off", "--udp", "off", "--log-level", "error"); err != nil {
			return err
		}
	}
	b.ring, err = communicator.Open(ctx, communicator.Config{Cluster: b.cluster, MulticastTTL: 0, Wait: 10 * time.Second})
	if err != nil {
		return err
	}
	defer b.ring.Close()
	if err := b.until(ctx, "the ring", func() (bool, error) {
		r, err := b.ring.Ring(ctx)
		return err == nil && len(r.Members) == members && r.IncompleteRanges == 0, nil
	}); err != nil {
		return err
	}
	all := map[string]func(context.Context) (any, error){"watch": b.watch, "idle": b.idle, "range": b.reading, "change": b.change, "names": b.manyNames, "many": b.manyFiles}
	for _, name := range tasks {
		task := all[name]
		if task == nil {
			return fmt.Errorf("there is no task %q", name)
		}
		fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format(time.TimeOnly), name)
		if result[name], err = task(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// start runs a program until the end, and waits for a line of its standard output.
func (b *bench) start(ctx context.Context, program, line string, args ...string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.bin, program), append([]string{"--cluster", b.cluster, "--multicast-ttl", "0"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	b.procs = append(b.procs, cmd)
	buf, seen := make([]byte, 4096), ""
	for !strings.Contains(seen, line) {
		n, err := out.Read(buf)
		if seen += string(buf[:n]); err != nil {
			return nil, fmt.Errorf("%s ended: %s", program, seen)
		}
	}
	return cmd, nil
}

// end stops a program in order.
func (b *bench) end(cmd *exec.Cmd) error {
	b.procs = slices.DeleteFunc(b.procs, func(other *exec.Cmd) bool { return other == cmd })
	return errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait())
}

func (b *bench) stop() {
	for _, p := range b.procs {
		_ = p.Process.Kill()
		_ = p.Wait()
	}
}

// daemon starts the daemon of a Storage.
func (b *bench) daemon(ctx context.Context, storage string, args ...string) (*exec.Cmd, *api.Remote, error) {
	dir := filepath.Join(b.work, storage)
	cmd, err := b.start(ctx, "btclient", "ready web=", append([]string{"--storage", dir, "serve", "--web", "127.0.0.1:0"}, args...)...)
	if err != nil {
		return nil, nil, err
	}
	r, err := api.Find(dir)
	if err == nil && r == nil {
		err = errors.New("the daemon is not found")
	}
	return cmd, r, err
}

// command runs btclient to its end.
func (b *bench) command(ctx context.Context, storage string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.bin, "btclient"), append([]string{"--cluster", b.cluster, "--multicast-ttl", "0", "--storage", filepath.Join(b.work, storage)}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return string(out), err
}

// until waits for something that nothing tells of.
func (b *bench) until(ctx context.Context, what string, ok func() (bool, error)) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if yes, err := ok(); err != nil || yes {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		}
	}
}
