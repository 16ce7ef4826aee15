package store

import (
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"chordtorrent/chord"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a hung test.
const patience = 30 * time.Second

func openDB(t *testing.T, path string, opts options) *DB {
	t.Helper()
	dir, err := LockDir(path)
	if err != nil {
		t.Fatal(err)
	}
	db, err := dir.open(opts)
	if err != nil {
		_ = dir.Close()
		t.Fatal(err)
	}
	db.dir = dir
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// apply applies ops and waits until each is confirmed; it gives the first
// error.
func apply(t *testing.T, db *DB, ops ...chord.StoreOp) error {
	t.Helper()
	var mu sync.Mutex
	var first error
	var all sync.WaitGroup
	all.Add(len(ops))
	for i := range ops {
		ops[i].Token = uint64(i + 1)
	}
	db.Apply(ops, func(_ uint64, err error) {
		mu.Lock()
		if err != nil && first == nil {
			first = err
		}
		mu.Unlock()
		all.Done()
	})
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("an op was never confirmed")
	}
	return first
}

func mustApply(t *testing.T, db *DB, ops ...chord.StoreOp) {
	t.Helper()
	if err := apply(t, db, ops...); err != nil {
		t.Fatal(err)
	}
}

func merge(key chord.Key, fields ...chord.Field) chord.StoreOp {
	return chord.StoreOp{Kind: chord.StoreMerge, Key: key, Merge: fields}
}

func field(name, value string, stamp chord.Stamp) chord.Field {
	return chord.Field{Name: name, Entry: chord.Entry{Value: []byte(value), Stamp: stamp}}
}

// read gives the live content of a key.
func read(t *testing.T, db *DB, key chord.Key) map[string]string {
	t.Helper()
	got, err := readAll(db, key)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func readAll(db *DB, key chord.Key) (map[string]string, error) {
	got := map[string]string{}
	err := db.Fields(key, "", "", func(f chord.Field) bool {
		if !f.Deleted {
			got[f.Name] = string(f.Value)
		}
		return true
	})
	return got, err
}

func keysOf(t *testing.T, db *DB, class chord.Class, from, to chord.ID) (keys []chord.Key) {
	t.Helper()
	if err := db.Keys(class, from, to, func(k chord.Key) bool { keys = append(keys, k); return true }); err != nil {
		t.Fatal(err)
	}
	return keys
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// logLines collects what is logged at Warn and above.
type logLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *logLines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(p))
	return len(p), nil
}

func (l *logLines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}
