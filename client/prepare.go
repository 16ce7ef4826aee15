package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"

	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

// prepare looks at what is on disk of this download from earlier and opens it for
// writing. It gives the pieces that are there.
func (d *Download) prepare(ctx context.Context, on OnProgress) (*wire.Bits, error) {
	part := partPath(d.Path)
	old, known, err := d.c.storage.Record(Downloaded, d.Name, d.Path)
	if err != nil {
		return nil, err
	}
	d.rec = Record{
		ID: RecordID(Downloaded, d.Name, d.Path), Kind: Downloaded, Name: d.Name, State: Running, Path: d.Path, Part: part,
		InfoHash: hexOf(d.InfoHash), Foreign: d.Foreign, Bytes: d.Bytes, Pieces: d.Pieces, Started: d.began,
	}
	if known && old.otherThan(d.rec.InfoHash, d.Foreign) {
		old, known = Record{}, false // nothing of that is ours to replace
	}
	d.rec.Fingerprint = old.Fingerprint
	if d.rec.Earlier = old.Earlier; known && old.State == Done {
		d.rec.Earlier = old.InfoHash
	}
	if d.rec.Earlier == d.rec.InfoHash {
		d.rec.Earlier = ""
	}
	complete, err := d.lookAtTarget(ctx, old, on)
	if err != nil {
		return nil, err
	}
	if d.present = complete; complete {
		have := wire.NewBits(d.Pieces)
		have.SetAll()
		return have, d.c.storage.saveRecord(d.rec)
	}
	continued, err := d.continues(part, old, known)
	if err != nil {
		return nil, err
	}
	if continued {
		d.rec.PartInode = old.PartInode
	}
	// The record comes first: whatever this process leaves behind is known to
	// be ours.
	if err := d.c.storage.saveRecord(d.rec); err != nil {
		return nil, err
	}
	return d.openPart(ctx, part, continued, old, on)
}

// openPart opens the partial data, continued or new.
func (d *Download) openPart(ctx context.Context, part string, continued bool, old Record, on OnProgress) (_ *wire.Bits, err error) {
	if err := os.MkdirAll(filepath.Dir(part), 0o755); err != nil {
		return nil, fmt.Errorf("making the target's directory: %w", err)
	}
	sameVersion := continued && old.InfoHash == d.rec.InfoHash
	if continued {
		if d.partLock, err = lockTarget(part); err != nil {
			return nil, err
		}
		if !sameVersion {
			d.c.log.Info("a newer version is in the ring: what it shares with the partial data is kept", "name", d.Name)
		}
		// With the same version too: a run that was killed here has noted the
		// version already.
		if err := removeUnlisted(part, d.layout); err != nil {
			return nil, fmt.Errorf("removing what this version lacks from the partial data: %w", err)
		}
	}
	if d.content, err = storage.OpenTarget(d.layout, part); err != nil {
		return nil, fmt.Errorf("opening the target: %w", err)
	}
	if d.partLock == nil || !stillAt(d.partLock, part) {
		if d.partLock != nil {
			d.partLock.Close()
		}
		if d.partLock, err = lockTarget(part); err != nil {
			return nil, err
		}
	}
	info, err := os.Lstat(part)
	if err != nil {
		return nil, fmt.Errorf("looking at the partial data: %w", err)
	}
	if n := inodeOf(info); n != d.rec.PartInode {
		d.rec.PartInode = n
		if err := d.c.storage.saveRecord(d.rec); err != nil {
			return nil, err
		}
	}
	if err := d.openJournal(); err != nil {
		return nil, err
	}
	return d.lookAtPart(ctx, continued, on)
}

// openJournal opens the journal of this version, and removes those of others.
func (d *Download) openJournal() (err error) {
	if err := d.c.storage.removeJournals(d.rec.ID, d.InfoHash); err != nil {
		d.c.log.Warn("journal of an earlier version left behind", "name", d.Name, "err", err)
	}
	path := d.c.storage.journalPath(d.rec.ID, d.InfoHash)
	if d.journal, err = storage.OpenJournal(path, d.InfoHash, d.Pieces); err == nil {
		return nil
	}
	// What it knew can be found out again.
	d.c.log.Warn("journal set aside", "name", d.Name, "err", err)
	if err := os.Rename(path, path+".damaged"); err != nil {
		return fmt.Errorf("setting a damaged journal aside: %w", err)
	}
	if d.journal, err = storage.OpenJournal(path, d.InfoHash, d.Pieces); err != nil {
		return fmt.Errorf("opening the journal of the download: %w", err)
	}
	return nil
}

