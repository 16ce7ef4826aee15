package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// onThisHost runs a program without a network of its own: these tests need no root.
func onThisHost(t *testing.T, script string) *Process {
	t.Helper()
	p, err := start(filepath.Join(t.TempDir(), "log"), "/bin/sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func TestAProcessIsHeardToItsEnd(t *testing.T) {
	p := onThisHost(t, "echo first; echo ready id=1; echo aside >&2; exit 3")
	if err := p.Says("ready id="); err != nil {
		t.Fatal(err)
	}
	if err := p.Says("what it never says"); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("the end of it is %v", err)
	}
	<-p.Over()
	if p.ExitCode() != 3 {
		t.Errorf("exit code %d", p.ExitCode())
	}
	said, err := os.ReadFile(p.Log)
	if err != nil {
		t.Fatal(err)
	}
	if last := p.LastWords(); !strings.HasSuffix(last, "aside") && !strings.HasSuffix(last, "ready id=1") {
		t.Errorf("its last words are %q", last)
	}
	for _, line := range []string{"first\n", "ready id=1\n", "aside\n"} {
		if !strings.Contains(string(said), line) {
			t.Errorf("the log is %q", said)
		}
	}
}

func TestKillEndsWhatAProcessHasStarted(t *testing.T) {
	p := onThisHost(t, "sleep 1000 & echo ready; wait")
	if err := p.Says("ready"); err != nil {
		t.Fatal(err)
	}
	p.Kill() // returns when nobody has its output open any more
	if p.ExitCode() != -1 {
		t.Errorf("exit code %d", p.ExitCode())
	}
	p.Kill() // once more is no harm
}
