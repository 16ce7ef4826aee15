package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// writesTo says in a form of its own how much has been written to a device since the machine
// was started, and which device that is: the kernel counts, for a partition and for the disk
// that it is on. It does not count what is not on disk yet. Of a file it is what it looks like.
func writesTo(f *os.File) (state string, known bool) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return "", false
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return fmt.Sprint(st.Dev, st.Ino, st.Size, st.Mtim.Nano()), true
	}
	number := fmt.Sprintf("%d:%d", unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))) //nolint:unconvert // of another type on other processors
	dir, err := filepath.EvalSymlinks(filepath.Join("/sys/dev/block", number))
	if err != nil || bootID() == "" {
		return "", false
	}
	state = bootID() + " " + number
	disk := dir
	if _, err := os.Stat(filepath.Join(dir, "partition")); err == nil {
		disk = filepath.Dir(dir)
	}
	// Another disk, or file behind a loop device, under the same number; older kernels do not say.
	seq, err := os.ReadFile(filepath.Join(disk, "diskseq"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	state += " " + strings.TrimSpace(string(seq))
	counts, known := writeCounts(dir, disk)
	return state + counts, known
}

// writeCounts are the kernel's counts for a device, or partition, and the disk that it is on,
// by their directories in /sys. They are not known where the kernel was told not to count, or
// the driver does not, as that of a RAM disk: whoever asks has written.
func writeCounts(dir, disk string) (counts string, known bool) {
	if b, err := os.ReadFile(filepath.Join(disk, "queue", "iostats")); err == nil && strings.TrimSpace(string(b)) == "0" {
		return "", false
	}
	for _, d := range []string{dir, disk} {
		b, err := os.ReadFile(filepath.Join(d, "stat"))
		n := strings.Fields(string(b))
		if err != nil || len(n) < 14 || n[6] == "0" {
			return "", false
		}
		// Requests and sectors that were written and discarded: Documentation/block/stat.rst.
		counts += " " + strings.Join([]string{n[4], n[6], n[11], n[13]}, " ")
	}
	return counts, true
}

// zeroRange has a range of a file or device read as zeros; a device without a way of its own
// is written to. It fails where the file system cannot do that, or the range is not of sectors.
func zeroRange(f *os.File, off, n int64) error {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_ZERO_RANGE|unix.FALLOC_FL_KEEP_SIZE, off, n)
}
