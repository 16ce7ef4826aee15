package client

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

func TestSpaceIsLookedForBeforeADownloadBegins(t *testing.T) {
	const piece, pieces = 16 << 20, 1 << 20 // 16 TiB
	zeros := sha1.Sum(make([]byte, piece))
	layout := &storage.Layout{Name: "x", PieceLength: piece, Total: piece * pieces, Single: true, Pieces: bytes.Repeat(zeros[:], pieces)}
	part := filepath.Join(t.TempDir(), "x.part")
	if err := os.WriteFile(part, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	d := &Download{Name: "x", Path: filepath.Join(filepath.Dir(part), "x"), layout: layout}
	have := wire.NewBits(pieces)
	// Zeros are holes: they take nothing.
	if err := d.checkSpace(have); err != nil {
		t.Errorf("16 TiB of zeros: %v", err)
	}
	for i := range layout.Pieces {
		layout.Pieces[i] = 1
	}
	err := d.checkSpace(have)
	if _, isHint := errors.AsType[*Hint](err); !errors.Is(err, ErrNoSpace) || !isHint {
		t.Errorf("16 TiB: %v", err)
	}
	// Only what is missing counts.
	have.SetAll()
	if err := d.checkSpace(have); err != nil {
		t.Errorf("16 TiB that are there: %v", err)
	}
	got, missing := bytesOnDisk(layout, have)
	if got != layout.Total || missing != 0 {
		t.Errorf("%d bytes are there, %d are missing", got, missing)
	}
}

// What is elsewhere in Storage takes as much room as what is fetched.
func TestSpaceIsLookedForBeforeAnythingIsTakenOver(t *testing.T) {
	const piece, pieces = 16 << 20, 1 << 19 // 8 TiB
	first := bytes.Repeat([]byte("x"), piece)
	sum := sha1.Sum(first)
	layout := &storage.Layout{Name: "x", PieceLength: piece, Total: piece * pieces, Single: true,
		Files: []storage.File{{Length: piece * pieces}}, Pieces: append(sum[:], bytes.Repeat([]byte{1}, 20*(pieces-1))...)}
	dir := t.TempDir()
	copied := filepath.Join(dir, "copy")
	if err := errors.Join(os.WriteFile(copied, first, 0o644), os.Truncate(copied, layout.Total)); err != nil {
		t.Fatal(err)
	}
	s := newStorage(t)
	if err := s.saveRecord(Record{ID: "1", Kind: Downloaded, Name: "x", State: Done, Path: copied, InfoHash: "a"}); err != nil {
		t.Fatal(err)
	}
	d := &Download{Name: "x", Path: filepath.Join(dir, "x"), layout: layout, c: &Client{storage: s}, rec: Record{InfoHash: "a"}}
	var err error
	if d.content, err = storage.OpenTarget(layout, partPath(d.Path)); err != nil {
		t.Fatal(err)
	}
	defer d.content.Close()
	if err := d.fill(t.Context(), DownloadRequest{}, wire.NewBits(pieces)); !errors.Is(err, ErrNoSpace) {
		t.Errorf("8 TiB: %v", err)
	}
	if n := allocated(partPath(d.Path)); n != 0 {
		t.Errorf("%d bytes were written before", n)
	}
}
