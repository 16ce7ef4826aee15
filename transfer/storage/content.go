package storage

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

var (
	// ErrChanged: a file is no longer what it was when it was hashed or opened.
	ErrChanged = errors.New("the file has changed since it was published: publish it again")
	// ErrExists: something is where a finished download should go.
	ErrExists = errors.New("something is there already: move it away or choose another place")
	// ErrSymlink: a symbolic link is where a file or directory of the target belongs.
	ErrSymlink = errors.New("a symbolic link is in the way: remove it")
	// ErrNotRegular: something that is not a file is where a file is expected.
	ErrNotRegular = errors.New("not a regular file")
)

// stamp is what a file looked like at some moment.
type stamp struct {
	size  int64
	mtime int64 // ns
}

// Content is the files of a torrent on disk. Safe for concurrent use; every
// call may wait for the disk, but none for another's.
type Content struct {
	l       *Layout
	handles *cache
	root    *os.Root // of a directory; nil for a single file
	device  *os.File // see OpenDevice; nil for all else
	now     atomic.Pointer[state]

	mu    sync.Mutex
	dirs  map[string]bool // of a target: known to be directories
	dirty map[int]bool    // files written since the last Sync
	older bool            // the files may hold data of an earlier session that was not synced
}

// state is what Finish changes, as a whole.
type state struct {
	path   string  // absolute: the file, or the directory of the files
	target bool    // opened to be filled and not finished
	stamps []stamp // of every file, when they must not change any more
}

// OpenSource opens finished files for reading: path is the file of a
// single-file torrent, else the directory. It notes the size and time of every
// file (after Build: those that were hashed); one whose size is not that of the
// layout gives ErrChanged, as does every later use of one that changes. Symbolic
// links inside of the directory are followed as long as they stay inside.
func OpenSource(l *Layout, path string) (*Content, error) {
	c, err := newContent(l, path, false)
	if err != nil {
		return nil, err
	}
	stamps, err := c.stampAll(l.stamps)
	if err != nil {
		c.Close()
		return nil, err
	}
	c.now.Store(&state{path: c.Path(), stamps: stamps})
	return c, nil
}

func newContent(l *Layout, path string, target bool) (*Content, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	c := &Content{l: l}
	if target {
		c.dirs, c.dirty = make(map[string]bool), make(map[int]bool)
	}
	c.now.Store(&state{path: abs, target: target})
	c.handles = newCache(maxOpen, c.openFile)
	if !l.Single {
		if c.root, err = os.OpenRoot(abs); err != nil {
			return nil, fmt.Errorf("open %s: %w", abs, reason(err))
		}
	}
	return c, nil
}

// stampAll notes what the files look like; it fails when that is not what known,
// if given, says.
func (c *Content) stampAll(known []stamp) ([]stamp, error) {
	stamps := make([]stamp, len(c.l.Files))
	for i, f := range c.l.Files {
		if f.Pad {
			continue
		}
		s, err := c.stat(i)
		if err != nil {
			return nil, err
		}
		if s.size != f.Length || known != nil && s != known[i] {
			return nil, fmt.Errorf("%s: %w", c.name(i), ErrChanged)
		}
		stamps[i] = s
	}
	return stamps, nil
}

// stat looks at file i by its path.
func (c *Content) stat(i int) (stamp, error) {
	if c.device != nil {
		return c.statDevice()
	}
	var fi fs.FileInfo
	var err error
	if c.root == nil {
		fi, err = os.Stat(c.Path())
	} else {
		fi, err = c.root.Stat(c.l.Files[i].Path)
	}
	if err == nil && !fi.Mode().IsRegular() {
		err = ErrNotRegular
	}
	if err != nil {
		return stamp{}, fmt.Errorf("%s: %w", c.name(i), reason(err))
	}
	return stamp{fi.Size(), fi.ModTime().UnixNano()}, nil
}

