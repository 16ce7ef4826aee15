package storage

import (
	"bytes"
	"crypto/sha1"
	"os"
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
