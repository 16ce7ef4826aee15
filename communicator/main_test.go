package communicator

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"chordtorrent/chord"
	"chordtorrent/communicator/ringtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bg = context.Background()

// inRing gives a Communicator on top of a ring in memory, by whose clock it
// goes.
func inRing(t testing.TB) (*Communicator, *ringtest.Ring) {
	t.Helper()
	ring := ringtest.New(1)
	return client(t, ring), ring
}

func client(t testing.TB, ring *ringtest.Ring) *Communicator {
	t.Helper()
	c := New(ring, netip.MustParseAddr("127.0.0.1"))
	c.now = ring.Now
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// testLog shows what happened when a test fails.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// content is a version with its metainfo, as a client has it.
type content struct {
	v        Version
	metainfo []byte
}

func contentFor(t testing.TB, name string, seed byte, size int) content {
	t.Helper()
	b, ih := metainfoFor(t, seed, size)
	return content{Version{Name: name, InfoHash: ih, Size: int64(size) * 100, Pieces: size / 20, Publisher: 77}, b}
}

func publish(t testing.TB, c *Communicator, what content) {
	t.Helper()
	copies, err := c.Publish(bg, what.v, what.metainfo)
	if err != nil {
		t.Fatal(err)
	}
	if copies != 3 {
		t.Fatalf("published with %d copies", copies)
	}
}

// onPuts calls f for each Put, with its number; other operations pass.
func onPuts(ring *ringtest.Ring, f func(n int, op chord.Put) *ringtest.Fault) {
	count := make(chan int, 1)
	count <- 0
	ring.Intercept(func(_ int, op any) *ringtest.Fault {
		put, ok := op.(chord.Put)
		if !ok {
			return nil
		}
		n := <-count
		count <- n + 1
		return f(n, put)
	})
}

// status is an operation that any ring member can answer at once.
func status(ctx context.Context, c *Communicator) (chord.Status, error) {
	rep, err := c.Call(ctx, chord.GetStatus{})
	st, _ := rep.(chord.Status)
	return st, err
}
