package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// checkSource says in words why a path cannot be published, before any of it
// is read: missing, not readable, special, or an empty directory. It returns
// the path made absolute.
func checkSource(path string) (string, error) {
	if path == "" { // which would be the current directory, as of a variable that is not set
		return "", hint(fmt.Errorf("%w: the path to publish is empty", ErrUsage), "btclient publish . publishes the current directory")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	info, err := os.Stat(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return "", hint(fmt.Errorf("there is no file or directory %s", path),
			"btclient publish takes paths; a name of the ring is downloaded with: btclient download NAME")
	}
	if err != nil {
		return "", fmt.Errorf("cannot publish %s: %w", path, err)
	}
	if info.IsDir() {
		found, err := hasFile(abs)
		if err != nil {
			return "", fmt.Errorf("cannot publish %s: %w", path, err)
		}
		if !found {
			return "", hint(fmt.Errorf("directory %s holds no file", path), "put at least one file into it")
		}
		return abs, nil
	}
	if !info.Mode().IsRegular() {
		return "", hint(fmt.Errorf("%s is a %s", path, describeMode(info.Mode())), "publish a file or a directory; of a block device or a pipe a copy is made by: btclient publish %s --name NAME", path)
	}
	f, err := os.Open(abs)
	if err != nil {
		return "", hint(fmt.Errorf("cannot read %s: %w", path, errors.Unwrap(err)), "check its permissions")
	}
	return abs, f.Close()
}

// hasFile looks for the first entry under dir that is not a directory.
func hasFile(dir string) (bool, error) {
	errFound := errors.New("found")
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() {
			return errFound
		}
		return nil
	})
	if errors.Is(err, errFound) {
		return true, nil
	}
	return false, err
}
