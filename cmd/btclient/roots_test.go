package main

import (
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// testRoots in the environment has the test binary say whether it knows any certificates.
const testRoots = "BTCLIENT_TEST_ROOTS"

func withRoots() (code int) {
	fallBack()
	pool, err := x509.SystemCertPool()
	if err != nil || pool.Equal(x509.NewCertPool()) {
		return 1
	}
	return 0
}

// They are read once in a process, before a test could hide those of this machine.
func TestCertificatesAreThereWhereTheMachineHasNone(t *testing.T) {
	dir := t.TempDir()
	none, garbage := filepath.Join(dir, "none"), filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{none, garbage, dir} {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), testRoots+"=1", "SSL_CERT_FILE="+file, "SSL_CERT_DIR="+none)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", file, err, out)
		}
	}
}

func TestCertificatesOfTheMachineAreFound(t *testing.T) {
	file := filepath.Join(t.TempDir(), "own.crt")
	for text, want := range map[string]bool{
		"":               false,
		"no certificate": false,
		"# of this machine\n-----BEGIN CERTIFICATE-----\nMII\n": true,
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := hasCertificates(file); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
