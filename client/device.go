package client

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrInUse means that a device has another user: it is mounted, for example.
var ErrInUse = errors.New("in use")

// isDevice says whether something is a block device. Tests have files stand for some.
var isDevice = func(info fs.FileInfo) bool {
	return info.Mode()&fs.ModeDevice != 0 && info.Mode()&fs.ModeCharDevice == 0
}

// IsDevice says whether there is a block device at a path.
func IsDevice(path string) bool {
	info, err := os.Stat(path)
	return err == nil && isDevice(info)
}

// OpenDevice opens a block device for reading from its begin to its end, as a Stream. While
// it is in use by somebody who may write to it, which would make a mixture of old and new of
// the copy, that is ErrInUse; not with force. A device that ends before its size, as one that
// is pulled out does, gives io.ErrUnexpectedEOF there.
func OpenDevice(path string, force bool) (*Stream, io.Closer, error) {
	f, err := claimDevice(path, os.O_RDONLY, force)
	if err != nil {
		return nil, nil, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("finding out how large %s is: %w", path, bare(err)), f.Close())
	}
	return &Stream{Reader: &whole{f, size}, From: path, Size: size}, f, nil
}

// whole reads what is to have so many bytes more. The kernel says of a device that is gone,
// or has become smaller, that it ends there: that is no end of what was to be copied.
type whole struct {
	r    io.Reader
	left int64
}

func (w *whole) Read(p []byte) (int, error) {
	if w.left == 0 {
		return 0, io.EOF
	}
	n, err := w.r.Read(p[:min(int64(len(p)), w.left)])
	if w.left -= int64(n); w.left > 0 && err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// claimDevice opens a device and, unless forced, keeps others from mounting it until it is
// closed. Users that the kernel tells of by name are named.
func claimDevice(path string, flags int, force bool) (*os.File, error) {
	inUse := func(uses string) error {
		err := fmt.Errorf("%s is %w: %s", path, ErrInUse, uses)
		if flags&os.O_RDWR != 0 {
			return hint(err, "unmount it, and let go of it what else uses it; with --force it is overwritten all the same")
		}
		return hint(err, "it may change while it is read: unmount it, or mount it read-only; with --force it is read as it is")
	}
	if !force {
		uses, harmless, err := usesOf(path)
		if err != nil {
			return nil, fmt.Errorf("seeing who uses %s: %w", path, err)
		}
		if len(uses) > 0 && (flags&os.O_RDWR != 0 || !harmless) {
			return nil, inUse(strings.Join(uses, ", "))
		}
		if len(uses) == 0 {
			flags |= unix.O_EXCL // of a device: no other program may have it for itself, as who mounts it has
		}
	}
	f, err := os.OpenFile(path, flags, 0)
	if errors.Is(err, unix.EBUSY) {
		return nil, inUse("the kernel says that another program has it for itself")
	}
	if err != nil {
		return nil, hint(fmt.Errorf("opening %s: %w", path, bare(err)), "check its permissions: devices are root's, as a rule")
	}
	return f, nil
}
