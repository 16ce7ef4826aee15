package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"chordtorrent/node"
)

func TestHealthOfANode(t *testing.T) {
	p := startProcess(t, testCluster())
	at := p.ready["http"]
	code, stdout, stderr := output(t, "health", "--http", at)
	if want := "healthy http=" + at + " state=ready\n"; code != 0 || stdout != want || stderr != "" {
		t.Errorf("exit %d, %q, want %q; stderr %q", code, stdout, want, stderr)
	}
	p.stop(syscall.SIGTERM)
	code, stdout, stderr = output(t, "health", "--http", at)
	if code != 1 || stdout != "" || !strings.Contains(stderr, "nothing listens at "+at) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("of one that has ended: exit %d, %q, %q", code, stdout, stderr)
	}
}

func TestHealthTellsWhatIsWrong(t *testing.T) {
	status, said := 0, ""
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(said)) // who asks tells
	}))
	defer node.Close()
	at := node.Listener.Addr().String()
	for _, c := range []struct {
		status     int
		said, want string
	}{
		{http.StatusServiceUnavailable, "reads only: disk full\n", `says "reads only: disk full"`},
		{http.StatusNotFound, "nothing\n", "is no chordnode: 404"},
		{http.StatusOK, "ready\n", ""},
	} {
		status, said = c.status, c.said
		_, err := askHealth(t.Context(), at)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d %q: %v, want %q", c.status, c.said, err, c.want)
		}
	}
}

// Nodes of one pool have a directory each, and one that comes again finds what the one
// before it has left.
func TestNodesShareAPool(t *testing.T) {
	cluster, pool := testCluster(), t.TempDir()
	start := func() *process { return startProcess(t, cluster, "--data-pool", pool) }
	first, second := start(), start()
	if first.ready["id"] == second.ready["id"] {
		t.Errorf("both are %s", first.ready["id"])
	}
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.stop()
	if again := start(); again.ready["id"] != first.ready["id"] {
		t.Errorf("it came back as %s, was %s", again.ready["id"], first.ready["id"])
	}
	dirs, err := filepath.Glob(filepath.Join(pool, "*", "identity.json"))
	if err != nil || len(dirs) != 2 {
		t.Errorf("directories %v, %v", dirs, err)
	}
}

// When the machine's address changes, the node starts again as who it was, also if a place
// before its own has become free.
func TestANodeOfAPoolStartsAgainInItsPlace(t *testing.T) {
	flags := runFlags{dataPool: t.TempDir(), bind: "127.0.0.1:0", http: node.Off, udp: node.Off,
		sourceRate: 1, sourcePeers: 1, ringFlags: ringFlags{cluster: testCluster(), multicast: node.Off}}
	start := func(f runFlags) *node.Node {
		n, err := node.Start(t.Context(), f.config(slog.New(slog.DiscardHandler)))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	end := func(n *node.Node) {
		hasty, cancel := context.WithCancel(t.Context())
		cancel()
		_ = n.Close(hasty) // says that nothing was handed over
	}
	first, second := start(flags), start(flags)
	end(first)
	end(second)
	back := start(flags.again(second))
	defer end(back)
	if back.Ref().ID != second.Ref().ID {
		t.Errorf("it came back as %s, was %s", back.Ref().ID, second.Ref().ID)
	}
}
