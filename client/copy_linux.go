package client

import (
	"os"

	"golang.org/x/sys/unix"
)

// reflink makes dst share src's blocks; an error where the file system cannot.
func reflink(dst, src *os.File) error {
	return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd()))
}

// dataAfter is the first stretch of data at off or later; from and to are both
// size when only a hole is left.
func dataAfter(f *os.File, off, size int64) (from, to int64) {
	from, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
	if err == unix.ENXIO {
		return size, size
	}
	if err != nil {
		return off, size // a file system without holes
	}
	to, err = unix.Seek(int(f.Fd()), from, unix.SEEK_HOLE)
	if err != nil || to > size {
		to = size
	}
	return min(from, size), to
}
