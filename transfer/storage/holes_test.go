package storage

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestHolesAreKnownByTheirHashes(t *testing.T) {
	const piece = 16 << 10
	content := make([]byte, 10*piece+100) // the last piece is short, and zeros too
	for _, i := range []int{1, 4, 5} {
		content[i*piece+7] = 1
	}
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	l, _, _, err := Build(t.Context(), path, "x", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if l.PieceLength != piece {
		t.Fatalf("pieces of %d bytes", l.PieceLength)
	}
	holes := Holes(l)
	for i := range l.NumPieces() {
		if want := i != 1 && i != 4 && i != 5; holes.Get(i) != want {
			t.Errorf("piece %d is a hole: %v", i, holes.Get(i))
		}
	}
}

// Pieces of zeros that lie in several files are holes in each of them, also where there
// was something else before.
func TestHolesAreMadeInEveryFile(t *testing.T) {
	const piece = 16 << 10
	source := filepath.Join(t.TempDir(), "x")
	sizes := map[string]int{"a": 3*piece + 100, "b/c": 2 * piece, "b/d": 0, "b/e": piece, "f": 5}
	for name, size := range sizes {
		content := make([]byte, size)
		if name == "f" {
			content[0] = 1
		}
		path := filepath.Join(source, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	l, _, _, err := Build(t.Context(), source, "x", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	holes := Holes(l)
	if n := holes.Count(); l.PieceLength != piece || n != l.NumPieces()-1 {
		t.Fatalf("%d holes of %d pieces of %d bytes", n, l.NumPieces(), l.PieceLength)
	}
	part := filepath.Join(t.TempDir(), "x.part")
	if err := errors.Join(os.MkdirAll(part, 0o755), os.WriteFile(filepath.Join(part, "a"), bytes.Repeat([]byte{7}, 2*piece), 0o644)); err != nil {
		t.Fatal(err)
	}
	c, err := OpenTarget(l, part)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.MakeHoles(t.Context(), holes, nil); err != nil {
		t.Fatal(err)
	}
	for i := range holes.Each() {
		got := make([]byte, l.PieceSize(i))
		if _, err := c.ReadAt(got, int64(i)*piece); err != nil || !bytes.Equal(got, make([]byte, len(got))) {
			t.Errorf("piece %d: %v", i, err)
		}
		spans, release, err := c.Spans(int64(i)*piece, l.PieceSize(i)) // peers may ask for it now
		if err != nil {
			t.Fatalf("piece %d: %v", i, err)
		}
		for _, sp := range spans {
			if !isHole(sp.File, sp.Off, sp.Len) {
				t.Errorf("piece %d takes room on the disk in %s", i, sp.File.Name())
			}
		}
		release()
	}
	last := make([]byte, l.PieceSize(l.NumPieces()-1))
	last[len(last)-5] = 1
	if err := c.WritePiece(l.NumPieces()-1, last); err != nil {
		t.Fatal(err)
	}
	if err := c.Finish(filepath.Join(t.TempDir(), "x")); err != nil {
		t.Fatal(err)
	}
	if have, err := Verify(t.Context(), c, 1, nil); err != nil || !have.All() {
		t.Errorf("%d of %d pieces are right: %v", have.Count(), have.Len(), err)
	}
}
