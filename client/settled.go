package client

import (
	"io/fs"
	"path/filepath"
	"time"
)

// LookAt says what a file or directory looks like, without reading it: equal answers mean
// that nothing was changed, added or removed. It is what a Record has as its Fingerprint.
func LookAt(path string) (string, error) {
	fp, err := fingerprintOf(path)
	return fp.digest, err
}

// unknownQuiet is how long a file must have been left alone when the system does not
// tell whether somebody has it open for writing.
const unknownQuiet = 3 * time.Second

// Settled says whether nobody is writing to a file or directory any more.
func Settled(path string) bool {
	settled := true
	err := filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		writer, known := hasWriter(p)
		if !known {
			info, err := e.Info()
			if err != nil {
				return err
			}
			writer = time.Since(info.ModTime()) < unknownQuiet
		}
		if writer {
			settled = false
			return fs.SkipAll
		}
		return nil
	})
	return err == nil && settled
}
