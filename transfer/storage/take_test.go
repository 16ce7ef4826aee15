package storage

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
)

// take is Take into a new file.
func take(t *testing.T, src io.Reader, hint int64, progress func(int64)) (string, *Layout, []byte, [20]byte, error) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "taken"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, torrent, hash, err := Take(t.Context(), src, "/dev/thing", f, "image", hint, 3, progress)
	return f.Name(), l, torrent, hash, err
}

func TestTakeIsWhatBuildIs(t *testing.T) {
	for name, size := range map[string]int{"nothing": 0, "less than a piece": 1000, "whole pieces": 64 << 10, "and a rest": 1<<20 + 5000} {
		t.Run(name, func(t *testing.T) {
			content := []byte(noise(size, 1))
			clear(content[size/3 : size/2])
			var last int64
			// In pieces of any size, as a pipe gives them.
			path, l, torrent, hash, err := take(t, iotest.HalfReader(bytes.NewReader(content)), int64(size), func(done int64) {
				if done < last {
					t.Errorf("progress goes back from %d to %d", last, done)
				}
				last = done
			})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, content) {
				t.Fatalf("the copy differs (%v)", err)
			}
			if last != int64(size) {
				t.Errorf("progress ended at %d of %d", last, size)
			}
			bl, btorrent, bhash, err := Build(context.Background(), path, "image", 1, nil)
			if err != nil || !bytes.Equal(torrent, btorrent) || hash != bhash || l.Total != bl.Total || l.InfoSize != bl.InfoSize {
				t.Errorf("the .torrent is another one than Build's (%v)", err)
			}
		})
	}
}

func TestTakeMakesHolesOfZeros(t *testing.T) {
	const size = 64 << 20
	zeros := io.LimitReader(zeroReader{}, size)
	path, l, _, _, err := take(t, io.MultiReader(strings.NewReader("begin"), zeros), -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil || st.Size != size+5 {
		t.Fatalf("the copy has %d bytes (%v)", st.Size, err)
	}
	if st.Blocks*512 > size/8 {
		t.Errorf("%d bytes of the disk are taken", st.Blocks*512)
	}
	if l.PieceLength != TakePieceLength {
		t.Errorf("pieces of %d bytes for what nobody knows the length of", l.PieceLength)
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestTakeNamesWhereReadingFails(t *testing.T) {
	src := io.MultiReader(bytes.NewReader(make([]byte, 40000)), iotest.ErrReader(syscall.EIO))
	_, _, _, _, err := take(t, src, 0, nil)
	if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "read /dev/thing at byte 40000: input/output error") {
		t.Errorf("got %v", err)
	}
}

func TestTakeTellsAnEndFromWhatBreaksOff(t *testing.T) {
	src := io.MultiReader(strings.NewReader("begin"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, _, _, _, err := take(t, src, -1, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v for what has broken off", err)
	}
}

func TestTakeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f, err := os.Create(filepath.Join(t.TempDir(), "taken"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, _, _, err = Take(ctx, zeroReader{}, "zeros", f, "image", -1, 2, func(int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Whoever cannot write does not wait for more of what comes slowly.
func TestTakeEndsWhenWritingFails(t *testing.T) {
	f, err := os.Open(t.TempDir()) // nobody can write to it
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	src := io.MultiReader(strings.NewReader(noise(TakePieceLength, 2)), idle{})
	_, _, _, err = Take(t.Context(), src, "a pipe", f, "image", -1, 2, nil)
	if !errors.Is(err, syscall.EBADF) {
		t.Errorf("got %v", err)
	}
}

// idle has nothing yet, for ever.
type idle struct{}

func (idle) Read([]byte) (int, error) {
	runtime.Gosched()
	return 0, nil
}
