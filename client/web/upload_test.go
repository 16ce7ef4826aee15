package web

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// What a person published before stays where it is, unless the new is in its place:
// also when the new cannot go there, and when the process dies between the two moves.
func TestReplaceLosesNothing(t *testing.T) {
	dir := t.TempDir()
	uploads, files := filepath.Join(dir, "uploads"), filepath.Join(dir, "files")
	from, aside, to := filepath.Join(uploads, "ID"), filepath.Join(uploads, "ID"+oldSuffix), filepath.Join(files, "disk.img")
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	holds := func(path, want string) {
		t.Helper()
		if b, err := os.ReadFile(path); err != nil || string(b) != want {
			t.Errorf("%s has %q, %v; want %q", path, b, err, want)
		}
	}
	start := func() {
		t.Helper()
		_, err := openUploads(uploads, files)
		check(err)
	}
	check(os.Mkdir(files, 0o755))
	start()
	for _, content := range []string{"first", "second"} {
		check(os.WriteFile(from, []byte(content), 0o644))
		check(replace(from, to, aside))
		holds(to, content)
	}
	holds(filepath.Join(aside, "disk.img"), "first")
	// It was not wanted.
	check(putBack(from, to, aside))
	holds(to, "first")
	holds(from, "second")
	check(replace(from, to, aside))
	// It died before it removed the old.
	start()
	holds(to, "second")
	if err := replace(from, to, aside); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("with nothing to put there: %v", err)
	}
	holds(to, "second")
	if left, err := os.ReadDir(uploads); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	// It died when the old was aside.
	check(os.Mkdir(aside, 0o755))
	check(os.Rename(to, filepath.Join(aside, "disk.img")))
	start()
	holds(to, "second")
}
