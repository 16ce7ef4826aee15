package client

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// incomingDir is where files of Storage are that are not whole yet, or are needed only while
// a command runs: beside those that they may become, so that this is a rename.
func (s *Storage) incomingDir() string { return filepath.Join(s.FilesDir(), ".incoming") }

// incoming makes a file of that kind. It is locked as long as it is open, by which
// sweepIncoming tells it from what a killed process has left.
func (s *Storage) incoming() (*os.File, error) {
	return s.makeIncoming(func(path string) (*os.File, error) {
		return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	})
}

// incomingFolder makes a folder of that kind.
func (s *Storage) incomingFolder() (*os.File, error) {
	return s.makeIncoming(func(path string) (*os.File, error) {
		if err := os.Mkdir(path, 0o755); err != nil {
			return nil, err
		}
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return f, err
	})
}

// makeIncoming has something made, and locks it. Another process may sweep it away before
// it is locked, or opened, which is to give nil: then it is made again.
func (s *Storage) makeIncoming(at func(path string) (*os.File, error)) (*os.File, error) {
	for {
		f, err := at(filepath.Join(s.incomingDir(), rand.Text()))
		if err != nil {
			return nil, fmt.Errorf("making room in Storage: %w", err)
		}
		if f == nil {
			continue
		}
		if err := flock(f); err != nil {
			return nil, errors.Join(fmt.Errorf("locking %s: %w", f.Name(), err), f.Close(), os.Remove(f.Name()))
		}
		if stillAt(f, f.Name()) {
			return f, nil
		}
		f.Close()
	}
}

// sweepIncoming removes what killed processes have left. What cannot be removed is left to
// the next one: it costs room, and no more.
func (s *Storage) sweepIncoming() {
	entries, err := os.ReadDir(s.incomingDir())
	if err != nil {
		return
	}
	for _, e := range entries {
		f, err := os.Open(filepath.Join(s.incomingDir(), e.Name()))
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil && stillAt(f, f.Name()) {
			_ = os.RemoveAll(f.Name()) // a copy of an earlier time may be a directory
		}
		f.Close()
	}
}

// discardIncoming removes a file of that kind that came to nothing.
func discardIncoming(f *os.File) error {
	err := os.Remove(f.Name())
	if errors.Is(err, fs.ErrNotExist) { // it was moved to its place
		err = nil
	}
	return errors.Join(err, f.Close())
}

// discardFolder removes a folder of that kind, with what is still in it. What cannot be
// removed is left to sweepIncoming.
func discardFolder(f *os.File) {
	_ = os.RemoveAll(f.Name())
	f.Close()
}
