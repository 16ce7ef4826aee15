package storage

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// OpenDevice has the only file of a torrent go into what is there already and keeps its size,
// a block device: from its begin on, at least Total bytes long. f is open for reading and
// writing at path, and stays the caller's, who closes it after the Content. Zeros are written
// as such, if the device cannot make them itself, as it has held something before.
//
// What is written goes through the page cache, in whole pieces at multiples of their length,
// and not by O_DIRECT: peers are served from that cache by sendfile while it comes in, the
// kernel can write while the next pieces are received, and the last piece need not end where
// a sector does. Sync waits for the device.
func OpenDevice(l *Layout, f *os.File, path string) (*Content, error) {
	if !l.Single {
		return nil, fmt.Errorf("open %s: %q is a directory, and a device takes one file", path, l.Name)
	}
	c, err := newContent(l, path, true)
	if err != nil {
		return nil, err
	}
	c.device, c.older = f, true
	return c, nil
}

// errDeviceEnds stands for ENOSPC, which is how the kernel tells of a device that is written
// to behind its end; it was long enough when it was opened, and nobody can make room on it.
var errDeviceEnds = errors.New("the device ends before that: it has become smaller, or is gone")

// openDeviceFile gives the cache a descriptor to close.
func (c *Content) openDeviceFile() (*os.File, error) {
	fd, err := unix.FcntlInt(c.device.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", c.Path(), err)
	}
	return os.NewFile(uintptr(fd), c.Path()), nil
}

// statDevice is stat for a device, whose time says nothing.
func (c *Content) statDevice() (stamp, error) {
	size, err := c.device.Seek(0, io.SeekEnd)
	if err != nil {
		return stamp{}, fmt.Errorf("%s: %w", c.Path(), reason(err))
	}
	return stamp{size: size}, nil
}

// deviceFingerprint is Fingerprint for a device: that nobody has written to it since. Where
// that is not known no two are equal.
func (c *Content) deviceFingerprint() (sum [32]byte, err error) {
	state, known := writesTo(c.device)
	if !known {
		_, _ = rand.Read(sum[:]) // never fails
		return sum, nil
	}
	return sha256.Sum256([]byte(state)), nil
}
