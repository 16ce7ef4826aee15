package storage

import (
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
