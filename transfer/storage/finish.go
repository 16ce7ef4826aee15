package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// syncSingly is up to how many written files are synced one by one; with more,
// one syncfs for the whole file system is cheaper.
const syncSingly = 64

// Sync returns when all that WritePiece has written is on disk, also in earlier
// sessions.
func (c *Content) Sync() error {
	c.mu.Lock()
	dirty, older := c.dirty, c.older
	c.dirty, c.older = make(map[int]bool), false
	c.mu.Unlock()
	if older {
		for i, f := range c.l.Files {
			if _, err := c.stat(i); err == nil && !f.Pad {
				dirty[i] = true
			}
		}
	}
	err := c.sync(dirty)
	if err != nil {
		c.mu.Lock()
		c.older = c.older || older
		for i := range dirty {
			c.dirty[i] = true
		}
		c.mu.Unlock()
	}
	return err
}

func (c *Content) sync(dirty map[int]bool) error {
	if len(dirty) == 0 {
		return nil
	}
	if len(dirty) > syncSingly {
		if done, err := c.syncAll(); done {
			return err
		}
	}
	dirs := make(map[string]bool)
	for i := range dirty {
		h, err := c.handles.acquire(i, true)
		if err != nil {
			return err
		}
		err = h.Sync()
		c.handles.release(h)
		if err != nil {
			return fmt.Errorf("sync %s: %w", c.name(i), reason(err))
		}
		for dir := path.Dir(c.l.Files[i].Path); dir != "." && !dirs[dir]; dir = path.Dir(dir) {
			dirs[dir] = true
		}
	}
	top := c.Path()
	if c.device != nil {
		return nil // its name is not ours to keep
	}
	if c.l.Single {
		return syncDir(filepath.Dir(top))
	}
	for dir := range dirs {
		if err := syncDir(filepath.Join(top, dir)); err != nil {
			return err
		}
	}
	return syncDir(top)
}

// syncAll syncs the file system that the directory is on, where that is possible.
func (c *Content) syncAll() (done bool, err error) {
	d, err := os.Open(c.Path())
	if err != nil {
		return false, nil
	}
	defer d.Close()
	if err := syncFS(d); errors.Is(err, errors.ErrUnsupported) {
		return false, nil
	} else if err != nil {
		return true, fmt.Errorf("sync the file system of %s: %w", c.Path(), reason(err))
	}
	return true, nil
}

// syncDir makes names in a directory durable. File systems that cannot sync a
// directory need not.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, reason(err))
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("sync %s: %w", dir, reason(err))
	}
	return nil
}

// synced reports whether everything written is known to be on disk.
func (c *Content) synced() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.dirty) == 0 && !c.older
}

// Finish ends a download of which every piece is written: it creates the files
// of which nothing came (empty ones, and those that are one hole), and the links, syncs all
// data, renames the partial file or directory to final, whose parents it
// creates, and syncs the directory. If something is at final it returns
// ErrExists with the path, and nothing has moved. Afterwards the content is as
// one of OpenSource at final, also for those who hold spans of it.
func (c *Content) Finish(final string) error {
	final, err := filepath.Abs(final)
	if err != nil {
		return err
	}
	part := c.Path()
	if !c.now.Load().target {
		if part == final {
			return nil
		}
		return fmt.Errorf("finish %s: it is no unfinished download", part)
	}
	for i, f := range c.l.Files {
		if f.Pad {
			continue
		}
		if s, err := c.stat(i); err == nil && s.size == f.Length {
			continue
		}
		h, err := c.handles.acquire(i, true)
		if err != nil {
			return err
		}
		c.handles.release(h)
		c.mu.Lock()
		c.dirty[i] = true
		c.mu.Unlock()
	}
	if err := c.link(); err != nil {
		return err
	}
	if err := c.Sync(); err != nil {
		return err
	}
	if final != part {
		if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
			return fmt.Errorf("create %s: %w", filepath.Dir(final), reason(err))
		}
		if err := renameNoReplace(part, final); errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: %w", final, ErrExists)
		} else if err != nil {
			return fmt.Errorf("move %s to %s: %w", part, final, reason(err))
		}
		for _, dir := range []string{filepath.Dir(final), filepath.Dir(part)} {
			if err := syncDir(dir); err != nil {
				return err
			}
		}
	}
	c.now.Store(&state{path: final, target: true})
	stamps, err := c.stampAll(nil)
	if err != nil {
		return err
	}
	c.now.Store(&state{path: final, stamps: stamps})
	return nil
}

// link makes the symbolic links of the torrent. They come last, as nothing may be written
// through a link.
func (c *Content) link() error {
	for _, link := range c.l.Links {
		dir := path.Dir(link.Path)
		c.mu.Lock()
		err := c.enter(dir, true)
		c.mu.Unlock()
		if err != nil {
			return err
		}
		to, err := filepath.Rel(dir, link.To)
		if err != nil {
			return err
		}
		if there, err := c.root.Readlink(link.Path); err == nil && there == to {
			continue // of a run that was killed here
		}
		if err := c.root.Symlink(to, link.Path); err != nil {
			return fmt.Errorf("make the link %s: %w", filepath.Join(c.Path(), link.Path), reason(err))
		}
		if err := syncDir(filepath.Join(c.Path(), dir)); err != nil {
			return err
		}
	}
	return nil
}

// renameByLink is how a file system without an atomic rename that replaces
// nothing is served: a file is linked to its new name, which fails when
// something is there; for a directory it looks first, as nothing else can be done.
func renameByLink(from, to string) error {
	if fi, err := os.Lstat(from); err != nil {
		return err
	} else if fi.IsDir() {
		if _, err := os.Lstat(to); err == nil {
			return fs.ErrExist
		}
		return os.Rename(from, to)
	}
	if err := os.Link(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}
