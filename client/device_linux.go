package client

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// usesOf lists in words who uses a device or a partition of it: file systems that are
// mounted, swap, and what is built on top of it (LVM, RAID, dm-crypt). harmless means that
// none of them writes. What is no device has no users.
func usesOf(path string) (uses []string, harmless bool, err error) {
	number, ok := deviceNumber(path)
	if !ok {
		return nil, true, nil
	}
	ours := map[string]bool{number: true}
	sys := filepath.Join("/sys/dev/block", number)
	parts, _ := filepath.Glob(filepath.Join(sys, "*", "partition")) // the pattern is a good one
	dirs := []string{sys}
	for _, p := range parts {
		if b, err := os.ReadFile(filepath.Join(filepath.Dir(p), "dev")); err == nil {
			ours[strings.TrimSpace(string(b))] = true
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	uses, harmless, err = mountsOf(ours)
	if err != nil {
		return nil, false, err
	}
	swaps, err := swapsOf(ours)
	if err != nil {
		return nil, false, err
	}
	uses = append(uses, swaps...)
	for _, dir := range dirs {
		holders, err := os.ReadDir(filepath.Join(dir, "holders"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, false, err
		}
		for _, h := range holders {
			uses, harmless = append(uses, fmt.Sprintf("%s is built on it", h.Name())), false
		}
	}
	return uses, harmless && len(swaps) == 0, nil
}

// deviceNumber is the number of a block device, as the kernel writes it.
func deviceNumber(path string) (string, bool) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return "", false
	}
	return fmt.Sprintf("%d:%d", unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))), true //nolint:unconvert // of another type on other processors
}

// mountsOf lists where devices are mounted; readOnly means that none of them can be written to.
func mountsOf(devices map[string]bool) (mounts []string, readOnly bool, err error) {
	readOnly = true
	err = eachLine("/proc/self/mountinfo", func(line string) {
		// 36 35 98:0 /root /mount/point rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=continue
		mount, system, _ := strings.Cut(line, " - ")
		m, s := strings.Fields(mount), strings.Fields(system)
		if len(m) < 5 || len(s) < 3 {
			return
		}
		number, isDevice := deviceNumber(s[1]) // a file system over several devices has a number of its own
		if !devices[m[2]] && !(isDevice && devices[number]) {
			return
		}
		mounts = append(mounts, "it is mounted at "+unescape(m[4]))
		readOnly = readOnly && strings.HasPrefix(s[2]+",", "ro,")
	})
	return mounts, readOnly, err
}

func swapsOf(devices map[string]bool) (swaps []string, err error) {
	err = eachLine("/proc/swaps", func(line string) {
		f := strings.Fields(line)
		if len(f) == 0 {
			return
		}
		if number, ok := deviceNumber(unescape(f[0])); ok && devices[number] {
			swaps = append(swaps, "it is swap space")
		}
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // a kernel without swap
	}
	return swaps, err
}

func eachLine(path string, do func(line string)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		do(lines.Text())
	}
	return lines.Err()
}

// unescape undoes how these tables write what would end a word.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
