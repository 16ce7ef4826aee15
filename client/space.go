package client

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

// ErrNoSpace means that the disk has no room for a download.
var ErrNoSpace = errors.New("not enough space")

// DiskFull says whether an error is about a disk, or a quota, that has no room left.
func DiskFull(err error) bool { return storage.IsFull(err) }

// reserve sees whether there is room for what is missing, and takes it if that was asked for.
func (d *Download) reserve(req DownloadRequest, have *wire.Bits) error {
	if have.All() {
		return nil
	}
	if !req.AnySpace {
		if err := d.checkSpace(have); err != nil {
			return err
		}
	}
	if !req.Preallocate {
		return nil
	}
	err := d.content.Preallocate()
	if errors.Is(err, errors.ErrUnsupported) {
		d.c.log.Warn("not preallocated", "name", d.Name, "err", err)
	} else if err != nil {
		return hint(fmt.Errorf("preallocating %q: %w", d.Name, err), "make room, or leave out --preallocate: what there is space for is fetched then")
	}
	return nil
}

// checkSpace says before anything is fetched whether what is missing fits on the
// target's disk. Others may fill the disk meanwhile: then the download waits.
func (d *Download) checkSpace(have *wire.Bits) error {
	part := partPath(d.Path)
	free, _, known := spaceAt(part)
	if !known {
		return nil // the next write says what is wrong
	}
	got, missing := bytesOnDisk(d.layout, have)
	// What was reserved earlier has its place already.
	need := missing - max(allocated(part)-got, 0)
	if need <= free {
		return nil
	}
	return hint(fmt.Errorf("%w: %q needs %d bytes more at %s, and %d are free there", ErrNoSpace, d.Name, need, d.Path, free),
		"make room, or choose another place; with --no-space-check it is begun anyway and waits when the disk is full")
}

// Space gives what is free for this user on the disk of Storage, and that disk's size, in
// bytes; false where the system does not tell.
func (s *Storage) Space() (free, size int64, known bool) { return spaceAt(s.dir) }

// spaceAt is Storage.Space of the disk where a path is.
func spaceAt(path string) (free, size int64, known bool) {
	var disk unix.Statfs_t
	if err := unix.Statfs(path, &disk); err != nil || disk.Blocks == 0 {
		return 0, 0, false
	}
	block := int64(disk.Bsize) //nolint:unconvert // of another type on other systems
	return int64(disk.Bavail) * block, int64(disk.Blocks) * block, true
}

// bytesOnDisk is how much the pieces that are there, and those that are missing,
// take: those of nothing but zeros are holes.
func bytesOnDisk(l *storage.Layout, have *wire.Bits) (got, missing int64) {
	holes := storage.Holes(l)
	for i := range l.NumPieces() {
		switch {
		case holes.Get(i):
		case have.Get(i):
			got += l.PieceSize(i)
		default:
			missing += l.PieceSize(i)
		}
	}
	return got, missing
}

// allocated is how much of the disk the files under path take.
func allocated(path string) (sum int64) {
	_ = filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // what cannot be looked at counts as nothing
		}
		if info, err := e.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				sum += st.Blocks * 512
			}
		}
		return nil
	})
	return sum
}
