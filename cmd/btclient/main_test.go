package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"chordtorrent/chord"
	"chordtorrent/chord/rpc"
	"chordtorrent/communicator"
	"chordtorrent/transfer"
	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

// The tests start the real programs, built once, on loopback: discovery by
// multicast with a TTL of 0 and a cluster name of their own.

var programs string // the directory that both were built into

func TestMain(m *testing.M) {
	if os.Getenv(testRoots) != "" {
		os.Exit(withRoots())
	}
	dir, err := os.MkdirTemp("", "btclient-test-")
	if err == nil {
		programs = dir
		build := exec.Command("go", "build", "-o", dir+string(os.PathSeparator), "chordtorrent/cmd/btclient", "chordtorrent/cmd/chordnode")
		build.Stdout, build.Stderr = os.Stderr, os.Stderr
		err = build.Run()
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, "building the programs:", err)
	} else {
		code = m.Run()
		if err := goleak.Find(); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			var random [6]byte
			rand.Read(random[:])
			env.Setenv("CLUSTER", "test-"+hex.EncodeToString(random[:]))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("PATH", programs+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("BT", "btclient --storage "+filepath.Join(env.WorkDir, "storage-pipe")+" --cluster "+env.Getenv("CLUSTER")+" --multicast-ttl 0")
			env.Values[processesKey{}] = processes{}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"ring": cmdRing, "bt": cmdBt, "spawn": cmdSpawn, "await": cmdAwait, "signal": cmdSignal, "ended": cmdEnded,
			"random": cmdRandom, "sparse": cmdSparse, "usesless": cmdUsesLess, "same": cmdSame, "halfseed": cmdHalfSeed, "output": cmdOutput, "fetched": cmdFetched, "killed": cmdKilled,
			"foreign": cmdForeign, "feed": cmdFeed, "stuck": cmdStuck, "job": cmdJob, "reaches": cmdReaches, "change": cmdChange, "daemonkilled": cmdDaemonKilled, "daemonof": cmdDaemonOf,
		},
	})
}

// process is a program that runs beside the script.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	mu     sync.Mutex
	out    bytes.Buffer  // its standard output
	both   bytes.Buffer  // that and standard error
	change chan struct{} // closed and replaced at each write
}

type stream struct {
	p        *process
	standard bool
}

func (s stream) Write(b []byte) (int, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.standard {
		s.p.out.Write(b)
	}
	s.p.both.Write(b)
	close(s.p.change)
	s.p.change = make(chan struct{})
	return len(b), nil
}

type processesKey struct{}
type processes map[string]*process

func processOf(ts *testscript.TestScript, name string) *process {
	p := ts.Value(processesKey{}).(processes)[name]
	if p == nil {
		ts.Fatalf("no process is called %s", name)
	}
	return p
}

func spawn(ts *testscript.TestScript, name, program string, args ...string) *process {
	p := &process{cmd: exec.Command(filepath.Join(programs, program), args...), done: make(chan struct{}), change: make(chan struct{})}
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"))
	p.cmd.Stdout, p.cmd.Stderr = stream{p, true}, stream{p, false}
	ts.Check(p.cmd.Start())
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	ts.Defer(func() {
		p.cmd.Process.Kill()
		<-p.done
	})
	ts.Value(processesKey{}).(processes)[name] = p
	return p
}

// patience is for tests that hang; nothing should come near it.
const patience = 60 * time.Second

func (p *process) await(ts *testscript.TestScript, what string, seen func(all string) bool) {
	deadline := time.After(patience)
	for ended := false; ; {
		p.mu.Lock()
		all, change := p.both.String(), p.change
		p.mu.Unlock()
		if seen(all) {
			return
		}
		if ended {
			ts.Fatalf("%s ended without %s:\n%s", p.cmd, what, all)
		}
		select {
		case <-change:
		case <-p.done:
			ended = true
		case <-deadline:
			ts.Fatalf("%s does not show %s:\n%s", p.cmd, what, all)
		}
	}
}

// ring NAME...: a chordnode each, all of one ring, which is whole when this
// ends: they know each other and have what they should hold.
func cmdRing(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		spawn(ts, name, "chordnode", "--data-dir", ts.MkAbs("data-"+name), "--bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0",
			"--cluster", ts.Getenv("CLUSTER"), "--multicast-ttl", "0")
	}
	for _, name := range args {
		processOf(ts, name).await(ts, "ready", func(all string) bool { return strings.Contains(all, "ready id=") })
	}
	for _, name := range args {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		member, err := rpc.Dial(ctx, ringAddr(ts, name), ts.Getenv("CLUSTER"), nil)
		ts.Check(err)
		defer member.Close()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			reply, err := member.Call(ctx, chord.GetStatus{})
			ts.Check(err)
			if st := reply.(chord.Status); len(st.Members) == len(args) && st.IncompleteRanges == 0 {
				break
			}
			<-tick.C
		}
	}
}

// ringAddr is where a chordnode of the script serves the ring.
func ringAddr(ts *testscript.TestScript, name string) string {
	p := processOf(ts, name)
	p.mu.Lock()
	m := regexp.MustCompile(`ring=(\S+)`).FindStringSubmatch(p.both.String())
	p.mu.Unlock()
	if m == nil {
		ts.Fatalf("%s does not say where it is", name)
	}
	return m[1]
}

// common are the flags of every btclient here: a Storage per user.
func common(ts *testscript.TestScript, user string) []string {
	return []string{"--storage", ts.MkAbs("storage-" + user), "--cluster", ts.Getenv("CLUSTER"), "--multicast-ttl", "0"}
}

