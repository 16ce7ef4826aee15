package client

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ReplaceFile writes a file that a person named: whoever reads it, also after
// a crash, sees what was there before or all of content. A file that is there
// keeps its permissions, and a symbolic link stays and leads to the new
// content. What is no regular file, such as a pipe, is written to as it is.
func ReplaceFile(path string, content []byte) error {
	at, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		at, err = path, nil
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, bare(err))
	}
	var mode fs.FileMode
	switch info, err := os.Stat(at); {
	case err == nil && !info.Mode().IsRegular():
		if err := os.WriteFile(at, content, 0); err != nil {
			return fmt.Errorf("writing %s: %w", path, bare(err))
		}
		return nil
	case err == nil:
		mode = info.Mode().Perm()
	}
	if err := replace(at, content, mode); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// writeAtomically is ReplaceFile for the files of Storage.
func writeAtomically(path string, content []byte) error {
	if err := replace(path, content, 0); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// replace gives the file the permissions mode; 0 means those of any new file.
func replace(path string, content []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	f, err := os.OpenFile(filepath.Join(dir, ".tmp-"+rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return bare(err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // does nothing once renamed
	_, err = f.Write(content)
	if err == nil && mode != 0 {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = SyncDir(dir)
	}
	return bare(err)
}

// bare is the reason of an error without the path, where that is one of a
// temporary file.
func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}

// SyncDir makes a rename in dir survive a power cut.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
