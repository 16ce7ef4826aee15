package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"chordtorrent/node"
)

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
