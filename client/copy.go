package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// copyChunk is how much is copied between two looks at whether to go on.
const copyChunk = 8 << 20

// copyInto puts a copy of the file or directory src at dst, where nothing may
// be: file by file, sharing the blocks on disk where the file system can
// (reflink), keeping holes where it cannot, with the files' times and
// permissions. Symbolic links become what they point to if that is inside src.
// progress, if not nil, is told how many bytes have been copied.
func copyInto(ctx context.Context, src, dst string, progress func(done int64)) error {
	info, err := os.Stat(src)
	if err != nil {
		return err
	}
	var done int64
	count := func(n int64) {
		done += n
		if progress != nil {
			progress(done)
		}
	}
	if !info.IsDir() {
		return copyFile(ctx, src, dst, info, count)
	}
	root, err := filepath.EvalSymlinks(src)
	if err != nil {
		return err
	}
	return copyDir(ctx, root, root, dst, count)
}

func copyDir(ctx context.Context, root, src, dst string, count func(int64)) error {
	entries, err := os.ReadDir(src)
	if err != nil {
		return err
	}
	if err := os.Mkdir(dst, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		from, to := filepath.Join(src, e.Name()), filepath.Join(dst, e.Name())
		if e.Type()&fs.ModeSymlink != 0 {
			link := from
			if from, err = filepath.EvalSymlinks(link); err != nil {
				return fmt.Errorf("%s is a symbolic link that leads nowhere: %w", link, err)
			}
			if !isInside(root, from) {
				return fmt.Errorf("%s is a symbolic link to %s, outside of what is published", link, from)
			}
			if isInside(from, link) {
				return fmt.Errorf("%s is a symbolic link to a directory that it is in", link)
			}
		}
		info, err := os.Stat(from)
		if err != nil {
			return err
		}
		switch {
		case info.IsDir():
			err = copyDir(ctx, root, from, to, count)
		case info.Mode().IsRegular():
			err = copyFile(ctx, from, to, info, count)
		default:
			err = fmt.Errorf("%s is a %s, which cannot be published", from, describeMode(info.Mode()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isInside says whether path is dir or below it; both are clean and absolute.
func isInside(dir, path string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

func copyFile(ctx context.Context, src, dst string, info fs.FileInfo, count func(int64)) (err error) {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, info.Mode().Perm()|0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := out.Close(); err == nil {
			err = closeErr
		}
		if err == nil {
			err = os.Chtimes(dst, info.ModTime(), info.ModTime())
		}
	}()
	if reflink(out, in) == nil {
		count(info.Size())
		return nil
	}
	if err := out.Truncate(info.Size()); err != nil {
		return err
	}
	for off := int64(0); off < info.Size(); {
		from, to := dataAfter(in, off, info.Size())
		count(from - off)
		for off = from; off < to; {
			if err := ctx.Err(); err != nil {
				return err
			}
			n, err := copyRange(out, in, off, min(copyChunk, to-off))
			count(n)
			off += n
			if err != nil {
				return fmt.Errorf("copying %s: %w", src, err)
			}
		}
	}
	return nil
}

func copyRange(out, in *os.File, off, n int64) (int64, error) {
	if _, err := in.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	if _, err := out.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	done, err := io.CopyN(out, in, n)
	if errors.Is(err, io.EOF) {
		err = errors.New("the file became shorter meanwhile")
	}
	return done, err
}
