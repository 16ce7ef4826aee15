package transfer

import (
	"bytes"
	"context"
	"crypto/sha1"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

func TestMain(m *testing.M) {
	// The runtime's own poller opens two descriptors when it is needed first, and keeps
	// them: that must not be within a test that counts.
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	goleak.VerifyTestMain(m)
}

// hung is how long a test waits for something that should come at once before
// it calls it hung.
const hung = 60 * time.Second

var loopback = netip.MustParseAddr("127.0.0.1")

// fixture is a torrent with its bytes and its files on disk.
type fixture struct {
	layout *storage.Layout
	hash   [20]byte
	data   []byte
	path   string
}

// makeTorrent writes files of random bytes (sizes in bytes, one: single-file)
// and cuts them into pieces.
func makeTorrent(t testing.TB, seed uint64, pieceLen int64, sizes ...int) *fixture {
	t.Helper()
	f := &fixture{layout: &storage.Layout{Name: "some content", PieceLength: pieceLen, Single: len(sizes) == 1}}
	f.path = filepath.Join(t.TempDir(), "source")
	rnd := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1})
	for i, size := range sizes {
		part := make([]byte, size)
		rnd.Read(part)
		name := f.layout.Name
		path := f.path
		if !f.layout.Single {
			name = fmt.Sprintf("deep/%d/file %d", i%3, i)
			path = filepath.Join(f.path, filepath.FromSlash(name))
		}
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, part, 0o644))
		f.layout.Files = append(f.layout.Files, storage.File{Path: name, Length: int64(size), Offset: f.layout.Total})
		f.layout.Total += int64(size)
		f.data = append(f.data, part...)
	}
	f.layout.Pieces = hashesOf(f.data, pieceLen)
	f.hash = sha1.Sum(append([]byte(fmt.Sprint(seed, pieceLen, sizes)), f.layout.Pieces...))
	return f
}

func hashesOf(data []byte, pieceLen int64) (out []byte) {
	for at := 0; at < len(data); at += int(pieceLen) {
		sum := sha1.Sum(data[at:min(at+int(pieceLen), len(data))])
		out = append(out, sum[:]...)
	}
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// all is the Have of a seed.
func (f *fixture) all() *wire.Bits {
	b := wire.NewBits(f.layout.NumPieces())
	b.SetAll()
	return b
}

func (f *fixture) source(t testing.TB) *storage.Content {
	t.Helper()
	c, err := storage.OpenSource(f.layout, f.path)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func (f *fixture) target(t testing.TB) *storage.Content {
	t.Helper()
	c, err := storage.OpenTarget(f.layout, filepath.Join(t.TempDir(), "target.part"))
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// seedSpec and leechSpec are the two usual ways to be added.
func (f *fixture) seedSpec(t testing.TB) Spec {
	return Spec{InfoHash: f.hash, Layout: f.layout, Content: f.source(t), Have: f.all()}
}

func (f *fixture) leechSpec(t testing.TB) Spec {
	return Spec{InfoHash: f.hash, Layout: f.layout, Content: f.target(t)}
}

// same compares what a torrent wrote with what it should be.
func (f *fixture) same(t testing.TB, c *storage.Content) {
	t.Helper()
	got := make([]byte, len(f.data))
	if _, err := c.ReadAt(got, 0); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	if !bytes.Equal(got, f.data) {
		t.Fatal("the bytes are not those of the source")
	}
}

// engine is an Engine of a test, on a clock that can be moved.
type engine struct {
	*Engine
	clock *clock
}

type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// advance moves the engine's time and makes every loop look at it.
func (e *engine) advance(d time.Duration) {
	e.clock.mu.Lock()
	e.clock.ahead += d
	e.clock.mu.Unlock()
	for _, l := range e.loops {
		done := make(chan struct{})
		if l.post(barrier(done)) {
			<-done
		}
	}
}

// barrier is answered by the loop in the turn after the one that takes it in.
type barrier chan struct{}

func (b barrier) handle(l *loop) { close(b) }
func (b barrier) orphaned()      { close(b) }

func start(t testing.TB, change ...func(*Config)) *engine {
	t.Helper()
	checkDescriptors(t)
	k := &clock{}
	cfg := Config{Listen: loopback, Loops: 2, now: k.now}
	if os.Getenv("TRANSFER_TEST_LOG") != "" {
		cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	for _, f := range change {
		f(&cfg)
	}
	e, err := Start(cfg)
	must(t, err)
	t.Cleanup(func() { must(t, e.Close()) })
	return &engine{e, k}
}

// checkDescriptors, at its first call in a test, compares the number of open
// descriptors now with that after everything which is cleaned up later.
func checkDescriptors(t testing.TB) {
	t.Helper()
	if _, again := checked.LoadOrStore(t, true); again {
		return
	}
	before := descriptors()
	t.Cleanup(func() {
		checked.Delete(t)
		if after := descriptors(); after > before {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
	})
}

var checked sync.Map

func descriptors() int {
	names, _ := os.ReadDir("/proc/self/fd")
	return len(names)
}

func (e *engine) addr() netip.AddrPort { return netip.AddrPortFrom(loopback, e.Port()) }

func (e *engine) add(t testing.TB, s Spec) *Torrent {
	t.Helper()
	tor, err := e.Add(s)
	must(t, err)
	return tor
}

// done waits until a torrent has everything.
func done(t testing.TB, tor *Torrent) {
	t.Helper()
	sound(t, tor)
	defer sound(t, tor)
	select {
	case <-tor.Done():
	case <-tor.Failed():
		t.Fatalf("failed: %v", tor.Err())
	case <-time.After(hung):
		t.Fatalf("not done after %v: %+v drops %v", hung, tor.Status(), tor.e.Drops())
	}
}

// until waits for a condition that the loops bring about.
func until(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for late := time.Now().Add(hung); !cond(); runtime.Gosched() {
		if time.Now().After(late) {
			t.Fatalf("waited %v for %s", hung, what)
		}
	}
}

// stop ends a torrent and leaves its content free.
func stop(t testing.TB, tor *Torrent) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hung)
	defer cancel()
	must(t, tor.Stop(ctx))
}
