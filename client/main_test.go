package client

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"chordtorrent/communicator"
	"chordtorrent/communicator/ringtest"
	"chordtorrent/transfer"
	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = netip.MustParseAddr("127.0.0.1")

// world is a ring in memory with clients on real loopback sockets around it.
type world struct {
	t    *testing.T
	ring *ringtest.Ring
	dir  string
}

func newWorld(t *testing.T) *world {
	return &world{t: t, ring: ringtest.New(1), dir: t.TempDir()}
}

func (w *world) communicator() *communicator.Communicator {
	c := communicator.New(w.ring, loopback)
	w.t.Cleanup(func() { c.Close() })
	return c
}

func (w *world) client(s *Storage) *Client {
	c := New(Config{Storage: s, Ring: w.communicator(), Log: slog.New(slog.NewTextHandler(testWriter{w.t}, nil))})
	w.t.Cleanup(func() { c.Close() })
	return c
}

// testWriter shows a client's log with the test it belongs to.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", bytes.TrimSpace(b))
	return len(b), nil
}

// bytes makes content that no two pieces of are alike.
func (w *world) content(n int) string {
	r := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	b := make([]byte, n)
	r.Read(b)
	return string(b)
}

func (w *world) file(name string, content string) string {
	return write(w.t, filepath.Join(w.dir, "src", name), content)
}

func (w *world) publish(c *Client, req PublishRequest) *Publication {
	w.t.Helper()
	p, err := c.Publish(w.t.Context(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.stop(p) })
	return p
}

func (w *world) start(c *Client, source, target string) *Download {
	w.t.Helper()
	d, err := c.Download(w.t.Context(), DownloadRequest{Source: source, Target: target})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.stop(d) })
	return d
}

func (w *world) download(c *Client, source, target string) *Download {
	w.t.Helper()
	d := w.start(c, source, target)
	w.complete(d)
	return d
}

// meet tells a download of a publisher before its next announce does.
func (w *world) meet(d *Download, p *Publication) {
	d.torrent.AddPeers([]netip.AddrPort{netip.AddrPortFrom(loopback, p.c.Port())})
}

func (w *world) ended(d *Download) {
	w.t.Helper()
	select {
	case <-d.Done():
	case <-time.After(60 * time.Second):
		w.t.Fatalf("%q does not end: %+v", d.Name, d.Status())
	}
}

func (w *world) complete(d *Download) {
	w.t.Helper()
	w.ended(d)
	if d.Err() != nil {
		w.t.Fatal(d.Err())
	}
}

func (w *world) stop(s interface{ Stop(context.Context) error }) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		w.t.Error(err)
	}
}

// until waits for a condition that no channel tells.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(60 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			w.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// tree reads all files under a path, by their names in it.
func tree(t *testing.T, path string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		rel, _ := filepath.Rel(path, p)
		files[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func (w *world) same(a, b string) {
	w.t.Helper()
	ta, tb := tree(w.t, a), tree(w.t, b)
	if len(ta) != len(tb) {
		w.t.Errorf("%s has %d files, %s has %d", a, len(ta), b, len(tb))
	}
	for name, content := range ta {
		if other, ok := tb[name]; !ok || other != content {
			w.t.Errorf("%q differs between %s and %s (there: %v)", name, a, b, ok)
		}
	}
}

// halfSeed publishes a file and serves only the first half of its pieces,
// until the returned function is called. It gives the number of bytes served.
func (w *world) halfSeed(path, name string) (int64, func()) {
	w.t.Helper()
	layout, metainfo, infoHash, err := storage.Build(w.t.Context(), path, name, 1, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	content, err := storage.OpenSource(layout, path)
	if err != nil {
		w.t.Fatal(err)
	}
	engine, err := transfer.Start(transfer.Config{Listen: loopback})
	if err != nil {
		w.t.Fatal(err)
	}
	have, size := wire.NewBits(layout.NumPieces()), int64(0)
	for i := range layout.NumPieces() / 2 {
		have.Set(i)
		size += layout.PieceSize(i)
	}
	ring := w.communicator()
	seeder := &Client{ring: ring, log: slog.New(slog.DiscardHandler)}
	seeder.id.Store(1)
	torrent, err := engine.Add(transfer.Spec{InfoHash: infoHash, Layout: layout, Content: content, Have: have,
		Announcer: seeder.newAnnouncer(name, infoHash, layout.Total)})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := ring.Publish(w.t.Context(), communicator.Version{Name: name, InfoHash: infoHash, Size: layout.Total, Pieces: layout.NumPieces()}, metainfo); err != nil {
		w.t.Fatal(err)
	}
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			w.stop(torrent)
			engine.Close()
			content.Close()
		}
	}
	w.t.Cleanup(stop)
	return size, stop
}

func show(v any) string { return fmt.Sprintf("%+v", v) }
