package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestSystemd hands a socket over as systemd does (sd_listen_fds(3)) and waits to be
// told that the daemon is ready (sd_notify(3)).
func TestSystemd(t *testing.T) {
	dir := t.TempDir()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	socket, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	// The temporary directory's name may be too long for a socket.
	short, err := os.MkdirTemp("", "sd")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(short)
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(short, "n"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	// LISTEN_PID has to be the program's own.
	cmd := exec.Command("sh", "-c", `LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"`, filepath.Join(programs, "btclient"),
		"--storage", dir, "--cluster", "test-systemd", "--multicast", "off", "--ring", "127.0.0.1:1", "serve")
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(short, "n"))
	cmd.ExtraFiles = []*os.File{socket}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hears := func(what string) {
		t.Helper()
		b := make([]byte, 4096)
		if err := notify.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		n, err := notify.Read(b)
		if err != nil || !strings.Contains(string(b[:n]), what) {
			t.Errorf("systemd heard %q, %v: want %s", b[:n], err, what)
		}
	}
	hears("READY=1")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	hears("STOPPING=1")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if !regexp.MustCompile(`^ready web=http://` + regexp.QuoteMeta(ln.Addr().String()) + `/ `).MatchString(out.String()) {
		t.Errorf("the page is not at the socket %s: %s", ln.Addr(), out.String())
	}
}
