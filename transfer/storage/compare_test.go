package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestCompareNamesWhatIsWrong(t *testing.T) {
	dir := tree(t, map[string]string{"a": noise(20000, 1), "b": noise(50000, 2), "c/d": noise(40000, 3), "c/e": noise(5, 4), "f": "", "g/h": noise(10, 5), "i": noise(10, 6)})
	l := build(t, dir)
	compare := func() string {
		c, err := OpenAsIs(l, dir)
		must(t, err)
		defer c.Close()
		right, err := Verify(context.Background(), c, 2, nil)
		must(t, err)
		return fmt.Sprintf("%+v", c.Compare(right))
	}
	if got := compare(); got != "[]" {
		t.Fatal(got)
	}
	// Pieces of 16 KiB: a is 0-1, b 1-4, c/d 4-6, c/e, g/h and i 6.
	spoiled, err := os.OpenFile(filepath.Join(dir, "b"), os.O_WRONLY, 0)
	must(t, err)
	_, err = spoiled.WriteAt([]byte{0}, 30000) // byte 50000 of all, in piece 3
	must(t, err)
	must(t, spoiled.Close())
	if got, want := compare(), "[{Path:b Why: Pieces:[{First:3 Last:3}]}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	must(t, os.Truncate(filepath.Join(dir, "a"), 20001))
	must(t, os.Truncate(filepath.Join(dir, "c/d"), 100))
	must(t, os.Remove(filepath.Join(dir, "f")))
	must(t, os.Remove(filepath.Join(dir, "i")))
	must(t, os.Mkdir(filepath.Join(dir, "i"), 0o755))
	must(t, os.RemoveAll(filepath.Join(dir, "g")))
	must(t, os.WriteFile(filepath.Join(dir, "g"), nil, 0o644))
	want := "[{Path:a Why:it has 20001 bytes, not 20000 Pieces:[]} {Path:b Why: Pieces:[{First:3 Last:4}]} " +
		"{Path:c/d Why:it has 100 bytes, not 40000 Pieces:[{First:4 Last:6}]} {Path:c/e Why: Pieces:[{First:6 Last:6}]} " +
		"{Path:f Why:it is missing Pieces:[]} {Path:g/h Why:not a directory Pieces:[{First:6 Last:6}]} {Path:i Why:not a regular file Pieces:[{First:6 Last:6}]}]"
	if got := compare(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if _, err := OpenAsIs(l, dir+".not"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestOneFileIsComparedToo(t *testing.T) {
	dir := tree(t, map[string]string{"x": noise(40000, 1)})
	path := filepath.Join(dir, "x")
	l := build(t, path)
	must(t, os.Truncate(path, 20000))
	c, err := OpenAsIs(l, path)
	must(t, err)
	defer c.Close()
	right, err := Verify(context.Background(), c, 1, nil)
	must(t, err)
	if got, want := fmt.Sprintf("%+v", c.Compare(right)), "[{Path:x Why:it has 20000 bytes, not 40000 Pieces:[{First:1 Last:2}]}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if _, err := OpenAsIs(l, path+".not"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
