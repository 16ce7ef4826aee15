package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"chordtorrent/transfer/storage"
)

// conclude remembers how the download ended.
func (d *Download) conclude(err error) {
	d.err, d.took = err, time.Since(d.began)
	if d.sink != nil {
		return
	}
	d.rec.State, d.rec.Error, d.rec.Finished = Done, "", time.Now()
	if err != nil {
		d.rec.State, d.rec.Error = Failed, err.Error()
	} else {
		d.rec.Part, d.rec.PartInode, d.rec.Earlier = "", 0, ""
		if fp, fpErr := fingerprintOf(d.Path); fpErr == nil {
			// A change within this tick of the clock that keeps the size would go unnoticed
			// when it is served later; whoever fetches it checks.
			d.rec.Fingerprint = fp.digest
		}
	}
	if saveErr := d.c.storage.saveRecord(d.rec); saveErr != nil && d.err == nil {
		d.err = saveErr
	}
	if err == nil {
		d.c.log.Info("downloaded", "name", d.Name, "info_hash", hexOf(d.InfoHash), "path", d.Path)
	}
}

// complete puts the verified data in its place, and has the .torrent in Storage be that
// of it.
func (d *Download) complete() error {
	if d.sink != nil {
		return d.finishSink()
	}
	if err := d.putInPlace(); err != nil {
		return err
	}
	if d.metainfo == nil {
		return nil
	}
	err := d.c.storage.saveTorrent(d.rec, d.metainfo)
	d.metainfo = nil
	return err
}

func (d *Download) putInPlace() error {
	aside := filepath.Join(filepath.Dir(d.Path), ".btclient-"+d.rec.ID+".old")
	if d.present {
		// Of a run that was killed before it could.
		return errors.Join(os.RemoveAll(aside), takePlace(d.lock, d.handOver))
	}
	replaces, err := d.replaceable()
	if err == nil {
		err = takePlace(d.lock, d.handOver)
	}
	if err != nil {
		return err
	}
	if replaces {
		// An earlier run may have been killed between the two renames.
		if err := os.RemoveAll(aside); err != nil {
			return fmt.Errorf("replacing the earlier version: %w", err)
		}
		if err := os.Rename(d.Path, aside); err != nil {
			return fmt.Errorf("replacing the earlier version: %w", err)
		}
	}
	if err := d.content.Finish(d.Path); err != nil {
		if replaces {
			err = errors.Join(err, os.Rename(aside, d.Path))
		}
		if errors.Is(err, storage.ErrExists) {
			return d.inTheWay("%w: something was put at %s while %q was downloaded", ErrTargetExists, d.Path, d.Name)
		}
		return fmt.Errorf("putting %s in place: %w", d.Path, err)
	}
	d.endJournal()
	if err := os.RemoveAll(aside); err != nil {
		return fmt.Errorf("removing the replaced version: %w", err)
	}
	return nil
}

// endJournal removes the journal of what is complete.
func (d *Download) endJournal() {
	if j := d.takeJournal(); j != nil {
		j.Close()
	}
	path := d.c.storage.journalPath(d.rec.ID, d.InfoHash)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.c.log.Warn("journal of a complete download left behind", "name", d.Name, "err", err)
	}
}

// replaceable says whether an earlier version of ours is at the target, to be
// replaced. Hours may have passed since that was looked at: when it changed,
// it is its owner's, and ErrTargetExists.
func (d *Download) replaceable() (bool, error) {
	if d.replaces == "" {
		return false, nil
	}
	// What takes long is done before the last look, and Finish only renames.
	if err := d.content.Sync(); err != nil {
		return false, fmt.Errorf("putting %s in place: %w", d.Path, err)
	}
	fp, err := fingerprintOf(d.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil // its owner wants it no longer
	case err != nil:
		return false, err
	case fp.digest != d.replaces:
		return false, d.inTheWay("%w: %s changed while the new version of %q was downloaded", ErrTargetExists, d.Path, d.Name)
	}
	return true, nil
}

// inTheWay is an error about the target, with what to do about it.
func (d *Download) inTheWay(format string, args ...any) error {
	return hint(fmt.Errorf(format, args...),
		"move it away and run the same command again: all of the download is kept in %s", partPath(d.Path))
}
