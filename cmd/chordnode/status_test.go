package main

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"chordtorrent/chord"
)

// statusOf asks until the ring has so many members.
func statusOf(t *testing.T, members int, args ...string) map[string]any {
	t.Helper()
	for began := time.Now(); ; {
		code, stdout, stderr := output(t, append([]string{"status", "--json"}, args...)...)
		if code != 0 {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		var st map[string]any
		if err := json.Unmarshal([]byte(stdout), &st); err != nil {
			t.Fatalf("%v in %q", err, stdout)
		}
		if list, _ := st["members"].([]any); len(list) == members {
			return st
		}
		if time.Since(began) > enough {
			t.Fatalf("this member sees no ring of %d: %v", members, st)
		}
	}
}

// enough is for tests that hang; nothing should come near it.
const enough = 2 * time.Minute

func TestStatusOfARing(t *testing.T) {
	cluster := testCluster()
	first := startProcess(t, cluster)
	second := startProcess(t, cluster, "--join", first.ready["ring"])
	if second.ready["members"] != "2" {
		t.Errorf("the second was ready with %s members", second.ready["members"])
	}
	st := statusOf(t, 2, "--node", first.ready["ring"], "--cluster", cluster)
	for _, key := range []string{"id", "address", "state", "members", "keys", "under_replicated", "incomplete_ranges", "last_repair"} {
		if _, ok := st[key]; !ok {
			t.Errorf("status lacks %q: %v", key, st)
		}
	}
	if st["id"] != first.ready["id"] || st["address"] != first.ready["ring"] || st["cluster"] != cluster || st["state"] != "member" {
		t.Errorf("status %v", st)
	}
	seen := map[any]any{}
	for _, m := range st["members"].([]any) {
		seen[m.(map[string]any)["id"]] = m.(map[string]any)["address"]
	}
	if seen[first.ready["id"]] != first.ready["ring"] || seen[second.ready["id"]] != second.ready["ring"] {
		t.Errorf("members %v", seen)
	}

	code, table, stderr := output(t, "status", "--multicast", "off", "--join", second.ready["ring"], "--cluster", cluster)
	for _, want := range []string{first.ready["id"], second.ready["ring"], cluster, "under-replicated"} {
		if code != 0 || !strings.Contains(table, want) {
			t.Errorf("exit %d, table lacks %q:\n%s%s", code, want, table, stderr)
		}
	}

	code, _, stderr = output(t, "status", "--node", first.ready["ring"], "--cluster", "another")
	if code != 1 || !strings.Contains(stderr, cluster) || !strings.Contains(stderr, "another") {
		t.Errorf("asked with another cluster's name: exit %d, %q should name both", code, stderr)
	}

	key := filepath.Join(t.TempDir(), "key")
	if code, _, stderr := output(t, "secret", key); code != 0 {
		t.Fatal(stderr)
	}
	code, _, stderr = output(t, "status", "--multicast", "off", "--join", second.ready["ring"], "--cluster", cluster, "--secret-file", key)
	if code != 1 || !strings.Contains(stderr, "leave --secret-file out") || strings.Contains(stderr, "start") {
		t.Errorf("asked with a secret: exit %d, %q", code, stderr)
	}

	if code, _ := second.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d\n%s", code, second.stderr)
	}
	statusOf(t, 1, "--node", first.ready["ring"], "--cluster", cluster)
}

func TestStatusPrefersAMemberOnThisMachine(t *testing.T) {
	far := chord.Ref{ID: chord.ID{1}, Addr: "10.77.0.2:8000"}
	near := chord.Ref{ID: chord.ID{2}, Addr: "10.77.0.1:8000"}
	bridge := chord.Ref{ID: chord.ID{3}, Addr: "[::ffff:172.17.0.1]:8000"}
	here := map[netip.Addr]bool{netip.MustParseAddr("10.77.0.1"): true, netip.MustParseAddr("172.17.0.1"): true}
	for _, c := range []struct {
		what    string
		found   chord.Ref
		members []chord.Ref
		answers map[string]chord.Ref
		want    chord.Ref
	}{
		{"it is here", near, []chord.Ref{far, bridge, near}, nil, near},
		{"another is here", far, []chord.Ref{far, near}, map[string]chord.Ref{near.Addr: near}, near},
		{"it does not answer", far, []chord.Ref{far, near}, nil, far},
		{"what answers is another", far, []chord.Ref{far, bridge, near}, map[string]chord.Ref{bridge.Addr: {ID: chord.ID{9}}, near.Addr: near}, near},
		{"none is here", far, []chord.Ref{far}, map[string]chord.Ref{far.Addr: near}, far},
	} {
		got := preferHere(chord.Status{Self: c.found, Members: c.members}, here, func(addr string) (chord.Status, error) {
			if self, ok := c.answers[addr]; ok {
				return chord.Status{Self: self}, nil
			}
			return chord.Status{}, errors.New("no answer")
		})
		if got.Self != c.want {
			t.Errorf("%s: %v is shown, want %v", c.what, got.Self, c.want)
		}
	}
	if !addressesHere()[netip.MustParseAddr("127.0.0.1")] {
		t.Errorf("this machine has %v", addressesHere())
	}
}

func TestAMemberThatHasJustBegunIsSettling(t *testing.T) {
	for _, c := range []struct {
		st   chord.Status
		want string
	}{
		{chord.Status{IncompleteRanges: 1}, "1 (settling)"},
		{chord.Status{LastRepair: 1}, "0"},
		{chord.Status{LastRepair: 1, IncompleteRanges: 1}, "1"}, // it was in order once
	} {
		var b strings.Builder
		if err := printTable(&b, c.st, false); err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`(?m)^incomplete ranges +` + regexp.QuoteMeta(c.want) + `$`).MatchString(b.String()) {
			t.Errorf("want %s in\n%s", c.want, b.String())
		}
	}
}

func TestStatusFindsAMemberByMulticast(t *testing.T) {
	cluster := testCluster()
	group := []string{"--multicast", "239.255.4.3:1234", "--multicast-ttl", "0"}
	p := startProcess(t, cluster, group...)
	st := statusOf(t, 1, append(group, "--cluster", cluster)...)
	if st["id"] != p.ready["id"] {
		t.Errorf("asked %v, want %s", st["id"], p.ready["id"])
	}
}

func TestTheDefaultDataDirectoryIsTheUsers(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_DATA_HOME", home)
	if got, want := defaultDataDir(), filepath.Join(home, "chordtorrent", "chordnode"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	t.Setenv("XDG_DATA_HOME", "relative")
	t.Setenv("HOME", home)
	if got, want := defaultDataDir(), filepath.Join(home, ".local", "share", "chordtorrent", "chordnode"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if err := os.Unsetenv("HOME"); err != nil {
		t.Fatal(err)
	}
	if got := defaultDataDir(); got != "" {
		t.Errorf("%q without a home", got)
	}
}
