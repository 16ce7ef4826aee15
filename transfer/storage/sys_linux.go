package storage

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// isHole reports whether n bytes from off of a file are a hole for certain.
func isHole(f *os.File, off, n int64) bool {
	at, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	if err == unix.ENXIO { // no data from off to the end of the file
		var st unix.Stat_t
		return unix.Fstat(int(f.Fd()), &st) == nil && st.Size >= off+n
	}
	return err == nil && at >= off+n
}

// punchHole frees n bytes from off; they read as zeros then.
func punchHole(f *os.File, off, n int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
}

// reserve has the file system set aside the first n bytes of a file, as far as they
// are not written.
func reserve(f *os.File, n int64) error {
	var st unix.Stat_t
	var fs unix.Statfs_t
	if err := errors.Join(unix.Fstat(int(f.Fd()), &st), unix.Fstatfs(int(f.Fd()), &fs)); err != nil {
		return err
	}
	// Some file systems would take all there is before they say that it is not enough.
	if free := int64(fs.Bavail) * fs.Bsize; fs.Blocks > 0 && n-st.Blocks*512 > free {
		return fmt.Errorf("%w: %d bytes are free", unix.ENOSPC, free)
	}
	err := unix.Fallocate(int(f.Fd()), 0, 0, n)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return errors.ErrUnsupported
	}
	return err
}

// tempFile is a file without a name that lives in memory.
func tempFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("spans", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), "spans"), nil
}

// renameNoReplace renames unless something is at to: fs.ErrExist.
func renameNoReplace(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return renameByLink(from, to)
	}
	return err
}

// syncFS syncs the file system of an open directory.
func syncFS(d *os.File) error { return os.NewSyscallError("syncfs", unix.Syncfs(int(d.Fd()))) }

// bootID names this run of the kernel; "" where that is not known.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
