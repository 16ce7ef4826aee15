package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
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
)

// TestMain lets the test binary be the program, so that the tests start real
// processes: in scripts by its name, elsewhere by the environment.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_RUN_CHORDNODE") != "" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	testscript.Main(checked{m}, map[string]func(){
		"chordnode": func() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// checked looks for goroutines that are left when the tests have passed.
type checked struct{ m *testing.M }

func (c checked) Run() int {
	code := c.m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				code, err := strconv.Atoi(args[0])
				ts.Check(err)
				got, err := 0, ts.Exec("chordnode", args[1:]...)
				var exit *exec.ExitError
				if errors.As(err, &exit) {
					got = exit.ExitCode()
				} else {
					ts.Check(err)
				}
				if got != code {
					ts.Fatalf("exit code %d, want %d", got, code)
				}
			},
		},
	})
}

// patience bounds every wait of a hung test.
const patience = time.Minute

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "TEST_RUN_CHORDNODE=1", "XDG_DATA_HOME="+t.TempDir())
	return cmd
}

// output runs a command line to its end.
func output(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := command(t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// process is a chordnode that runs.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	ready  map[string]string // the words of the ready line
	stdout chan string       // what came after it, at the end
	stderr *syncBuffer
}

var readyLineFormat = regexp.MustCompile(`^ready id=[0-9a-f]{40} members=\d+ ring=127\.0\.0\.1:\d+ http=(127\.0\.0\.1:\d+|-) udp=(127\.0\.0\.1:\d+|-)$`)

// startProcess starts a chordnode on loopback and waits for its ready line.
func startProcess(t *testing.T, cluster string, args ...string) *process {
	t.Helper()
	args = append([]string{"--bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--cluster", cluster, "--multicast", "off"}, args...)
	if !strings.Contains(strings.Join(args, " "), "--data-") {
		args = append(args, "--data-dir", t.TempDir())
	}
	p := &process{t: t, cmd: command(t, args...), stdout: make(chan string, 1), stderr: new(syncBuffer)}
	p.cmd.Stderr = p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // ended already, if all is well
		_ = p.cmd.Wait()
	})
	lines := make(chan string, 1)
	go func() {
		in := bufio.NewReader(out)
		line, _ := in.ReadString('\n')
		lines <- line
		rest, _ := io.ReadAll(in)
		p.stdout <- string(rest)
	}()
	select {
	case line := <-lines:
		line = strings.TrimSuffix(line, "\n")
		if !readyLineFormat.MatchString(line) {
			t.Fatalf("ready line %q\n%s", line, p.stderr)
		}
		p.ready = map[string]string{}
		for _, word := range strings.Fields(line)[1:] {
			name, value, _ := strings.Cut(word, "=")
			p.ready[name] = value
		}
	case <-time.After(patience):
		t.Fatalf("no ready line\n%s", p.stderr)
	}
	return p
}

// stop sends signals and waits for the end.
func (p *process) stop(signals ...os.Signal) (code int, stdout string) {
	p.t.Helper()
	for _, s := range signals {
		if err := p.cmd.Process.Signal(s); err != nil {
			p.t.Fatal(err)
		}
	}
	select {
	case stdout = <-p.stdout:
	case <-time.After(patience):
		p.t.Fatalf("it does not end\n%s", p.stderr)
	}
	_ = p.cmd.Wait() // the exit code says it
	return p.cmd.ProcessState.ExitCode(), stdout
}

// syncBuffer is a bytes.Buffer for a writer and a reader at a time.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func testCluster() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return "test-" + hex.EncodeToString(b)
}

func TestOneLineThenOrderlyLeave(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		p := startProcess(t, testCluster())
		if p.ready["members"] != "1" {
			t.Errorf("%s members alone", p.ready["members"])
		}
		if code, rest := p.stop(s); code != 0 || rest != "" {
			t.Errorf("after %v: exit %d, more on stdout: %q\n%s", s, code, rest, p.stderr)
		}
	}
}

