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
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"chordtorrent/chord"
	"chordtorrent/chord/rpc"
)

// TestMain lets the test binary be the program, so that the tests start real
// processes.
func TestMain(m *testing.M) {
	if os.Getenv("CHORDNODE_TEST_RUN") != "" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// patience bounds every wait of a hung test.
const patience = time.Minute

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "CHORDNODE_TEST_RUN=1", "XDG_DATA_HOME="+t.TempDir())
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

var readyLineFormat = regexp.MustCompile(`^ready id=[0-9a-f]{40} members=\d+ ring=127\.0\.0\.1:\d+ http=(127\.0\.0\.1:\d+|-) udp=-$`)

// startProcess starts a chordnode on loopback and waits for its ready line.
func startProcess(t *testing.T, cluster string, args ...string) *process {
	t.Helper()
	args = append([]string{"--bind", "127.0.0.1:0", "--http", "127.0.0.1:0", "--cluster", cluster, "--multicast", "off"}, args...)
	if !strings.Contains(strings.Join(args, " "), "--data-dir") {
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

func TestMistakesOnTheCommandLine(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"--no-such-flag", 2, "--no-such-flag"},
		{"surplus", 2, `"surplus"`},
		{"status surplus", 2, `"surplus"`},
		{"--multicast-ttl many", 2, "--multicast-ttl"},
		{"--multicast-ttl 300 --data-dir " + dir, 2, "--multicast-ttl"},
		{"--multicast 10.0.0.1:5 --data-dir " + dir, 2, "10.0.0.1:5"},
		{"--join 10.0.0.1 --data-dir " + dir, 2, "--join"},
		{"--bind a:b:c --data-dir " + dir, 2, "--bind"},
		{"--log-level loud", 2, "--log-level"},
		{"--log-format xml", 2, "--log-format"},
		{"--data-dir " + file + "/below --multicast off", 1, "choose another with --data-dir"},
		{"--bind 192.0.2.1:8000 --multicast off --data-dir " + dir, 1, "--bind"},
		{"status --node 127.0.0.1:1", 1, "127.0.0.1:1"},
		{"status --multicast nonsense", 2, "nonsense"},
		{"status --multicast off --join 127.0.0.1:1", 1, "--node"},
	} {
		code, stdout, stderr := output(t, strings.Fields(c.args)...)
		if code != c.code || stdout != "" || !strings.Contains(stderr, c.says) {
			t.Errorf("chordnode %s: exit %d, want %d; stdout %q; stderr %q should mention %q", c.args, code, c.code, stdout, stderr, c.says)
		}
	}
}

func TestVersionAndHelp(t *testing.T) {
	code, stdout, _ := output(t, "--version")
	if code != 0 || !regexp.MustCompile(`^chordnode \S+.* go1\.\S+\n$`).MatchString(stdout) {
		t.Errorf("--version: exit %d, %q", code, stdout)
	}
	code, stdout, _ = output(t, "--help")
	for _, flag := range []string{"data-dir", "bind", "advertise", "cluster", "join", "multicast", "multicast-ttl", "http", "udp", "registered-only", "log-level", "log-format"} {
		if code != 0 || !strings.Contains(stdout, "--"+flag) {
			t.Errorf("--help: exit %d, should mention --%s", code, flag)
		}
	}
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
		c, err := rpc.Dial(t.Context(), p.ready["ring"], cluster)
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
	cmd := command(t, "--bind", "127.0.0.1:0", "--http", "off", "--multicast", "off", "--cluster", testCluster(), "--data-dir", t.TempDir(), "--log-level", "debug")
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
	code, stdout, stderr := output(t, "--data-dir", dir, "--multicast", "off", "--bind", "127.0.0.1:0", "--http", "off")
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

func TestWhatThisBuildLacksIsSaid(t *testing.T) {
	p := startProcess(t, testCluster(), "--udp", "127.0.0.1:6969", "--registered-only")
	for _, flag := range []string{"--udp", "--registered-only"} {
		if !strings.Contains(p.stderr.String(), flag) {
			t.Errorf("nothing is said of %s:\n%s", flag, p.stderr)
		}
	}
	quiet := startProcess(t, testCluster())
	if strings.Contains(quiet.stderr.String(), "tracker") {
		t.Errorf("it speaks of trackers though nobody asked:\n%s", quiet.stderr)
	}
}
