package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"chordtorrent/node"
)

// watchedBySystemd stands in for systemd (sd_notify(3)), and gives what waits for the next
// word that it is told.
func watchedBySystemd(t *testing.T) (hear func() string) {
	t.Helper()
	// The temporary directory's name may be too long for a socket.
	short, err := os.MkdirTemp("", "sd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	socket := filepath.Join(short, "n")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { notify.Close() })
	if err := notify.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "300000")
	return func() string {
		b := make([]byte, 4096)
		n, err := notify.Read(b)
		if err != nil {
			t.Error(err)
		}
		return string(b[:n])
	}
}

// Systemd is told when the node is part of a ring, that it lives, and that it leaves.
func TestSystemdIsTold(t *testing.T) {
	hear := watchedBySystemd(t)
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

// A node that moved may take longer to start again than systemd waits for a word.
func TestSystemdIsToldWhileANodeStartsAgain(t *testing.T) {
	hear := watchedBySystemd(t)
	errEnough := errors.New("heard enough")
	n, err := startAgain(func(context.Context) (*node.Node, error) {
		for range 3 {
			if said := hear(); said != "WATCHDOG=1" {
				t.Errorf("while it starts: %q", said)
			}
		}
		return nil, errEnough
	}, make(chan os.Signal, 1), slog.New(slog.DiscardHandler))
	if n != nil || !errors.Is(err, errEnough) {
		t.Errorf("%v, %v", n, err)
	}
}
