package client

import (
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// fingerprint says whether a file or directory is as it was, without reading
// it: it covers the path, size and modification time of every file inside.
type fingerprint struct {
	digest string
	bytes  int64 // of all files
	newest time.Time
}

// fingerprintOf looks at every file under path. A symbolic link counts by
// where it points and by what it points to; links that publishing accepts stay
// inside, so what is behind a linked directory is looked at as well.
func fingerprintOf(path string) (fingerprint, error) {
	var fp fingerprint
	h := sha1.New()
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(path, p)
		if err != nil {
			return err
		}
		link := ""
		if d.Type()&fs.ModeSymlink != 0 && p != path {
			if link, err = os.Readlink(p); err != nil {
				return err
			}
		}
		info, err := os.Stat(p)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %q %v ", rel, link, info.IsDir())
		if !info.IsDir() {
			var b [16]byte
			binary.BigEndian.PutUint64(b[:8], uint64(info.Size()))
			binary.BigEndian.PutUint64(b[8:], uint64(info.ModTime().UnixNano()))
			h.Write(b[:])
			fp.bytes += info.Size()
			if info.ModTime().After(fp.newest) {
				fp.newest = info.ModTime()
			}
		}
		return nil
	})
	if err != nil {
		return fingerprint{}, fmt.Errorf("looking at %s: %w", path, err)
	}
	fp.digest = hex.EncodeToString(h.Sum(nil))
	return fp, nil
}

// trustedAt is the digest to remember when the data was known to be good from
// since on, or "" when a later change could carry the very same times: a file
// system that counts whole seconds (or pairs of them), or one tick of the
// kernel's coarse clock.
func (fp fingerprint) trustedAt(since time.Time) string {
	tick := 20 * time.Millisecond
	if fp.newest.Nanosecond() == 0 {
		tick = 2 * time.Second
	}
	if fp.newest.Add(tick).After(since) {
		return ""
	}
	return fp.digest
}
