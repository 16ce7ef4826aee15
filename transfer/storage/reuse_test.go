package storage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"chordtorrent/transfer/wire"
)

// A new version takes the pieces that it shares with the old one, wherever they stand,
// but not those that have changed since on the disk.
func TestReuse(t *testing.T) {
	const piece = 16 << 10
	parts := make([]string, 8)
	for i := range parts {
		parts[i] = noise(piece, uint64(i)+1)
	}
	dir := tree(t, map[string]string{
		"old": parts[0] + parts[1] + parts[2] + parts[3] + parts[4],
		"new": parts[5] + parts[0] + parts[1] + parts[6] + parts[3] + parts[4][:100],
	})
	oldPath, newPath := filepath.Join(dir, "old"), filepath.Join(dir, "new")
	oldLayout, newLayout := build(t, oldPath), build(t, newPath)
	if oldLayout.PieceLength != piece || newLayout.PieceLength != piece {
		t.Fatalf("pieces of %d and %d bytes", oldLayout.PieceLength, newLayout.PieceLength)
	}
	f, err := os.OpenFile(oldPath, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt([]byte("changed"), 3*piece)
	must(t, err)
	must(t, f.Close())
	old, err := OpenSource(oldLayout, oldPath)
	must(t, err)
	defer old.Close()
	target, err := OpenTarget(newLayout, filepath.Join(dir, "target.part"))
	must(t, err)
	defer target.Close()
	have := wire.NewBits(newLayout.NumPieces())
	var told []int
	must(t, Reuse(t.Context(), target, have, old, 2, func(i int) { told = append(told, i) }))
	sort.Ints(told)
	if have.Count() != 2 || !have.Get(1) || !have.Get(2) || len(told) != 2 || told[0] != 1 || told[1] != 2 {
		t.Errorf("taken over: %v, told %v", have.Bytes(), told)
	}
	right, err := Verify(t.Context(), target, 1, nil)
	must(t, err)
	if !right.Equal(have) {
		t.Errorf("have %v, on disk %v", have.Bytes(), right.Bytes())
	}

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Reuse(gone, target, wire.NewBits(newLayout.NumPieces()), old, 0, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	must(t, os.Remove(oldPath)) // under its feet
	must(t, Reuse(t.Context(), target, have, old, 0, nil))
}
