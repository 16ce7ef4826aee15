//go:build !linux

package storage

import (
	"errors"
	"os"
)

// isHole reports whether a range is a hole for certain: here that is never known.
func isHole(*os.File, int64, int64) bool { return false }

// punchHole cannot be done here; zeros are written instead.
func punchHole(*os.File, int64, int64) error { return errors.ErrUnsupported }

// reserve cannot be done here.
func reserve(*os.File, int64) error { return errors.ErrUnsupported }

// tempFile is a file without a name.
func tempFile() (*os.File, error) {
	f, err := os.CreateTemp("", "spans")
	if err == nil {
		os.Remove(f.Name())
	}
	return f, err
}

// renameNoReplace renames unless something is at to: fs.ErrExist.
func renameNoReplace(from, to string) error { return renameByLink(from, to) }

// syncFS syncs the file system of an open directory: not here.
func syncFS(*os.File) error { return errors.ErrUnsupported }

// bootID names this run of the kernel: not known here, so no journal is
// believed that was not synced.
func bootID() string { return "" }
