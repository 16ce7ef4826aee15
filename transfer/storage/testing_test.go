package storage

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tree writes files below a new directory; a name that ends in '/' is a directory.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		p := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(p, 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(p), 0o755))
		must(t, os.WriteFile(p, []byte(data), 0o644))
	}
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noise is n bytes that look random and are the same for the same seed.
func noise(n int, seed uint64) string {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range b {
		b[i] = byte(r.Uint32()) | 1 // never zero
	}
	return string(b)
}

// build is Build with what most tests want.
func build(t testing.TB, path string, opts ...Option) *Layout {
	t.Helper()
	l, torrent, hash, err := Build(context.Background(), path, "", 2, nil, opts...)
	must(t, err)
	mi, parsed, err := ParseTorrent(torrent)
	must(t, err)
	if mi.HashInfoBytes() != hash || parsed.Total != l.Total || len(parsed.Files) != len(l.Files) {
		t.Fatalf("the torrent of %s says %+v, not %+v", path, parsed, l)
	}
	return parsed
}

func openSource(t testing.TB, l *Layout, path string) *Content {
	t.Helper()
	c, err := OpenSource(l, path)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func openTarget(t testing.TB, l *Layout, part string) *Content {
	t.Helper()
	c, err := OpenTarget(l, part)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// copyAll writes every piece of from to to, in a random order.
func copyAll(t testing.TB, from, to *Content) {
	t.Helper()
	l := from.Layout()
	for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(l.NumPieces()) {
		buf := make([]byte, l.PieceSize(i))
		_, err := from.ReadAt(buf, int64(i)*l.PieceLength)
		must(t, err)
		must(t, to.WritePiece(i, buf))
	}
}

// same compares two directories, or files, with their modes.
func same(t testing.TB, a, b string) {
	t.Helper()
	look := func(dir string) map[string]string {
		out := make(map[string]string)
		must(t, filepath.Walk(dir, func(p string, fi os.FileInfo, err error) error {
			if err != nil || fi.IsDir() {
				return err
			}
			data, err := os.ReadFile(p)
			rel, _ := filepath.Rel(dir, p)
			out[rel] = fi.Mode().String() + string(data)
			return err
		}))
		return out
	}
	x, y := look(a), look(b)
	if len(x) != len(y) {
		t.Fatalf("%s has %d files, %s %d", a, len(x), b, len(y))
	}
	for name, data := range x {
		if y[name] != data {
			t.Fatalf("%s: %s differs (%d and %d bytes with mode)", b, name, len(data), len(y[name]))
		}
	}
}

// diskUse is what a file or directory takes on disk, in bytes.
func diskUse(t testing.TB, path string) (sum int64) {
	t.Helper()
	must(t, filepath.Walk(path, func(p string, fi os.FileInfo, err error) error {
		if err == nil {
			sum += blocks(fi) * 512
		}
		return err
	}))
	return sum
}
