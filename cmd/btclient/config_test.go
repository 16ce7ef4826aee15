package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chordtorrent/client"
	"chordtorrent/client/api"
)

// configured runs the parsing of a command line, and gives the flags as they are then.
func configured(t *testing.T, file string, env map[string]string, args ...string) (*app, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "btclient.conf")
	if err := os.WriteFile(path, []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, v := range env {
		t.Setenv(name, v)
	}
	a := newApp(&bytes.Buffer{}, &bytes.Buffer{})
	root := a.rootCommand()
	cmd, rest, err := root.Find(append(args, "--config", path))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Fatal(err)
	}
	return a, a.configure(cmd)
}

func TestFlagsComeBeforeTheEnvironmentAndThatBeforeTheFile(t *testing.T) {
	const file = "# for all\nring = file:1\ncluster=file\n\n[ls]\nring = ls:1\n[serve]\nwatch = /a\nwatch = /b\n"
	for _, c := range []struct {
		args          []string
		env           map[string]string
		ring, cluster string
	}{
		{[]string{"show"}, nil, "file:1", "file"},
		{[]string{"ls"}, nil, "ls:1", "file"},
		{[]string{"ls"}, map[string]string{"BTCLIENT_RING": "env:1"}, "env:1", "file"},
		{[]string{"ls", "--ring", "flag:1"}, map[string]string{"BTCLIENT_RING": "env:1", "BTCLIENT_CLUSTER": "env"}, "flag:1", "env"},
	} {
		a, err := configured(t, file, c.env, c.args...)
		if err != nil || a.flags.ring != c.ring || a.flags.cluster != c.cluster {
			t.Errorf("%v, %v: ring %q, cluster %q, %v", c.args, c.env, a.flags.ring, a.flags.cluster, err)
		}
	}
}

func TestMistakesInTheConfigurationAreNamed(t *testing.T) {
	for file, words := range map[string]string{
		"rign = x":               `btclient.conf:1: there is no flag "rign"`,
		"\n[serve]\nexec = x":    `btclient.conf:3: there is no flag "exec" for btclient serve`,
		"[nothing]\nring = x":    `btclient.conf:2`,
		"just words":             `btclient.conf:1: "just words" is not flag = value`,
		"multicast-ttl = far":    `btclient.conf:1: --multicast-ttl "far"`,
		strings.Repeat("x", 1e5): "token too long",
	} {
		_, err := configured(t, file, nil, "ls")
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%.40q: %v", file, err)
		}
	}
	// What only shows when the values are used, too.
	for line, words := range map[string]string{
		"log-level = debg":    `btclient.conf:2: --log-level debg: use debug`,
		"log-format = xml":    `btclient.conf:2: --log-format xml`,
		"multicast-ttl = 999": `btclient.conf:2: --multicast-ttl 999`,
		"cluster =":           `btclient.conf:2: --cluster is empty`,
	} {
		path := filepath.Join(t.TempDir(), "btclient.conf")
		if err := os.WriteFile(path, []byte("\n"+line+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		if code := run(context.Background(), []string{"ls", "--config", path}, &out, &errs); code != api.CodeUsage || !strings.Contains(errs.String(), words) {
			t.Errorf("%s: exit code %d: %s", line, code, errs.String())
		}
	}
	// One that was named has to be there; the usual one need not.
	var out, errs bytes.Buffer
	if code := run(context.Background(), []string{"ls", "--config", "/does/not/exist"}, &out, &errs); code != api.CodeUsage || !strings.Contains(errs.String(), "/does/not/exist") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte("# x\nring = a:1\n[serve]\nwatch = /x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "conf")
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		settings, err := readConfig(path)
		if err != nil && !errors.Is(err, client.ErrUsage) && !strings.Contains(err.Error(), "too long") {
			t.Fatal(err)
		}
		for _, s := range settings {
			if strings.ContainsAny(s.flag, "=\n") || s.where == "" {
				t.Fatalf("%+v", s)
			}
		}
	})
}

func TestMisspeltVariablesAreToldOf(t *testing.T) {
	t.Setenv("BTCLIENT_CLUSTRE", "x")
	t.Setenv("BTCLIENT_SEED_FOR", "1s") // of other commands
	t.Setenv(serveFlags, "--follow x")
	var out, errs bytes.Buffer
	run(context.Background(), []string{"downloads", "--storage", t.TempDir()}, &out, &errs)
	if said := errs.String(); !strings.Contains(said, "level=WARN") || !strings.Contains(said, "variable=BTCLIENT_CLUSTRE meant=BTCLIENT_CLUSTER") || strings.Count(said, "variable=") != 1 {
		t.Errorf("it says %s", said)
	}
}
