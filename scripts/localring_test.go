// Package scripts_test runs the scripts that a person runs, as they run them.
package scripts_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of a hung test.
const patience = 2 * time.Minute

// localRing is a folder of local-ring.sh, with the programs of this source.
type localRing struct {
	t        *testing.T
	dir, bin string
}

func newLocalRing(t *testing.T) localRing {
	t.Helper()
	l := localRing{t, filepath.Join(t.TempDir(), "a ring"), t.TempDir()} // a blank is no trouble
	build := exec.Command("go", "build", "-o", l.bin+"/", "../cmd/chordnode", "../cmd/btclient")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { l.run("stop") })
	return l
}

// run gives what the script says and its exit code.
func (l localRing) run(args ...string) (said string, code int) {
	l.t.Helper()
	cmd := exec.Command("./local-ring.sh", append([]string{"--dir", l.dir}, args...)...)
	cmd.Env = append(os.Environ(), "BIN="+l.bin, "TMUX=")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		l.t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// says runs it and wants an exit code and words.
func (l localRing) says(code int, words string, args ...string) string {
	l.t.Helper()
	said, got := l.run(args...)
	if got != code || !strings.Contains(said, words) {
		l.t.Fatalf("local-ring.sh %v: exit %d, want %d with %q:\n%s", args, got, code, words, said)
	}
	return said
}

func (l localRing) read(name string) string {
	text, err := os.ReadFile(filepath.Join(l.dir, name))
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

func (l localRing) pid(name string) int {
	l.t.Helper()
	number, _, _ := strings.Cut(l.read(name+".pid"), " ")
	pid, err := strconv.Atoi(number)
	if err != nil {
		l.t.Fatal(err)
	}
	return pid
}

func lives(pid int) bool { return syscall.Kill(pid, 0) == nil }

// eventually asks until it is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.After(patience); !so(); {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// kill ends a process of the ring as a crash would.
func (l localRing) kill(name string) {
	l.t.Helper()
	pid := l.pid(name)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		l.t.Fatal(err)
	}
	eventually(l.t, "the end of "+name, func() bool { return !lives(pid) || zombie(pid) })
}

// zombie says whether a process has ended and nobody has taken note of it: the first process
// of a container may not.
func zombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	_, after, _ := strings.Cut(string(stat), ") ")
	return err == nil && strings.HasPrefix(after, "Z")
}

func TestLocalRing(t *testing.T) {
	l := newLocalRing(t)
	l.says(1, "begin with", "add")
	l.says(1, "begin with", "clients", "2")
	l.says(1, "begin with", "status")
	l.says(0, "nothing was ever started", "stop")
	l.says(2, "there is no command begin", "begin")
	l.says(2, "there is no --begin", "--begin")
	l.says(2, "stop takes no node-1", "stop", "node-1")
	if _, err := os.Stat(l.dir); err == nil {
		t.Error("it makes a folder for nothing")
	}
	l.says(0, "local-ring.sh add", "--help")

	l.says(0, "a ring of 3", "start")
	first := l.pid("node-1")
	l.says(0, "all 3 nodes run already", "start")
	if l.pid("node-1") != first {
		t.Error("a second start has started a node again")
	}
	l.says(0, "started node-4: a ring of 4", "add")

	l.says(2, "how many", "clients", "some")
	l.says(0, "3 clients run", "clients", "3")
	source := filepath.Join(t.TempDir(), "disk image.bin")
	want := bytes.Repeat([]byte("what is published "), 1<<16)
	if err := os.WriteFile(source, want, 0o600); err != nil {
		t.Fatal(err)
	}
	// The daemon of the first serves it on; the others fetch it unasked.
	l.says(0, `published name="disk image.bin"`, "btclient", "--storage", filepath.Join(l.dir, "client-1"), "publish", source)
	for _, client := range []string{"client-2", "client-3"} {
		eventually(t, "the file at "+client, func() bool {
			got, err := os.ReadFile(filepath.Join(l.dir, client, "files", "disk image.bin"))
			return err == nil && bytes.Equal(got, want)
		})
	}
	if _, err := os.Stat(filepath.Join(l.dir, "client-1", "files", "disk image.bin")); err == nil {
		t.Error("the publisher has fetched what it has")
	}
	// One more peer, which is none of these.
	target := filepath.Join(t.TempDir(), "got")
	l.says(0, "downloaded name=", "btclient", "download", "disk image.bin", "-o", target, "--seed-for", "0s")
	if got, err := os.ReadFile(target); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}

	l.panes()

	// A node that was killed is told of, and started by the next start.
	l.kill("node-2")
	l.says(0, "node-2  does not run", "status")
	l.says(0, "started node-2: a ring of 4", "start")

	// Under the pid of one that died may be somebody else by now.
	l.kill("node-3")
	stranger := exec.Command("sleep", "1000")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Wait() }()
	defer func() { _ = stranger.Process.Kill() }()
	_, began, _ := strings.Cut(l.read("node-3.pid"), " ")
	forged := strconv.Itoa(stranger.Process.Pid) + " " + began
	if err := os.WriteFile(filepath.Join(l.dir, "node-3.pid"), []byte(forged), 0o600); err != nil {
		t.Fatal(err)
	}
	l.says(0, "node-3  does not run", "status")

	var mine []int
	for _, name := range []string{"node-1", "node-2", "node-4", "client-1", "client-2", "client-3", "fetcher"} {
		mine = append(mine, l.pid(name))
	}
	l.says(0, "ended 7 processes", "stop")
	for _, pid := range mine {
		if lives(pid) && !zombie(pid) {
			t.Errorf("process %d has survived", pid)
		}
	}
	if !lives(stranger.Process.Pid) || zombie(stranger.Process.Pid) {
		t.Error("it has killed a process that is none of its own")
	}
	l.says(0, "nothing ran", "stop")

	// What there was is there again.
	l.says(0, "a ring of 4", "start")
	l.says(0, "disk image.bin", "btclient", "ls")
	l.says(0, "ended 4 processes", "clean")
	if left, err := os.ReadDir(l.dir); err == nil {
		t.Errorf("clean leaves %v", left)
	}
}

// panes looks at what tmux shows.
func (l localRing) panes() {
	l.t.Helper()
	name := strings.TrimSpace(l.read("cluster"))
	l.says(0, "tmux -L "+name+" attach", "--tmux")
	tmux := func(args ...string) string {
		out, err := exec.Command("tmux", append([]string{"-L", name}, args...)...).CombinedOutput()
		if err != nil {
			l.t.Fatalf("tmux %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	titles := strings.Fields(tmux("list-panes", "-t", "ring", "-F", "#{pane_title}"))
	if want := "node-1 node-2 node-3 node-4 client-1 client-2 client-3"; strings.Join(titles, " ") != want {
		l.t.Errorf("panes %v, want %s", titles, want)
	}
	for i, title := range titles {
		words := "ready id="
		if strings.HasPrefix(title, "client-") {
			words = "disk image.bin"
		}
		eventually(l.t, title+" on the screen", func() bool {
			return strings.Contains(tmux("capture-pane", "-p", "-J", "-S", "-", "-t", "ring."+strconv.Itoa(i)), words)
		})
	}
}
