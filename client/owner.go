package client

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// continues says whether there is partial data of an earlier run. When there is
// something else it is ErrTargetExists.
func (d *Download) continues(part string, old Record, known bool) (bool, error) {
	info, err := os.Lstat(part)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking at the partial data: %w", err)
	}
	ours, err := d.ownsPart(part, info, old, known)
	if err != nil {
		return false, fmt.Errorf("looking at the partial data: %w", err)
	}
	if !ours {
		return false, hint(fmt.Errorf("%w: %s is in the way, and not a partial download of this Storage", ErrTargetExists, part),
			"move it away, or choose another target with -o PATH")
	}
	return true, nil
}

// ownsPart says whether what is at the place of the partial data is what an
// earlier run of this download left there, and not, say, another file that
// somebody put there after that was removed. What is not ours must never be
// written to.
func (d *Download) ownsPart(part string, info fs.FileInfo, old Record, known bool) (bool, error) {
	if !known || old.Part != part {
		return false, nil
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return false, nil
	}
	claimed, err := d.c.storage.isOfAnother(info, old)
	if err != nil || claimed {
		return false, err
	}
	if old.PartInode != 0 && inodeOf(info) == old.PartInode {
		return true, nil
	}
	// A run that was killed right after it had made the partial data could not
	// note the inode; there is nothing to lose in it.
	if empty, err := holdsNothing(part, info, old.Bytes); err != nil || empty {
		return empty, err
	}
	// Some file systems make up inode numbers at each mount: there a file of
	// exactly the length, with the journal of the download, is taken for ours.
	if info.IsDir() || info.Size() != old.Bytes {
		return false, nil
	}
	journal, err := hex.DecodeString(old.InfoHash)
	if err != nil || len(journal) != len(d.InfoHash) {
		return false, nil
	}
	_, err = os.Lstat(d.c.storage.journalPath(old.ID, [20]byte(journal)))
	return err == nil, nil
}

// isOfAnother says whether what is at the place of a download's partial data is
// what Storage remembers as published from there, as completely downloaded to
// there, or as the partial data of a later download. The same inode number is
// no proof against it: a file system gives those of removed files to new ones.
func (s *Storage) isOfAnother(info fs.FileInfo, old Record) (bool, error) {
	all, err := s.Records()
	if err != nil {
		return false, err
	}
	for _, r := range all {
		switch {
		case r.ID == old.ID:
		case r.Part == old.Part && r.PartInode == inodeOf(info) && r.Started.After(old.Started):
			return true, nil
		case r.Path == old.Part && r.Fingerprint != "":
			if fp, err := fingerprintOf(r.Path); err != nil || fp.digest == r.Fingerprint {
				return err == nil, err
			}
		case r.Path == old.Part && r.Kind == Published:
			return true, nil
		}
	}
	return false, nil
}

// holdsNothing says whether nobody has put a file into a directory, or written
// to a file that was made with a length.
func holdsNothing(path string, info fs.FileInfo, length int64) (bool, error) {
	if info.IsDir() {
		found, err := hasFile(path)
		return !found, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return info.Size() == 0 || (info.Size() == length && ok && st.Blocks == 0), nil
}

func inodeOf(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// removeJournals removes the journals of other versions of a download, which
// would only cost room.
func (s *Storage) removeJournals(id string, except [20]byte) error {
	keep := s.journalPath(id, except)
	entries, err := os.ReadDir(filepath.Dir(keep))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), id+"-") && e.Name() != filepath.Base(keep) {
			err = errors.Join(err, os.Remove(filepath.Join(filepath.Dir(keep), e.Name())))
		}
	}
	return err
}
