package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"chordtorrent/chord"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// A probe under way when memberlist shuts down waits for its answer
		// until the probe's time is over, up to 2 s.
		goleak.IgnoreAnyFunction("github.com/hashicorp/memberlist.(*Memberlist).probeNode"),
	)
}

// patience bounds every wait of a hung test.
const patience = time.Minute

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// testCluster is a name that no other test, and nobody on the LAN, uses.
func testCluster() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return "test-" + hex.EncodeToString(b)
}

// testConfig is a node on loopback, alone as far as multicast goes.
func testConfig(t *testing.T, cluster string) Config {
	t.Helper()
	return Config{
		DataDir: t.TempDir(), Bind: "127.0.0.1:0", HTTP: "127.0.0.1:0", UDP: "127.0.0.1:0",
		Cluster: cluster, Multicast: Off, Version: "test",
		Log: slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
}

// testWriter shows a node's log with the test that fails.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(bytes.TrimSpace(p)))
	return len(p), nil
}

func start(t *testing.T, cfg Config) *Node {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	n, err := Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.kill) // nothing happens when it has ended before
	return n
}

// startAll starts nodes side by side.
func startAll(t *testing.T, cfgs ...Config) []*Node {
	t.Helper()
	nodes := make([]*Node, len(cfgs))
	var wg sync.WaitGroup
	for i, cfg := range cfgs {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			n, err := Start(ctx, cfg)
			if err != nil {
				t.Error(err)
				return
			}
			nodes[i] = n
			t.Cleanup(n.kill)
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return nodes
}

// whole waits until each of the nodes sees all of them, in gossip and in the
// ring.
func whole(t *testing.T, nodes ...*Node) {
	t.Helper()
	for _, n := range nodes {
		eventually(t, "a ring of all members", func() bool {
			st := status(t, n)
			return n.Members() == len(nodes) && len(st.Members) == len(nodes) && st.State == "member" && st.IncompleteRanges == 0
		})
	}
}

func status(t *testing.T, n *Node) chord.Status {
	t.Helper()
	return call[chord.Status](t, n, chord.GetStatus{})
}

func call[R any](t *testing.T, n *Node, op any) R {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	reply, err := n.Call(ctx, op)
	if err != nil {
		t.Fatal(err)
	}
	return reply.(R)
}

// put writes until it is acknowledged.
func put(t *testing.T, n *Node, key chord.Key, name, value string) chord.PutReply {
	t.Helper()
	var reply chord.PutReply
	eventually(t, "an acknowledged write", func() bool {
		reply = call[chord.PutReply](t, n, chord.Put{Key: key, Updates: []chord.Update{{Name: name, Value: []byte(value)}}})
		return reply.Code == chord.CodeOK
	})
	return reply
}

// wantValue reads until the ring is sure, and compares.
func wantValue(t *testing.T, n *Node, key chord.Key, name, value string) {
	t.Helper()
	var reply chord.GetReply
	eventually(t, "a certain answer", func() bool {
		reply = call[chord.GetReply](t, n, chord.Get{Key: key})
		return reply.Code == chord.CodeOK || reply.Code == chord.CodeNotFound
	})
	for _, f := range reply.Fields {
		if f.Name == name && string(f.Value) == value {
			return
		}
	}
	t.Errorf("member %s reads %+v at key %q, want field %s = %q", n.Ref().ID.Short(), reply, string(key), name, value)
}
