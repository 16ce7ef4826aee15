package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
)

func TestHealthOfANode(t *testing.T) {
	p := startProcess(t, testCluster())
	at := p.ready["http"]
	code, stdout, stderr := output(t, "health", "--http", at)
	if want := "healthy http=" + at + " state=ready\n"; code != 0 || stdout != want || stderr != "" {
		t.Errorf("exit %d, %q, want %q; stderr %q", code, stdout, want, stderr)
	}
	p.stop(syscall.SIGTERM)
	code, stdout, stderr = output(t, "health", "--http", at)
	if code != 1 || stdout != "" || !strings.Contains(stderr, "nothing listens at "+at) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("of one that has ended: exit %d, %q, %q", code, stdout, stderr)
	}
}

func TestHealthTellsWhatIsWrong(t *testing.T) {
	status, said := 0, ""
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(said)) // who asks tells
	}))
	defer node.Close()
	at := node.Listener.Addr().String()
	for _, c := range []struct {
		status     int
		said, want string
	}{
		{http.StatusServiceUnavailable, "reads only: disk full\n", `says "reads only: disk full"`},
		{http.StatusNotFound, "nothing\n", "is no chordnode: 404"},
		{http.StatusOK, "ready\n", ""},
	} {
		status, said = c.status, c.said
		_, err := askHealth(t.Context(), at)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d %q: %v, want %q", c.status, c.said, err, c.want)
		}
	}
}
