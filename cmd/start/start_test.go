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
	out := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", "build", "-ldflags", flags(t, "linux", goarch), "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+goarch)
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s for %s: %v\n%s", pkg, goarch, err, said)
	}
	return out
}

func flags(t *testing.T, goos, goarch string) string {
	t.Helper()
	said, err := exec.Command("../../scripts/ldflags.sh", goos, goarch, "v1.2.3").Output()
	if err != nil {
		t.Fatalf("ldflags.sh: %v", err)
	}
	return strings.TrimSpace(string(said))
}

// The other architecture's instructions are run where there is an emulator, as in CI.
func TestTimersMayBeLate(t *testing.T) {
	for goarch, emulator := range map[string]string{"amd64": "qemu-x86_64-static", "arm64": "qemu-aarch64-static"} {
		run := []string{build(t, goarch, "./testdata/told"), "a", "", "b c"}
		if goarch != runtime.GOARCH {
			if _, err := exec.LookPath(emulator); err != nil {
				t.Logf("%s is linked and not run: there is no %s", goarch, emulator)
				continue
			}
			run = append([]string{emulator}, run...)
		}
		cmd := exec.Command(run[0], run[1:]...)
		cmd.Env = []string{"TOLD=environment"}
		said, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("a program for %s that begins at chordtorrent_start: %v\n%s", goarch, err, said)
		}
		if got, want := strings.TrimSpace(string(said)), "5000000 a,,b c environment"; got != want {
			t.Errorf("%s: timer slack, arguments and environment are %q, want %q", goarch, got, want)
		}
	}
}

// A program that does not import this package cannot be linked with the flags.
func TestProgramsBeginHere(t *testing.T) {
	build(t, runtime.GOARCH, "chordtorrent/cmd/chordnode")
	build(t, runtime.GOARCH, "chordtorrent/cmd/btclient")
	build(t, runtime.GOARCH, "chordtorrent/cmd/chordsim")
}

func TestLinkerFlags(t *testing.T) {
	for _, platform := range []string{"linux/amd64", "linux/arm64", "linux/riscv64", "darwin/amd64", "darwin/arm64", "freebsd/amd64"} {
		goos, goarch, _ := strings.Cut(platform, "/")
		_, err := os.Stat("start_" + goos + "_" + goarch + ".s")
		if begins := strings.Contains(flags(t, goos, goarch), "-E chordtorrent_start "); begins != (err == nil) {
			t.Errorf("ldflags.sh has %s begin in this package: %v; there are instructions for it: %v", platform, begins, err == nil)
		}
	}
}
