package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// chordsim runs one command line.
func chordsim(args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(args, &out, &err)
	return code, out.String(), err.String()
}

func TestCommandLinesThatMakeNoSense(t *testing.T) {
	for _, c := range []struct {
		args string
		says string
	}{
		{"--members 0", "--members 0"},
		{"--members 1000001", "1000000"},
		{"--members many", "many"},
		{"--half-life -1h", "-1h"},
		{"--half-life 3ms", "under a second"},
		{"--duration 0s", "--duration"},
		{"--warm-up 0s", "--warm-up"},
		{"--lookups 0", "--lookups 0"},
		{"--gossip -1", "--gossip -1"},
		{"--churn", "--churn"},
		{"twice", `"twice"`},
		{"plot", "plot needs"},
		{"plot docs", "plot needs"},
	} {
		code, stdout, stderr := chordsim(strings.Fields(c.args)...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, c.says) || !strings.Contains(stderr, "--help") {
			t.Errorf("chordsim %s ends with %d, says %q and %q; want 2, and %q named", c.args, code, stdout, stderr, c.says)
		}
	}
}

// small is a command line that takes a moment.
var small = []string{"--members", "40", "--gossip", "0", "--half-life", "1m", "--duration", "5s", "--warm-up", "2s", "--lookups", "100", "--seed", "9"}

// TestJSON has the keys that scripts rely on, and says the same again for the
// same seed, but for what the machine tells of itself.
func TestJSON(t *testing.T) {
	tell := func() map[string]any {
		code, stdout, stderr := chordsim(append(slices.Clone(small), "--json")...)
		if code != 0 || stderr != "" {
			t.Fatalf("it ends with %d and says %q", code, stderr)
		}
		var r map[string]any
		d := json.NewDecoder(strings.NewReader(stdout))
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if d.More() {
			t.Error("there is more than one object")
		}
		for _, key := range strings.Fields("members seed hops_mean hops_p99 first_try_ratio timeouts_per_lookup maintenance_bytes_per_sec arc_max_over_mean rss_bytes wall_sec") {
			if _, ok := r[key].(float64); !ok {
				t.Errorf("%s is missing", key)
			}
		}
		delete(r, "rss_bytes")
		delete(r, "wall_sec")
		return r
	}
	first, again := tell(), tell()
	a, _ := json.Marshal(first)
	b, _ := json.Marshal(again)
	if !bytes.Equal(a, b) {
		t.Errorf("one seed gives\n%s\nand\n%s", a, b)
	}
}

func TestTextForPeople(t *testing.T) {
	code, stdout, _ := chordsim(small...)
	if code != 0 || !strings.Contains(stdout, "first try") || !strings.Contains(stdout, "maintenance") {
		t.Errorf("it ends with %d and says\n%s", code, stdout)
	}
}

func TestPlot(t *testing.T) {
	dir := t.TempDir()
	_, result, _ := chordsim(append(slices.Clone(small), "--json")...)
	file := filepath.Join(dir, "small.json")
	if err := os.WriteFile(file, []byte(result), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := chordsim("plot", dir, file)
	if code != 0 {
		t.Fatalf("plot ends with %d: %s", code, stderr)
	}
	paths := strings.Fields(stdout)
	if len(paths) != 3 {
		t.Fatalf("plot has written %q, want three drawings", paths)
	}
	for _, path := range paths {
		svg, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d := xml.NewDecoder(bytes.NewReader(svg))
		for err == nil {
			_, err = d.Token()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", path, err)
		}
		if bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("Inf")) || bytes.Contains(svg, []byte("%!")) {
			t.Errorf("%s has numbers that are none", path)
		}
	}
}

func TestPlotSaysWhichFileIsWrong(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"empty.json": "{}", "broken.json": "{", "recovery.json": `{"members":10,"killed":5}`} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := chordsim("plot", dir, path); code != 1 || !strings.Contains(stderr, path) {
			t.Errorf("%s: plot ends with %d and says %q", name, code, stderr)
		}
	}
	if code, _, stderr := chordsim("plot", dir, filepath.Join(dir, "absent.json")); code != 1 || !strings.Contains(stderr, "absent.json") {
		t.Errorf("plot of a file that is not there ends with %d and says %q", code, stderr)
	}
}
