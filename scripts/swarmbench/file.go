package main

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// makeFile fills the file with what nothing can be saved of, or as many stretches of it
// as --sparse says.
func (g *game) makeFile() error {
	if g.o.file != "" {
		g.file = g.o.file
		return nil
	}
	g.file = filepath.Join(g.dir, "source", "payload")
	if err := os.MkdirAll(filepath.Dir(g.file), 0o755); err != nil {
		return err
	}
	f, err := os.Create(g.file)
	if err != nil {
		return err
	}
	if g.o.sparse == 1 {
		_, err = io.CopyN(f, rand.Reader, g.o.size)
		return errors.Join(err, f.Close())
	}
	const stretch = 4 << 20
	err = f.Truncate(g.o.size)
	for at := int64(0); at < g.o.size && err == nil; at += stretch {
		if g.random.Float64() < g.o.sparse {
			_, err = f.Seek(at, io.SeekStart)
			if err == nil {
				_, err = io.CopyN(f, rand.Reader, min(stretch, g.o.size-at))
			}
		}
	}
	return errors.Join(err, f.Close())
}

// compare says which output is not what was seeded.
func (g *game) compare() error {
	want, err := sumOf(g.file)
	if err != nil {
		return err
	}
	for _, f := range g.fetchers {
		if f.vanish > 0 {
			continue
		}
		if g.ctx.Err() != nil {
			return g.ctx.Err()
		}
		if got, err := sumOf(f.out); err != nil || got != want {
			return fmt.Errorf("%s is not what was seeded (%v)", f.out, err) //nolint:errorlint // it may be nil
		}
	}
	return nil
}

func sumOf(path string) (sum [32]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	h.Sum(sum[:0])
	return sum, err
}