// Check looks at every file by its path; it returns ErrChanged, with the path,
// for the first that is not what it was. An unfinished target is never changed.
func (c *Content) Check() error {
	stamps := c.now.Load().stamps
	for i := range stamps {
		if c.l.Files[i].Pad {
			continue
		}
		if s, err := c.stat(i); errors.Is(err, fs.ErrNotExist) || err == nil && s != stamps[i] {
			return fmt.Errorf("%s: %w", c.name(i), ErrChanged)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// Layout is what the content was opened with.
func (c *Content) Layout() *Layout { return c.l }

// Path is where the file or directory is now, absolute.
func (c *Content) Path() string { return c.now.Load().path }

// name is the absolute path of file i.
func (c *Content) name(i int) string {
	if c.l.Single {
		return c.Path()
	}
	return filepath.Join(c.Path(), c.l.Files[i].Path)
}

// openFile opens file i for the cache; create makes it when it is missing.
func (c *Content) openFile(i int, create bool) (*os.File, error) {
	if c.device != nil {
		return c.openDeviceFile()
	}
	if c.now.Load().target {
		return c.openTargetFile(i, create)
	}
	// O_NONBLOCK so that a pipe in place of a file is an error, not a wait.
	const flags = os.O_RDONLY | unix.O_NONBLOCK
	var f *os.File
	var err error
	if c.root == nil {
		f, err = os.OpenFile(c.Path(), flags, 0)
	} else {
		f, err = c.root.OpenFile(c.l.Files[i].Path, flags, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", c.name(i), reason(err))
	}
	return c.onlyRegular(i, f)
}

func (c *Content) onlyRegular(i int, f *os.File) (*os.File, error) {
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = ErrNotRegular
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open %s: %w", c.name(i), reason(err))
	}
	return f, nil
}

// acquire opens file i, or finds it open, and makes sure that it has not changed.
func (c *Content) acquire(i int) (*handle, error) {
	h, err := c.handles.acquire(i, false)
	if err != nil {
		return nil, err
	}
	if err := c.unchanged(h); err != nil {
		c.handles.release(h)
		return nil, err
	}
	return h, nil
}

func (c *Content) unchanged(h *handle) error {
	stamps := c.now.Load().stamps
	if stamps == nil {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(h.Fd()), &st); err != nil {
		return fmt.Errorf("stat %s: %w", c.name(h.file), err)
	}
	if (stamp{st.Size, st.Mtim.Nano()}) != stamps[h.file] {
		return fmt.Errorf("%s: %w", c.name(h.file), ErrChanged)
	}
	return nil
}

// ReadAt reads len(p) bytes from offset off of the torrent. Of an unfinished
// target it reads what happens to be there; a file or an end that is not there
// yet is fs.ErrNotExist or io.ErrUnexpectedEOF. Like every io.ReaderAt it
// returns io.EOF when the torrent ends before p is full.
func (c *Content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > c.l.Total {
		return 0, fmt.Errorf("offset %d is outside of the %d bytes of %q", off, c.l.Total, c.l.Name)
	}
	n := min(int64(len(p)), c.l.Total-off)
	done := 0
	err := c.l.each(off, n, func(i int, at, n int64) error {
		got, err := c.readFile(i, p[done:done+int(n)], at)
		done += got
		return err
	})
	if err == nil && done < len(p) {
		err = io.EOF
	}
	return done, err
}

func (c *Content) readFile(i int, p []byte, at int64) (int, error) {
	if c.l.Files[i].Pad {
		clear(p)
		return len(p), nil
	}
	h, err := c.acquire(i)
	if err != nil {
		return 0, err
	}
	defer c.handles.release(h)
	n, err := h.ReadAt(p, at)
	if err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return n, fmt.Errorf("read %s: %w", c.name(i), reason(err))
	}
	return n, nil
}

// Rest closes the files that nobody uses now; whoever needs one opens it again. It is
// for content that is not expected to be needed soon. Those of an unfinished target stay
// open: opened again, a file that somebody has cut would be made as long as it should be.
func (c *Content) Rest() {
	if !c.now.Load().target {
		c.handles.rest()
	}
}

// Close closes the files; those that a Spans still holds when it is released.
// It does not sync: see Sync and Finish.
func (c *Content) Close() error {
	c.handles.close()
	if c.root == nil {
		return nil
	}
	return c.root.Close()
}

// reason is what an error says beside the operation and the path, which the
// callers name themselves: below an os.Root the error knows only half the path.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var le *os.LinkError
	if errors.As(err, &le) {
		return le.Err
	}
	var se *os.SyscallError
	if errors.As(err, &se) {
		return se.Err
	}
	return err
}
