package main

import (
	"net"
	"os"
	"path/filepath"
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
