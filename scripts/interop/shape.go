package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// shape is what content looks like: its files, with their sizes. A single one with the
// path "" is a file by itself.
type shape struct {
	name        string
	tells       string
	files       []file
	pieceLength int64 // 0: as btclient publish chooses it
}

type file struct {
	path string
	size int64
}

// shapes are those of the matrix. Nothing in them ends where a piece ends, except where
// that is the point.
var shapes = []shape{
	{name: "file", tells: "a file of 24 MiB and a bit", files: []file{{"", 24<<20 + 4321}}},
	{name: "directory", tells: "a directory of 12 MiB: six files, one of them empty, names with spaces and umlauts, three levels", files: []file{
		{"a.bin", 7<<20 + 11}, {"empty", 0}, {"one byte", 1}, {"deep/er/still deeper.bin", 5<<20 - 77}, {"deep/Übergröße — naïve.txt", 33333}, {"z", 16 << 10},
	}},
	{name: "1 piece", tells: "a file of 10,000 bytes in one piece", files: []file{{"", 10_000}}},
	{name: "16384 pieces", tells: "a file of 256 MiB in 16,384 pieces of 16 KiB", files: []file{{"", 256 << 20}}, pieceLength: 16 << 10},
}

func (s shape) size() (sum int64) {
	for _, f := range s.files {
		sum += f.size
	}
	return sum
}

// make writes the content to path: noise, which the seed decides.
func (s shape) make(path string, seed byte) error {
	noise := mathrand.NewChaCha8([32]byte{seed})
	for _, f := range s.files {
		to := filepath.Join(path, f.path)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		out, err := os.Create(to)
		if err != nil {
			return err
		}
		_, err = io.CopyN(out, noise, f.size)
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
	return nil
}

type sums map[string][sha256.Size]byte

// sumsOf hashes all files of a shape at path.
func (s shape) sumsOf(path string) (sums, error) {
	all := make(sums)
	for _, f := range s.files {
		in, err := os.Open(filepath.Join(path, f.path))
		if err != nil {
			return nil, err
		}
		h := sha256.New()
		_, err = io.Copy(h, in)
		if err := errors.Join(err, in.Close()); err != nil {
			return nil, err
		}
		all[f.path] = [sha256.Size]byte(h.Sum(nil))
	}
	return all, nil
}

// errNoEmptyFile is a fetched directory in which nothing is missing but files without a
// byte.
var errNoEmptyFile = errors.New("all is there but the empty file, which it does not make")

// differ says in what the files of a shape at path are not as they should be.
func (s shape) differ(path string, want sums) error {
	got, err := s.sumsOf(path)
	if errors.Is(err, os.ErrNotExist) {
		full := shape{files: slices.DeleteFunc(slices.Clone(s.files), func(f file) bool { return f.size == 0 })}
		if len(full.files) < len(s.files) && full.differ(path, full.of(want)) == nil {
			return errNoEmptyFile
		}
	}
	if err != nil {
		return err
	}
	for name, sum := range want {
		if got[name] != sum {
			return fmt.Errorf("sha256 of %s is %x, of what was seeded %x", filepath.Join(filepath.Base(path), name), got[name], sum)
		}
	}
	return nil
}

// of is what sums say of the files of a shape.
func (s shape) of(all sums) sums {
	part := make(sums)
	for _, f := range s.files {
		part[f.path] = all[f.path]
	}
	return part
}

// copyTree copies a file, or a directory with all below it.
func copyTree(ctx context.Context, from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		in, err := os.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		out, err := os.Create(target)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		return errors.Join(err, out.Close())
	})
}
