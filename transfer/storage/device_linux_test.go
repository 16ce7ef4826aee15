package storage

import (
	"bytes"
	"crypto/sha1"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A device without room where it is to be written to has become smaller, or is gone: nobody
// can make room there, so that is no disk that is full.
func TestADeviceWithoutRoomIsNotFull(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	data := bytes.Repeat([]byte{1}, 16<<10)
	sum := sha1.Sum(data)
	l := &Layout{Name: "image", Single: true, PieceLength: 16 << 10, Total: 16 << 10, Pieces: sum[:], Files: []File{{Path: "image", Length: 16 << 10}}}
	c, err := OpenDevice(l, f, "/dev/full")
	must(t, err)
	defer c.Close()
	if err := c.WritePiece(0, data); err == nil || IsFull(err) || !strings.Contains(err.Error(), "/dev/full") {
		t.Errorf("got %v", err)
	}
}

// Of a device whose writes nobody counts it is not known that nobody has written to it.
func TestWritesThatAreNotCounted(t *testing.T) {
	for name, test := range map[string]struct {
		iostats, stat string
		known         bool
	}{
		"counted":     {"1\n", "  9 0 9 9  7 0  56 4 0 4 8  0 0  0 0 0 0\n", true},
		"turned off":  {"0\n", "  9 0 9 9  7 0  56 4 0 4 8  0 0  0 0 0 0\n", false},
		"by no one":   {"1\n", "  0 0 0 0  0 0   0 0 0 0 0  0 0  0 0 0 0\n", false},
		"no switch":   {"", "  9 0 9 9  7 0  56 4 0 4 8  0 0  0 0 0 0\n", true},
		"old kernel":  {"1\n", "  9 0 9 9  7 0  56 4 0 4 8\n", false},
		"no such one": {"1\n", "", false},
	} {
		dir := t.TempDir()
		for file, text := range map[string]string{"queue/iostats": test.iostats, "stat": test.stat} {
			if text != "" {
				must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755))
				must(t, os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644))
			}
		}
		if counts, known := writeCounts(dir, dir); known != test.known || known && counts != " 7 56 0 0 7 56 0 0" {
			t.Errorf("%s: %q, %v", name, counts, known)
		}
	}
}