// bt CODE USER COMMAND...: runs btclient and checks its exit code.
func cmdBt(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(filepath.Join(programs, "btclient"), append(common(ts, args[1]), args[2:]...)...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Check(err)
		}
		code = exit.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// spawn NAME USER COMMAND...: runs btclient beside the script.
func cmdSpawn(ts *testscript.TestScript, neg bool, args []string) {
	spawn(ts, args[0], "btclient", append(common(ts, args[1]), args[2:]...)...)
}

// await NAME REGEXP: until its output has it.
func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	re := regexp.MustCompile("(?m)" + args[1])
	processOf(ts, args[0]).await(ts, args[1], re.MatchString)
}

// signal NAME INT|TERM|KILL.
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}
	ts.Check(processOf(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

// ended NAME CODE: waits for its end; -1 is for one that a signal killed.
func cmdEnded(ts *testscript.TestScript, neg bool, args []string) {
	p := processOf(ts, args[0])
	select {
	case <-p.done:
	case <-time.After(patience):
		ts.Fatalf("%s does not end:\n%s", p.cmd, p.both.String())
	}
	if code := strconv.Itoa(p.cmd.ProcessState.ExitCode()); code != args[1] {
		ts.Fatalf("%s ended with %s, want %s:\n%s", p.cmd, code, args[1], p.both.String())
	}
}

// output NAME FILE: its standard output so far.
func cmdOutput(ts *testscript.TestScript, neg bool, args []string) {
	p := processOf(ts, args[0])
	p.mu.Lock()
	defer p.mu.Unlock()
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), p.out.Bytes(), 0o644))
}

// random FILE SIZE.
func cmdRandom(ts *testscript.TestScript, neg bool, args []string) {
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	b := make([]byte, size)
	rand.Read(b)
	path := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
	ts.Check(os.WriteFile(path, b, 0o644))
}

// sparse FILE SIZE: a hole with a MiB of data at its begin, middle and end.
func cmdSparse(ts *testscript.TestScript, neg bool, args []string) {
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	ts.Check(f.Truncate(size))
	b := make([]byte, 1<<20)
	for _, at := range []int64{0, size/2 + 12345, size - int64(len(b))} {
		rand.Read(b)
		_, err := f.WriteAt(b, at)
		ts.Check(err)
	}
}

// usesless MOST FILE: it takes fewer bytes than that on disk.
func cmdUsesLess(ts *testscript.TestScript, neg bool, args []string) {
	most, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if used := info.Sys().(*syscall.Stat_t).Blocks * 512; used >= most {
		ts.Fatalf("%s takes %d bytes on disk", args[1], used)
	}
}

// same A B: files or directories with the same content.
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	out, err := exec.Command("diff", "-r", ts.MkAbs(args[0]), ts.MkAbs(args[1])).CombinedOutput()
	if err != nil {
		ts.Fatalf("%s and %s: %v\n%s", args[0], args[1], err, out)
	}
}

// fetched MOST: the done event on the last command's standard output says that
// at most so many bytes came over the network.
func cmdFetched(ts *testscript.TestScript, neg bool, args []string) {
	most, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	m := regexp.MustCompile(`"event":"done".*"fetched":(\d+)`).FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("no done event")
	}
	if got, _ := strconv.ParseInt(m[1], 10, 64); got > most {
		ts.Fatalf("%d bytes were fetched, at most %d were missing", got, most)
	}
}

// halfseed RINGNODE FILE NAME: publishes FILE and serves the first half of its
// pieces until the script ends. The number of its bytes is in $HALF.
func cmdHalfSeed(ts *testscript.TestScript, neg bool, args []string) {
	ctx := context.Background()
	ring, err := communicator.Open(ctx, communicator.Config{Ring: ringAddr(ts, args[0]), Cluster: ts.Getenv("CLUSTER"), Multicast: "off"})
	ts.Check(err)
	path := ts.MkAbs(args[1])
	layout, metainfo, infoHash, err := storage.Build(ctx, path, args[2], 1, nil)
	ts.Check(err)
	content, err := storage.OpenSource(layout, path)
	ts.Check(err)
	have, half := wire.NewBits(layout.NumPieces()), int64(0)
	for i := range layout.NumPieces() / 2 {
		have.Set(i)
		half += layout.PieceSize(i)
	}
	engine, err := transfer.Start(transfer.Config{Listen: netip.MustParseAddr("127.0.0.1"), Log: slog.New(slog.DiscardHandler)})
	ts.Check(err)
	ts.Defer(func() {
		engine.Close()
		content.Close()
		ring.Close()
	})
	_, err = engine.Add(transfer.Spec{InfoHash: infoHash, Layout: layout, Content: content, Have: have})
	ts.Check(err)
	_, err = ring.Announce(ctx, communicator.Announce{Name: args[2], InfoHash: infoHash, PeerID: engine.PeerID(),
		Addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), engine.Port()), Left: layout.Total - half, Size: layout.Total, Event: communicator.Started})
	ts.Check(err)
	_, err = ring.Publish(ctx, communicator.Version{Name: args[2], InfoHash: infoHash, Size: layout.Total, Pieces: layout.NumPieces()}, metainfo)
	ts.Check(err)
	ts.Setenv("HALF", strconv.FormatInt(half, 10))
	ts.Setenv("REST", strconv.FormatInt(layout.Total-half, 10))
}
