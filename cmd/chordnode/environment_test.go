package main

import (
	"os"
	"strings"
	"testing"
)

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
