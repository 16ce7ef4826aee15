// Package daemontest answers: how does a test get daemons that find each other?
//
// A [House] is a ring in memory with Storages around it, whose daemons move real bytes
// over loopback. It is for tests alone.
package daemontest

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

	"chordtorrent/client"
	"chordtorrent/client/api"
	"chordtorrent/client/daemon"
	"chordtorrent/communicator"
	"chordtorrent/communicator/ringtest"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// House is where the daemons of a test live.
type House struct {
	t    testing.TB
	Ring *ringtest.Ring
	Dir  string

	open map[*daemon.Daemon]Parts
}

// Parts are what a daemon is made with.
type Parts struct {
	Client *client.Client
	Ring   *communicator.Communicator
	Log    *slog.Logger
}

// New makes a House that is torn down with the test.
func New(t testing.TB) *House {
	return &House{t: t, Ring: ringtest.New(1), Dir: t.TempDir(), open: make(map[*daemon.Daemon]Parts)}
}

// Daemon starts the daemon of a Storage; after Close it is a restart.
func (h *House) Daemon(storage string) *daemon.Daemon {
	h.t.Helper()
	s, err := client.OpenStorage(filepath.Join(h.Dir, storage))
	if err != nil {
		h.t.Fatal(err)
	}
	p := Parts{Ring: communicator.New(h.Ring, loopback), Log: slog.New(slog.NewTextHandler(testWriter{h.t}, nil))}
	p.Client = client.New(client.Config{Storage: s, Ring: p.Ring, Log: p.Log})
	d, err := daemon.Start(daemon.Config{Storage: s, Ring: p.Ring, Client: p.Client, Log: p.Log})
	if err != nil {
		h.t.Fatal(err)
	}
	h.open[d] = p
	h.t.Cleanup(func() { h.Close(d) })
	return d
}

// Parts are what d was made with.
func (h *House) Parts(d *daemon.Daemon) Parts { return h.open[d] }

// Close ends a daemon in order, once.
func (h *House) Close(d *daemon.Daemon) {
	h.t.Helper()
	p, open := h.open[d]
	if !open {
		return
	}
	delete(h.open, d)
	if err := errors.Join(d.Close(), p.Client.Close(), p.Ring.Close()); err != nil {
		h.t.Error(err)
	}
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", bytes.TrimSpace(b))
	return len(b), nil
}

// File writes a file of random content below Dir.
func (h *House) File(name string, n int) string {
	h.t.Helper()
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(len(name))})
	b := make([]byte, n)
	_, _ = r.Read(b) // never fails
	path := filepath.Join(h.Dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o644)); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// Same checks that two files are equal.
func (h *House) Same(a, b string) {
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

// Until waits for a job to be as a test wants it.
func (h *House) Until(d *daemon.Daemon, id, what string, ok func(j api.Job) bool) api.Job {
	h.t.Helper()
	return h.wait(d, id, what, func(j api.Job, err error) bool { return err == nil && ok(j) })
}

// Gone waits until a daemon has no such job.
func (h *House) Gone(d *daemon.Daemon, id string) {
	h.t.Helper()
	h.wait(d, id, "its end", func(_ api.Job, err error) bool { return errors.Is(err, daemon.ErrNoJob) })
}

// wait looks at a job whenever something has changed.
func (h *House) wait(d *daemon.Daemon, id, what string, ok func(api.Job, error) bool) api.Job {
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
		if ok(j, err) {
			return j
		}
		if _, _, nextErr := sub.Next(ctx); nextErr != nil {
			h.t.Fatalf("waited in vain for %s: %+v, %v", what, j, err)
		}
	}
}

// Is is a condition for Until.
func Is(s api.State) func(api.Job) bool { return func(j api.Job) bool { return j.State == s } }

// IsServed is the one of a job that is done and serves.
func IsServed(j api.Job) bool { return j.State == api.Done && j.Serving }

// Publish publishes a file and waits until it is served.
func (h *House) Publish(d *daemon.Daemon, path string) api.Job {
	h.t.Helper()
	j, err := d.AddPublication(h.t.Context(), api.AddPublication{Path: path})
	if err != nil {
		h.t.Fatal(err)
	}
	return h.Until(d, j.ID, "the publication", IsServed)
}

// Add adds a download.
func (h *House) Add(d *daemon.Daemon, req api.AddDownload) api.Job {
	h.t.Helper()
	j, err := d.AddDownload(h.t.Context(), req)
	if err != nil {
		h.t.Fatal(err)
	}
	return j
}

// Must is for what has to work.
func (h *House) Must(j api.Job, err error) api.Job {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
	return j
}

// Mentions checks that an error is there, and what it speaks of.
func (h *House) Mentions(err error, words ...string) {
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
