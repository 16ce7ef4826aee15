package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// OpenTarget creates, or continues, the partial file (of a single-file torrent)
// or directory part, whose parent directories it creates too. Files below it
// appear as they are written to, at their full length. A symbolic link in the
// way is ErrSymlink with its path.
func OpenTarget(l *Layout, part string) (*Content, error) {
	_, err := os.Lstat(part)
	older := err == nil
	dir := part
	if l.Single {
		dir = filepath.Dir(part)
	} else if err := noSymlink(os.Lstat(part)); err != nil {
		return nil, fmt.Errorf("%s: %w", part, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create %s: %w", dir, reason(err))
	}
	c, err := newContent(l, part, true)
	if err != nil {
		return nil, err
	}
	c.older = older
	if l.Single {
		h, err := c.handles.acquire(0, true)
		if err != nil {
			c.Close()
			return nil, err
		}
		c.handles.release(h)
	}
	return c, nil
}

// noSymlink is for the results of an Lstat: it only minds symbolic links.
func noSymlink(fi fs.FileInfo, err error) error {
	if err == nil && fi.Mode()&fs.ModeSymlink != 0 {
		return ErrSymlink
	}
	return nil
}

// openTargetFile opens file i of a target, at its full length.
func (c *Content) openTargetFile(i int, create bool) (*os.File, error) {
	file := &c.l.Files[i]
	flags, mode := os.O_RDWR|unix.O_NONBLOCK, fs.FileMode(0o644)
	if create {
		flags |= os.O_CREATE
	}
	if file.Exec {
		mode = 0o755
	}
	var f *os.File
	var err error
	if c.root == nil {
		if err = noSymlink(os.Lstat(c.Path())); err == nil {
			f, err = os.OpenFile(c.Path(), flags|unix.O_NOFOLLOW, mode)
		}
	} else {
		c.mu.Lock()
		err = c.enter(path.Dir(file.Path), create)
		c.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if err = noSymlink(c.root.Lstat(file.Path)); err == nil {
			f, err = c.root.OpenFile(file.Path, flags, mode)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", c.name(i), reason(err))
	}
	if f, err = c.onlyRegular(i, f); err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && fi.Size() != file.Length {
		err = f.Truncate(file.Length)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("set the length of %s to %d bytes: %w", c.name(i), file.Length, reason(err))
	}
	return f, nil
}

// enter makes sure that no part of the path of a directory is a symbolic link
// and, with create, that the directory is there; c.mu is held.
func (c *Content) enter(dir string, create bool) error {
	if dir == "." || c.dirs[dir] {
		return nil
	}
	if err := c.enter(path.Dir(dir), create); err != nil {
		return err
	}
	fi, err := c.root.Lstat(dir)
	switch {
	case err == nil && !fi.IsDir():
		if err = noSymlink(fi, nil); err == nil {
			err = unix.ENOTDIR
		}
	case errors.Is(err, fs.ErrNotExist) && create:
		err = c.root.Mkdir(dir, 0o755)
	}
	if err != nil {
		return fmt.Errorf("directory %s: %w", filepath.Join(c.Path(), dir), reason(err))
	}
	c.dirs[dir] = true
	return nil
}

// Preallocate reserves the space of all files of a target, so that the disk cannot
// become full under the download, and large files lie in few pieces on it. An error
// names the file; errors.Is tells syscall.ENOSPC, and errors.ErrUnsupported where the
// system or file system cannot do it. What is reserved reads as zeros.
func (c *Content) Preallocate() error {
	for i, file := range c.l.Files {
		if file.Pad || file.Length == 0 {
			continue
		}
		h, err := c.handles.acquire(i, true)
		if err != nil {
			return err
		}
		err = reserve(h.File, file.Length)
		c.handles.release(h)
		if err != nil {
			return fmt.Errorf("reserve %d bytes for %s: %w", file.Length, c.name(i), reason(err))
		}
	}
	return nil
}

// IsFull says whether an error is about a disk, or a quota, that has no room left.
func IsFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// WritePiece writes the verified bytes of piece i: one pwrite per file, except
// that runs of zeros are left, or made, holes. It does not wait for the disk
// (see Sync). An error names the file; errors.Is tells syscall.ENOSPC and EIO.
func (c *Content) WritePiece(i int, data []byte) error {
	if !c.now.Load().target {
		return fmt.Errorf("write to %s: %w", c.Path(), fs.ErrPermission)
	}
	if i < 0 || i >= c.l.NumPieces() || int64(len(data)) != c.l.PieceSize(i) {
		return fmt.Errorf("piece %d of %q with %d bytes: there is none like that", i, c.l.Name, len(data))
	}
	return c.l.each(int64(i)*c.l.PieceLength, int64(len(data)), func(file int, at, n int64) error {
		part := data[:n]
		data = data[n:]
		return c.change(file, func(f *os.File) error { return writeSparse(f, part, at) })
	})
}

// change has write do something to a file of a target; a padding file is none. An error
// names the file.
func (c *Content) change(file int, write func(f *os.File) error) error {
	if c.l.Files[file].Pad {
		return nil
	}
	h, err := c.writable(file)
	if err != nil {
		return err
	}
	defer c.handles.release(h)
	if err := write(h.File); err != nil {
		if err = reason(err); c.device != nil && IsFull(err) {
			err = errDeviceEnds
		}
		return fmt.Errorf("write %s: %w", c.name(file), err)
	}
	return nil
}

// writable opens a file of a target that is about to be written to.
func (c *Content) writable(file int) (*handle, error) {
	h, err := c.handles.acquire(file, true)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.dirty[file] = true
	c.mu.Unlock()
	return h, nil
}

const (
	grid    = 64 << 10 // zeros are looked for in cells of this size
	leastly = 4 << 10  // fewer zeros are written like everything else
)

var zeros [grid]byte

// writeSparse writes data at offset at, runs of zeros as holes.
func writeSparse(f *os.File, data []byte, at int64) error {
	all := len(data)
	flush := func(run []byte, hole bool) error {
		if len(run) == 0 {
			return nil
		}
		if hole && (len(run) >= leastly || len(run) == all) {
			return zero(f, at, int64(len(run)))
		}
		_, err := f.WriteAt(run, at)
		return err
	}
	n, hole := 0, false // data[:n] is a run of cells of one kind
	for n < len(data) {
		cell := min(grid-int((at+int64(n))%grid), len(data)-n)
		zero := bytes.Equal(data[n:n+cell], zeros[:cell]) && (cell >= leastly || cell == all)
		if zero != hole {
			if err := flush(data[:n], hole); err != nil {
				return err
			}
			at += int64(n)
			data, n, hole = data[n:], 0, zero
			continue
		}
		n += cell
	}
	return flush(data, hole)
}
