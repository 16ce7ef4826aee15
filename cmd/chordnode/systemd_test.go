package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Systemd is told when the node is part of a ring, that it lives, and that it leaves
// (sd_notify(3)).
func TestSystemdIsTold(t *testing.T) {
	// The temporary directory's name may be too long for a socket.
	short, err := os.MkdirTemp("", "sd")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(short)
	socket := filepath.Join(short, "n")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	if err := notify.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	hear := func() string {
		b := make([]byte, 4096)
		n, err := notify.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "300000")
	p := startProcess(t, testCluster())
	if said := hear(); said != "READY=1" {
		t.Errorf("first %q", said)
	}
	for range 3 { // the first is told at once, others follow
		if said := hear(); said != "WATCHDOG=1" {
			t.Errorf("then %q", said)
		}
	}
	if code, _ := p.stop(os.Interrupt); code != 0 {
		t.Errorf("exit %d", code)
	}
	said := hear()
	for said == "WATCHDOG=1" {
		said = hear()
	}
	if said != "STOPPING=1" {
		t.Errorf("last %q", said)
	}
}

func TestFlagsComeFromTheEnvironment(t *testing.T) {
	t.Setenv("CHORDNODE_REGISTERED_ONLY", "") // counts as none
	t.Setenv("CHORDNODE_HTTP", "off")
	t.Setenv("CHORDNODE_UDP", "off") // the command line says otherwise
	p := startProcess(t, testCluster(), "--udp", "127.0.0.1:0")
	if p.ready["http"] == "-" || p.ready["udp"] == "-" {
		t.Errorf("the environment came before the command line: %v", p.ready)
	}
	for _, c := range []struct{ name, value, says string }{
		{"CHORDNODE_MULTICAST_TTL", "many", `$CHORDNODE_MULTICAST_TTL: --multicast-ttl "many"`},
		{"CHORDNODE_LOG_LEVEL", "loud", `--log-level: "loud"`},
	} {
		t.Setenv(c.name, c.value)
		code, _, stderr := output(t, "--data-dir", t.TempDir())
		if code != exitUsage || !strings.Contains(stderr, c.says) {
			t.Errorf("%s=%s: exit %d: %s", c.name, c.value, code, stderr)
		}
		if err := os.Unsetenv(c.name); err != nil {
			t.Fatal(err)
		}
	}
}
