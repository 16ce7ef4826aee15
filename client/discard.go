package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Discard removes what Storage has of a download that nobody is working on: its
// partial data and journal, and with complete also what is at the target, if that is
// as the download left it. What somebody else put there stays. ErrBusy when a
// process works on the name.
func (s *Storage) Discard(name, target string, complete bool) error {
	rec, known, err := s.Record(Downloaded, name, target)
	if err != nil {
		return err
	}
	on := name
	if known {
		on = rec.subject()
	}
	lock, err := s.lockSubject(on, name, "download", false)
	if err != nil {
		return err
	}
	defer lock.Release()
	rec, known, err = s.Record(Downloaded, name, target) // as it is now that nobody works on it
	if err != nil || !known {
		return err
	}
	if err := s.discardPart(rec); err != nil {
		return fmt.Errorf("removing the partial data of %q: %w", name, err)
	}
	if complete && rec.Fingerprint != "" {
		fp, err := fingerprintOf(rec.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case fp.digest != rec.Fingerprint:
			return hint(fmt.Errorf("%s is not as %q left it: it stays", rec.Path, name), "remove it by hand if it is not needed")
		default:
			if err := os.RemoveAll(rec.Path); err != nil {
				return fmt.Errorf("removing %s: %w", rec.Path, err)
			}
			rec.Fingerprint = ""
		}
	}
	rec.State, rec.Part, rec.PartInode = Interrupted, "", 0
	if complete || rec.Fingerprint == "" {
		if err := os.Remove(s.recordPath(rec.ID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	return s.saveRecord(rec)
}

// discardPart removes the partial data of a record, if that is what is there.
func (s *Storage) discardPart(rec Record) error {
	journals, err := filepath.Glob(filepath.Join(s.dir, "journals", rec.ID+"-*"))
	if err != nil {
		return err
	}
	if rec.Part != "" {
		info, err := os.Lstat(rec.Part)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case rec.PartInode != 0 && inodeOf(info) == rec.PartInode:
			if err := os.RemoveAll(rec.Part); err != nil {
				return err
			}
		}
	}
	for _, j := range journals {
		if err := os.Remove(j); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
