package main

import (
	"strings"
	"testing"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/rpc"
)

// Three of five are killed at once, which is more than a ring mends by itself:
// what is left reads what it has and acknowledges nothing, until a person says
// that the three do not come back.
func TestForgetLetsARingGoOn(t *testing.T) {
	cluster := testCluster()
	first := startProcess(t, cluster)
	ring := []*process{first}
	for range 4 {
		ring = append(ring, startProcess(t, cluster, "--join", first.ready["ring"]))
	}
	node := []string{"--cluster", cluster, "--node", first.ready["ring"]}
	for _, p := range ring { // the ranges of all must count by five, or fewer deaths would be mended
		whole(t, 5, "--cluster", cluster, "--node", p.ready["ring"])
	}
	c, err := rpc.Dial(t.Context(), first.ready["ring"], cluster, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	put := func(name string) chord.PutReply {
		return ask[chord.PutReply](t, c, chord.Put{Key: "\x01k", Updates: []chord.Update{{Name: name, Value: []byte("v")}}})
	}
	if r := put("before"); r.Code != chord.CodeOK || r.Copies < 3 {
		t.Fatalf("before: %+v", r)
	}

	code, _, stderr := output(t, append([]string{"forget", ring[4].ready["id"]}, node...)...)
	if code != 1 || !strings.Contains(stderr, "it lives") {
		t.Errorf("forget of one that lives: exit %d: %s", code, stderr)
	}
	for _, p := range ring[2:] {
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		p.stop()
	}
	for _, p := range ring[:2] { // each must have missed them: nobody forgets one that it takes for living
		statusOf(t, 2, "--cluster", cluster, "--node", p.ready["ring"])
	}
	if r := put("meanwhile"); r.Code == chord.CodeOK {
		t.Errorf("two of five have acknowledged a write: %+v", r)
	}
	for _, p := range ring[2:] {
		code, stdout, stderr := output(t, append([]string{"forget", p.ready["id"]}, node...)...)
		if want := "forgotten id=" + p.ready["id"] + " told=2 of=2\n"; code != 0 || stdout != want {
			t.Errorf("exit %d: %q, want %q: %s", code, stdout, want, stderr)
		}
	}
	whole(t, 2, node...)
	if r := put("after"); r.Code != chord.CodeOK || r.Copies != 2 {
		t.Errorf("after: %+v", r)
	}
	get := ask[chord.GetReply](t, c, chord.Get{Key: "\x01k"})
	if get.Code != chord.CodeOK || get.Unconfirmed || get.Fields[0].Name != "after" {
		t.Errorf("afterwards %+v", get)
	}
}

// whole waits until a ring of so many members has everything in order.
func whole(t *testing.T, members int, args ...string) {
	t.Helper()
	for began := time.Now(); ; {
		st := statusOf(t, members, args...)
		if st["under_replicated"] == 0.0 && st["incomplete_ranges"] == 0.0 && st["last_repair"] != nil && st["counted_members"] == float64(members) {
			return
		}
		if time.Since(began) > enough {
			t.Fatalf("the ring of %d does not become whole: %v", members, st)
		}
	}
}