// lookAtPart finds out which pieces are there: from the journal if it can be
// trusted, else by hashing what is on disk.
func (d *Download) lookAtPart(ctx context.Context, continued bool, on OnProgress) (_ *wire.Bits, err error) {
	if continued && d.journal.Trusted(d.content) {
		return d.journal.Bits(), nil
	}
	have := wire.NewBits(d.Pieces)
	if continued {
		if have, err = storage.Verify(ctx, d.content, runtime.GOMAXPROCS(0), on.stage(Verifying)); err != nil {
			return nil, fmt.Errorf("checking the partial data: %w", err)
		}
	}
	return have, d.zero(ctx, have, nil)
}

// zero makes the missing pieces that are nothing but zeros: they need not be fetched, but
// what was there before must not show.
func (d *Download) zero(ctx context.Context, have *wire.Bits, on OnProgress) error {
	holes := storage.Holes(d.layout)
	for i := range have.EachAnd(holes) {
		holes.Clear(i)
	}
	var progress func(int64)
	if on != nil {
		total := int64(0)
		for i := range holes.Each() {
			total += d.layout.PieceSize(i)
		}
		progress = func(done int64) { on(Zeroing, done, total) }
	}
	if err := d.content.MakeHoles(ctx, holes, progress); err != nil {
		return fmt.Errorf("writing the zeros of the target: %w", err)
	}
	have.Or(holes)
	if err := d.journal.Reset(have); err != nil {
		return fmt.Errorf("writing the journal of the download: %w", err)
	}
	return nil
}

// lookAtTarget says whether the target is there and complete; then it is open
// for serving. When something else is there that must not be replaced, it is
// ErrTargetExists.
func (d *Download) lookAtTarget(ctx context.Context, old Record, on OnProgress) (complete bool, err error) {
	if _, err := os.Lstat(d.Path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("looking at the target: %w", err)
	}
	if content, err := storage.OpenSource(d.layout, d.Path); err == nil {
		have, err := storage.Verify(ctx, content, runtime.GOMAXPROCS(0), on.stage(Verifying))
		if err == nil && have.All() {
			d.content = content
			return true, nil
		}
		content.Close()
		if ctx.Err() != nil {
			return false, err
		}
	}
	fp, err := fingerprintOf(d.Path)
	if err != nil {
		return false, err
	}
	ours := old.Fingerprint == fp.digest
	if pub, known, err := d.c.storage.Record(Published, d.Name, ""); err == nil && known && pub.Copy && pub.Path == d.Path {
		ours = ours || pub.Fingerprint == fp.digest
	}
	if !ours {
		if name := d.c.storage.unfinishedAt(d.Path); name != "" {
			return false, hint(fmt.Errorf("%w: %s is what has come of %q, whose download is not complete", ErrTargetExists, d.Path, name),
				"choose another target with -o PATH, or complete that first")
		}
		return false, hint(fmt.Errorf("%w: %s is there and is not %q as it is to be", ErrTargetExists, d.Path, d.Name),
			"choose another target with -o PATH, or move it away")
	}
	d.replaces = fp.digest
	return false, nil
}

// unfinishedAt is the name of the download that gathers its data at a path; "": none that is
// known.
func (s *Storage) unfinishedAt(path string) string {
	all, err := s.Records()
	if err != nil {
		return ""
	}
	for _, r := range all {
		if r.Kind == Downloaded && r.State != Done && r.Part == path {
			return r.Name
		}
	}
	return ""
}

// removeUnlisted takes out of a partial directory the files and directories of
// another version that this one does not have, also where a directory became a
// file or the reverse.
func removeUnlisted(part string, layout *storage.Layout) error {
	info, err := os.Lstat(part)
	if err != nil {
		return err
	}
	if info.IsDir() == layout.Single {
		return os.RemoveAll(part)
	}
	if layout.Single {
		return nil
	}
	files, dirs := make(map[string]bool, len(layout.Files)), map[string]bool{".": true}
	for _, f := range layout.Files {
		if f.Pad {
			continue // never written
		}
		files[f.Path] = true
		for dir := path.Dir(f.Path); !dirs[dir]; dir = path.Dir(dir) {
			dirs[dir] = true
		}
	}
	return filepath.WalkDir(part, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(part, p)
		if err != nil {
			return err
		}
		switch rel = filepath.ToSlash(rel); {
		case dirs[rel] && e.Type()&fs.ModeSymlink != 0:
			return nil // a person's: opening the target refuses it by name
		case !e.IsDir() && !files[rel]:
			return os.Remove(p)
		case e.IsDir() && !dirs[rel]:
			if err := os.RemoveAll(p); err != nil {
				return err
			}
			return fs.SkipDir
		}
		return nil
	})
}
