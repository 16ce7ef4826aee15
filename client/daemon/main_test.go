package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/communicator"
	"chordtorrent/communicator/ringtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = netip.MustParseAddr("127.0.0.1")

// house is a ring in memory with Storages around it, whose daemons meet on loopback.
type house struct {
	t    *testing.T
	ring *ringtest.Ring
	dir  string
}

func newHouse(t *testing.T) *house { return &house{t: t, ring: ringtest.New(1), dir: t.TempDir()} }

// daemon starts the daemon of a Storage; running it twice in turn is a restart.
func (h *house) daemon(storage string) *Daemon {
	h.t.Helper()
	s, err := client.OpenStorage(filepath.Join(h.dir, storage))
	if err != nil {
		h.t.Fatal(err)
	}
	ring := communicator.New(h.ring, loopback)
	log := slog.New(slog.NewTextHandler(testWriter{h.t}, nil))
	c := client.New(client.Config{Storage: s, Ring: ring, Log: log})
	d, err := Start(Config{Storage: s, Ring: ring, Client: c, Log: log})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { h.close(d) })
	return d
}

func (h *house) close(d *Daemon) {
	h.t.Helper()
	select {
	case <-d.over:
		return
	default:
	}
	if err := errors.Join(d.Close(), d.c.Close(), d.ring.Close()); err != nil {
		h.t.Error(err)
	}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", bytes.TrimSpace(b))
	return len(b), nil
}

// file writes a file of random content.
func (h *house) file(name string, n int) string {
	h.t.Helper()
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(len(name))})
	b := make([]byte, n)
	r.Read(b)
	path := filepath.Join(h.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o644)); err != nil {
		h.t.Fatal(err)
	}
	return path
}

func (h *house) same(a, b string) {
	h.t.Helper()
	x, err := os.ReadFile(a)
	y, err2 := os.ReadFile(b)
	if err := errors.Join(err, err2); err != nil {
		h.t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		h.t.Errorf("%s and %s differ", a, b)
	}
}

// until waits for a job to be as a test wants it.
func (h *house) until(d *Daemon, id, what string, ok func(j api.Job) bool) api.Job {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 60*time.Second)
	defer cancel()
	sub, err := d.Subscribe(ctx, false)
	if err != nil {
		h.t.Fatal(err)
	}
	defer sub.Close()
	for {
		j, err := d.Job(ctx, id)
		if err == nil && ok(j) {
			return j
		}
		if _, _, nextErr := sub.Next(ctx); nextErr != nil {
			h.t.Fatalf("waited in vain for %s: %+v, %v", what, j, err)
		}
	}
}

func is(s api.State) func(api.Job) bool { return func(j api.Job) bool { return j.State == s } }

func isServed(j api.Job) bool { return j.State == api.Done && j.Serving }

func (h *house) publish(d *Daemon, path string) api.Job {
	h.t.Helper()
	j, err := d.AddPublication(h.t.Context(), api.AddPublication{Path: path})
	if err != nil {
		h.t.Fatal(err)
	}
	return h.until(d, j.ID, "the publication", isServed)
}

func (h *house) add(d *Daemon, req api.AddDownload) api.Job {
	h.t.Helper()
	j, err := d.AddDownload(h.t.Context(), req)
	if err != nil {
		h.t.Fatal(err)
	}
	return j
}

func (h *house) must(j api.Job, err error) api.Job {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
	return j
}

func (h *house) mentions(err error, words ...string) {
	h.t.Helper()
	if err == nil {
		h.t.Fatalf("no error, want one about %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			h.t.Errorf("the error %q does not mention %q", err, w)
		}
	}
}
