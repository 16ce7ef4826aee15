package client

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrUsage marks a request that makes no sense as given, whatever the state of
// the ring and the disk.
var ErrUsage = errors.New("cannot be done as asked")

// Hint adds to an error what the person may do next. Commands show it on a
// line of its own.
type Hint struct {
	Err  error
	Next string
}

func (h *Hint) Error() string { return h.Err.Error() }
func (h *Hint) Unwrap() error { return h.Err }

func hint(err error, format string, args ...any) error {
	return &Hint{Err: err, Next: fmt.Sprintf(format, args...)}
}

// Target is where a download of name goes when a person asked for want: empty means
// into Storage; a trailing slash or an existing directory means inside of it; anything
// else is the file or directory itself.
func (c *Client) Target(name, want string) (string, error) {
	return targetPath(c.storage.FilesDir(), name, want)
}

// targetPath is where a download of name goes. want is what the person asked
// for: empty means into filesDir; a trailing slash or an existing directory
// means inside it; anything else is the file or directory itself. The
// directories on the way there are made when data comes.
func targetPath(filesDir, name, want string) (string, error) {
	if want == "-" {
		return "", hint(fmt.Errorf("%w: standard output is the command's own: a daemon cannot write to it", ErrUsage),
			"btclient download NAME -o - does it")
	}
	if want == "" {
		return filepath.Join(filesDir, name), nil
	}
	abs, err := filepath.Abs(want)
	if err != nil {
		return "", fmt.Errorf("target %s: %w", want, err)
	}
	if strings.HasSuffix(want, string(os.PathSeparator)) {
		return filepath.Join(abs, name), nil
	}
	info, err := os.Stat(abs)
	switch {
	case err == nil && info.IsDir():
		return filepath.Join(abs, name), nil
	case err == nil && !info.Mode().IsRegular():
		return "", hint(fmt.Errorf("%w: target %s is a %s", ErrUsage, abs, describeMode(info.Mode())),
			"btclient download NAME -o %s writes to block devices and pipes by itself, without the daemon", abs)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("target %s: %w", abs, err)
	}
	return abs, nil
}

// partPath is where the data of a download is until it is complete: beside the
// target, so that the last step is a rename.
func partPath(target string) string {
	dir, base := filepath.Split(target)
	if len(base)+len(".part") > maxBase {
		sum := sha1.Sum([]byte(base))
		id := "~" + hex.EncodeToString(sum[:4])
		base = cutUTF8(base, maxBase-len(".part")-len(id)) + id
	}
	return filepath.Join(dir, base+".part")
}

func describeMode(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeCharDevice != 0:
		return "character device"
	case m&fs.ModeDevice != 0:
		return "block device"
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	}
	return "special file"
}
