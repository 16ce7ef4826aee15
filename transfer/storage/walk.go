package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// What can be wrong with a directory that is to be published.
var (
	// ErrSpecial: a device, pipe or socket.
	ErrSpecial = errors.New("neither a file nor a directory: it cannot be published, move it away")
	// ErrLink: a symbolic link that does not lead to something in the directory.
	ErrLink = errors.New("cannot follow this symbolic link: it is absolute, leads out of the directory, or to nothing")
	// ErrLoop: a symbolic link to a directory that it lies in.
	ErrLoop = errors.New("a symbolic link to a directory above it: following it would never end")
	// ErrNothing: a directory without any file.
	ErrNothing = errors.New("there is no file in this directory")
)

// walk collects the regular files below a directory, or below those entries of it, sorted
// by path, with what they look like. Symbolic links are followed as long as they stay
// inside.
func walk(dir string, only []string) ([]File, []stamp, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", dir, reason(err))
	}
	defer root.Close()
	w := walker{dir: dir, root: root, only: only}
	top, err := root.Stat(".")
	if err == nil {
		err = w.walk(".", []fs.FileInfo{top})
	}
	if err != nil {
		return nil, nil, err
	}
	if len(w.found) == 0 {
		return nil, nil, fmt.Errorf("%s: %w", dir, ErrNothing)
	}
	slices.SortFunc(w.found, func(a, b foundFile) int { return strings.Compare(a.Path, b.Path) })
	var files []File
	var stamps []stamp
	var total int64
	for _, f := range w.found {
		f.Offset = total
		total += f.Length
		files = append(files, f.File)
		stamps = append(stamps, f.stamp)
	}
	return files, stamps, nil
}

type foundFile struct {
	File
	stamp
}

type walker struct {
	dir   string
	root  *os.Root
	only  []string // of the uppermost entries; nil: all
	found []foundFile
}

// walk adds what is below dir. above are the directories that dir lies in, and
// dir itself, last.
func (w *walker) walk(dir string, above []fs.FileInfo) error {
	d, err := w.root.Open(dir)
	if err != nil {
		return w.fail("open", dir, err)
	}
	entries, err := d.ReadDir(-1)
	d.Close()
	if err != nil {
		return w.fail("read", dir, err)
	}
	for _, e := range entries {
		if dir == "." && w.only != nil && !slices.Contains(w.only, e.Name()) {
			continue
		}
		name := path.Join(dir, e.Name())
		fi, err := w.root.Stat(name)
		link := e.Type()&fs.ModeSymlink != 0
		switch {
		case err != nil && link:
			return w.fail("follow", name, ErrLink)
		case err != nil:
			return w.fail("stat", name, err)
		case fi.IsDir():
			if link && slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, fi) }) {
				return w.fail("follow", name, ErrLoop)
			}
			if err := w.walk(name, append(slices.Clip(above), fi)); err != nil {
				return err
			}
		case !fi.Mode().IsRegular():
			return w.fail("publish", name, ErrSpecial)
		default:
			w.found = append(w.found, foundFile{
				File{Path: name, Length: fi.Size(), Exec: fi.Mode()&0o111 != 0},
				stamp{fi.Size(), fi.ModTime().UnixNano()},
			})
			if len(w.found) > MaxFiles {
				return w.fail("publish", ".", fmt.Errorf("%w: more than %d, publish it in parts", ErrTooManyFiles, MaxFiles))
			}
		}
	}
	return nil
}

func (w *walker) fail(op, name string, err error) error {
	return fmt.Errorf("%s %s: %w", op, filepath.Join(w.dir, name), reason(err))
}
