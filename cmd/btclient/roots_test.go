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
	none := filepath.Join(t.TempDir(), "none")
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), testRoots+"=1", "SSL_CERT_FILE="+none, "SSL_CERT_DIR="+none)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
