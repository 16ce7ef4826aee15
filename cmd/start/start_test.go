//go:build linux && (amd64 || arm64)

package start

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// build links a package as make does, for this machine or another.
func build(t *testing.T, goarch, pkg string) string {
	t.Helper()
	flags, err := exec.Command("../../scripts/ldflags.sh", "linux", goarch, "v1.2.3").Output()
	if err != nil {
		t.Fatalf("ldflags.sh: %v", err)
	}
	out := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", "build", "-ldflags", strings.TrimSpace(string(flags)), "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+goarch)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s for %s: %v\n%s", pkg, goarch, err, said)
	}
	return out
}

func TestTimersMayBeLate(t *testing.T) {
	cmd := exec.Command(build(t, runtime.GOARCH, "./testdata/told"), "a", "", "b c")
	cmd.Env = []string{"TOLD=environment"}
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("a program that begins at chordtorrent_start: %v\n%s", err, said)
	}
	if got, want := strings.TrimSpace(string(said)), "5000000 a,,b c environment"; got != want {
		t.Errorf("timer slack, arguments and environment are %q, want %q", got, want)
	}
}

// A program that does not import this package cannot be linked with the flags.
func TestProgramsBeginHere(t *testing.T) {
	build(t, runtime.GOARCH, "chordtorrent/cmd/chordnode")
	build(t, runtime.GOARCH, "chordtorrent/cmd/btclient")
}

func TestEveryPlatformLinks(t *testing.T) {
	build(t, "amd64", "./testdata/told")
	build(t, "arm64", "./testdata/told")
}
