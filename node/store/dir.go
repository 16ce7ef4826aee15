package store

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrLocked means that another process runs a ring member in the directory.
// The error that wraps it is a *LockedError.
var ErrLocked = errors.New("data directory is in use")

// LockedError names who holds a data directory.
type LockedError struct {
	Dir string
	PID int // 0 when the holder could not be told
}

func (e *LockedError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("the ring member with pid %d", e.PID)
	}
	return fmt.Sprintf("data directory %s is in use by %s: stop it, or give this one another --data-dir or --data-pool", e.Dir, who)
}

func (e *LockedError) Unwrap() error { return ErrLocked }

// Dir is a data directory that this process holds.
type Dir struct {
	Path string // absolute
	// Used says that there was a database in it before: if Open finds none, it
	// was lost, and State says so.
	Used bool

	lock *os.File
}

// LockDir creates the directory if need be and takes it for this process.
// Errors: a *LockedError, or why the directory cannot be used.
func LockDir(path string) (*Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", path, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, unusable(abs, err)
	}
	// The lock file stays when the process ends: removing it would let two
	// processes hold locks on two files of the same name.
	f, err := os.OpenFile(filepath.Join(abs, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, unusable(abs, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		pid := readPID(f)
		_ = f.Close() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &LockedError{Dir: abs, PID: pid}
		}
		return nil, fmt.Errorf("lock data directory %s: %w", abs, err)
	}
	if err := writePID(f); err != nil {
		_ = f.Close() // the error to tell is the first
		return nil, unusable(abs, err)
	}
	return &Dir{Path: abs, lock: f}, nil
}

// maxPool is how many data directories a pool has at most.
const maxPool = 1000

// LockFree takes the first directory of a pool that no other process has: pool/1,
// pool/2, and so on. So nodes that cannot be told apart beforehand, as the replicas of a
// container are, share one place, and who comes again finds what was left there.
func LockFree(pool string) (*Dir, error) {
	for i := 1; i <= maxPool; i++ {
		dir, err := LockDir(filepath.Join(pool, strconv.Itoa(i)))
		if !errors.Is(err, ErrLocked) {
			return dir, err
		}
	}
	return nil, fmt.Errorf("%w: all %d of the pool %s are: choose another --data-pool", ErrLocked, maxPool, pool)
}

// Space gives what is free for this process on the directory's disk, and the disk's size,
// in bytes; false where the system does not tell.
func (d *Dir) Space() (free, size uint64, ok bool) {
	var disk unix.Statfs_t
	if err := unix.Statfs(d.Path, &disk); err != nil || disk.Blocks == 0 {
		return 0, 0, false
	}
	block := uint64(disk.Bsize)
	return uint64(disk.Bavail) * block, //nolint:unconvert // of another type on other systems
		disk.Blocks * block, true
}

func unusable(dir string, err error) error {
	return fmt.Errorf("cannot use data directory %s: %w: make it writable, or choose another with --data-dir or --data-pool", dir, err)
}

func readPID(f *os.File) int {
	b := make([]byte, 32)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil {
		return 0
	}
	return pid
}

func writePID(f *os.File) error {
	// Written before it is cut, so that a reader at this moment sees a
	// whole number; the space pads a longer one left by a former holder.
	if _, err := f.WriteAt(fmt.Appendf(nil, "%-11d\n", os.Getpid()), 0); err != nil {
		return err
	}
	return f.Truncate(12)
}

// Open opens the directory's database. The directory stays held when the
// database is closed.
func (d *Dir) Open(log *slog.Logger) (*DB, error) {
	return d.open(options{log: log, expected: d.Used})
}

// Close lets go of the directory.
func (d *Dir) Close() error { return d.lock.Close() }

// WriteFile replaces a file of the directory, so that after a crash either
// the old or the new content is there, whole.
func (d *Dir) WriteFile(name string, content []byte) error {
	return replaceFile(filepath.Join(d.Path, name), func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// ReadFile gives the content of a file of the directory.
func (d *Dir) ReadFile(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(d.Path, name))
}

// replaceFile writes a file beside the old one, makes it durable and renames
// it into place.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()      // closed twice at worst
			_ = os.Remove(tmp) // the error to tell is the first
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes renames and new files of a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
