package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFlagsComeFromTheEnvironment(t *testing.T) {
	t.Setenv("CHORDNODE_REGISTERED_ONLY", "") // counts as none
	t.Setenv("CHORDNODE_HTTP", "off")
	t.Setenv("CHORDNODE_UDP", "off") // the command line says otherwise
	p := startProcess(t, testCluster(), "--udp", "127.0.0.1:0")
	if said := p.stderr.String(); strings.Contains(said, "variable") {
		t.Errorf("it complains: %s", said)
	}
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

func TestMisspeltVariablesAreToldOf(t *testing.T) {
	t.Setenv("CHORDNODE_JION", "127.0.0.1:1")
	t.Setenv("CHORDNODE_LOG_FORMAT", "json") // counts for this, too
	t.Setenv("CHORDNODE_PORT", "tcp://10.0.0.11:8000")
	p := startProcess(t, testCluster())
	line, _, _ := strings.Cut(p.stderr.String(), "\n")
	var said struct{ Level, Variable, Meant string }
	if err := json.Unmarshal([]byte(line), &said); err != nil || said.Level != "WARN" || said.Variable != "CHORDNODE_JION" || !strings.Contains(said.Meant, "CHORDNODE_JOIN") {
		t.Errorf("%v: it says first: %s", err, line)
	}
	if strings.Contains(p.stderr.String(), "CHORDNODE_PORT") {
		t.Errorf("it complains of what an orchestrator sets: %s", p.stderr.String())
	}
	// So do the other commands.
	code, _, stderr := output(t, "secret", filepath.Join(t.TempDir(), "ring.secret"))
	if code != exitOK || !strings.Contains(stderr, "level=WARN") || !strings.Contains(stderr, "CHORDNODE_JOIN") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