func TestAcknowledgedWritesOutliveKill9(t *testing.T) {
	cluster, dir := testCluster(), t.TempDir()
	var id string
	for round := range 3 {
		p := startProcess(t, cluster, "--data-dir", dir)
		if id != "" && p.ready["id"] != id {
			t.Errorf("it came back as %s, was %s", p.ready["id"], id)
		}
		id = p.ready["id"]
		c, err := rpc.Dial(t.Context(), p.ready["ring"], cluster, nil)
		if err != nil {
			t.Fatal(err)
		}
		for old := range round {
			reply := ask[chord.GetReply](t, c, chord.Get{Key: chord.Key(fmt.Sprint("\x01round", old))})
			if reply.Code != chord.CodeOK || len(reply.Fields) != 20 {
				t.Errorf("of round %d: %d fields of 20, code %d", old, len(reply.Fields), reply.Code)
			}
		}
		for i := range 20 {
			reply := ask[chord.PutReply](t, c, chord.Put{
				Key:     chord.Key(fmt.Sprint("\x01round", round)),
				Updates: []chord.Update{{Name: fmt.Sprint(i), Value: []byte("value")}},
			})
			if reply.Code != chord.CodeOK || reply.Copies != 1 {
				t.Fatalf("put: %+v", reply)
			}
		}
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		p.stop()
		_ = c.Close() // lost already
	}
}

// ask calls until the member is sure of its answer.
func ask[R any](t *testing.T, c *rpc.Client, op any) R {
	t.Helper()
	for {
		reply, err := c.Call(t.Context(), op)
		if err != nil {
			t.Fatal(err)
		}
		if get, isGet := reply.(chord.GetReply); !isGet || get.Code != chord.CodeNotReady {
			return reply.(R)
		}
	}
}

func TestASecondSignalEndsItAtOnce(t *testing.T) {
	cluster := testCluster()
	first := startProcess(t, cluster)
	second := startProcess(t, cluster, "--join", first.ready["ring"])
	// Somebody who does not take what is handed over.
	if err := second.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := first.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(first.stderr.String(), "leaving") {
		if t.Context().Err() != nil {
			t.Fatal("it does not begin to leave")
		}
	}
	if code, _ := first.stop(syscall.SIGTERM); code != 1 || !strings.Contains(first.stderr.String(), "second signal") {
		t.Errorf("exit %d, want 1\n%s", code, first.stderr)
	}
}

func TestASignalBeforeTheRingEndsItQuietly(t *testing.T) {
	cmd := command(t, "--bind", "127.0.0.1:0", "--http", "off", "--udp", "off", "--multicast", "off", "--cluster", testCluster(), "--data-dir", t.TempDir(), "--log-level", "debug")
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1) // it says something as soon as it is up
	_, _ = errs.Read(first)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, errs)
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestASecondNodeOnTheSameDirectoryIsToldThePid(t *testing.T) {
	dir := t.TempDir()
	p := startProcess(t, testCluster(), "--data-dir", dir)
	code, stdout, stderr := output(t, "--data-dir", dir, "--multicast", "off", "--bind", "127.0.0.1:0", "--http", "off", "--udp", "off")
	if code != 1 || stdout != "" || !strings.Contains(stderr, fmt.Sprint("pid ", p.cmd.Process.Pid)) {
		t.Errorf("exit %d, stdout %q, stderr %q; want pid %d in it", code, stdout, stderr, p.cmd.Process.Pid)
	}
}

func TestPortsThatAreTakenAreNamed(t *testing.T) {
	p := startProcess(t, testCluster())
	for flag, other := range map[string]string{"--bind": "--http", "--http": "--bind"} {
		addr := p.ready[map[string]string{"--bind": "ring", "--http": "http"}[flag]]
		code, _, stderr := output(t, flag, addr, other, "127.0.0.1:0", "--data-dir", t.TempDir(), "--multicast", "off")
		if code != 1 || !strings.Contains(stderr, addr) || !strings.Contains(stderr, flag) {
			t.Errorf("%s %s: exit %d, stderr %q", flag, addr, code, stderr)
		}
	}
}

func TestThePasskeyOfASecret(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if code, _, stderr := output(t, "secret", file); code != 0 {
		t.Fatal(stderr)
	}
	code, stdout, stderr := output(t, "secret", "--passkey", file)
	if !regexp.MustCompile(`^[0-9a-f]{32}\n$`).MatchString(stdout) || code != 0 {
		t.Errorf("exit %d: %q, %q", code, stdout, stderr)
	}
	if code, _, stderr := output(t, "secret", "--passkey"); code != 2 || !strings.Contains(stderr, "Name its file") {
		t.Errorf("without a file: exit %d, %q", code, stderr)
	}
}
