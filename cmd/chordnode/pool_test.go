package main

import (
	"path/filepath"
	"testing"
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
