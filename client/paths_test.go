package client

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTargetPath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, "file", "x")
	if err := os.Mkdir("folder", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo("pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want, path string // path empty: an error
	}{
		{"", filepath.Join("/files", "n")},
		{"x", filepath.Join(dir, "x")},
		{"file", filepath.Join(dir, "file")},
		{"folder", filepath.Join(dir, "folder", "n")},
		{"new/", filepath.Join(dir, "new", "n")},
		{"a/b/x", filepath.Join(dir, "a", "b", "x")},
		{filepath.Join(dir, "abs"), filepath.Join(dir, "abs")},
		{"-", ""},
		{"pipe", ""},
		{"file/x", ""},
	} {
		got, err := targetPath("/files", "n", c.want)
		if c.path == "" {
			if err == nil {
				t.Errorf("-o %s: %q instead of an error", c.want, got)
			}
			continue
		}
		if err != nil || got != c.path {
			t.Errorf("-o %s: %q, %v, want %q", c.want, got, err, c.path)
		}
	}
	if _, err := targetPath("/files", "n", "-"); !errors.Is(err, ErrUsage) {
		t.Errorf("standard output: %v", err)
	}
}

func TestPartPath(t *testing.T) {
	if got := partPath("/t/x.iso"); got != "/t/x.iso.part" {
		t.Errorf("%q", got)
	}
	a, b := strings.Repeat("é", 127), strings.Repeat("é", 126)+"xx"
	pa, pb := filepath.Base(partPath("/t/"+a)), filepath.Base(partPath("/t/"+b))
	if len(pa) > maxBase || !strings.HasSuffix(pa, ".part") || strings.ContainsRune(pa, '\uFFFD') {
		t.Errorf("%q", pa)
	}
	if pa == pb {
		t.Errorf("two targets share %q", pa)
	}
}

func TestCheckSource(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, "file", "x")
	write(t, "tree/deep/er/file", "")
	if err := os.MkdirAll("empty/inside", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo("pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", "link"); err != nil {
		t.Fatal(err)
	}
	for path, wrong := range map[string]string{
		"file": "", "tree": "", "link": "", "./tree/": "",
		"missing": "there is no file", "empty": "holds no file", "pipe": "named pipe",
	} {
		got, err := checkSource(path)
		if wrong == "" {
			if err != nil || got != filepath.Join(dir, path) {
				t.Errorf("%s: %q, %v", path, got, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), wrong) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", path, err, wrong)
		}
		if _, ok := errors.AsType[*Hint](err); !ok {
			t.Errorf("%s: no hint", path)
		}
	}
}

func TestTorrentFile(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "here.torrent", "d4:infod0:0:ee")
	write(t, "sub/any", "x")
	for _, c := range []struct {
		source string
		file   bool
		wrong  error
	}{
		{"name", false, nil},
		{"gone.torrent", false, nil},
		{"here.torrent", true, nil},
		{"./here.torrent", true, nil},
		{"sub/any", true, nil},
		{"sub/none", false, ErrUsage},
		{"./sub", false, ErrUsage},
		{"udp://host:1/announce", false, ErrUsage},
		{"FTP://host/x.torrent", false, ErrUsage},
	} {
		_, file, err := torrentFile(c.source)
		if file != c.file || !errors.Is(err, c.wrong) {
			t.Errorf("%s: file %v, %v", c.source, file, err)
		}
	}
}

func TestFingerprintSeesChanges(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "t/a"), "one")
	write(t, filepath.Join(dir, "t/sub/b"), "two")
	of := func() string {
		t.Helper()
		fp, err := fingerprintOf(filepath.Join(dir, "t"))
		if err != nil {
			t.Fatal(err)
		}
		return fp.digest
	}
	old := of()
	if of() != old {
		t.Error("it changes by looking")
	}
	if err := os.Chtimes(filepath.Join(dir, "t/a"), time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
		t.Fatal(err)
	}
	touched := of()
	write(t, filepath.Join(dir, "t/sub/c"), "")
	added := of()
	if err := os.Symlink("a", filepath.Join(dir, "t/link")); err != nil {
		t.Fatal(err)
	}
	linked := of()
	if old == touched || touched == added || added == linked {
		t.Error("a change went unseen")
	}
	if err := os.Rename(filepath.Join(dir, "t"), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	fp, err := fingerprintOf(filepath.Join(dir, "moved"))
	if err != nil || fp.digest != linked || fp.bytes != 9 {
		t.Errorf("after a move: %+v, %v", fp, err)
	}
}

func TestFingerprintOfARecentChangeIsNotTrusted(t *testing.T) {
	fp := fingerprint{digest: "d", newest: time.Unix(1e9, 500)}
	if fp.trustedAt(fp.newest.Add(time.Millisecond)) != "" {
		t.Error("a write in the same tick of the clock would go unseen")
	}
	if fp.trustedAt(fp.newest.Add(time.Second)) != "d" {
		t.Error("a file that rests is not trusted")
	}
	fp.newest = time.Unix(1e9, 0)
	if fp.trustedAt(fp.newest.Add(time.Second)) != "" {
		t.Error("a file system that counts seconds is trusted too early")
	}
}

func TestCopyInto(t *testing.T) {
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	write(t, filepath.Join(src, "a"), "content")
	write(t, filepath.Join(src, "deep/er/empty"), "")
	if err := os.Chmod(filepath.Join(src, "a"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../a", filepath.Join(src, "deep/link")); err != nil {
		t.Fatal(err)
	}
	sparse, err := os.Create(filepath.Join(src, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sparse.WriteAt([]byte("end"), 64<<20); err != nil {
		t.Fatal(err)
	}
	sparse.Close()
	var last int64
	dst := filepath.Join(dir, "dst")
	if err := copyInto(t.Context(), src, dst, func(done int64) { last = done }); err != nil {
		t.Fatal(err)
	}
	if want := int64(64<<20 + 3 + 2*len("content")); last != want {
		t.Errorf("%d bytes reported, want %d", last, want)
	}
	for file, want := range map[string]string{"a": "content", "deep/link": "content", "deep/er/empty": ""} {
		got, err := os.ReadFile(filepath.Join(dst, file))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", file, got, err)
		}
		if info, err := os.Lstat(filepath.Join(dst, file)); err != nil || !info.Mode().IsRegular() {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	was, _ := os.Stat(filepath.Join(src, "a"))
	is, _ := os.Stat(filepath.Join(dst, "a"))
	if was.ModTime() != is.ModTime() || was.Mode() != is.Mode() {
		t.Errorf("times and permissions: %v %v, want %v %v", is.ModTime(), is.Mode(), was.ModTime(), was.Mode())
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(dst, "sparse"), &st); err != nil || st.Blocks*512 > 8<<20 {
		t.Errorf("the hole became %d bytes on disk, %v", st.Blocks*512, err)
	}
}

func TestCopyRefusesWhatLeadsOutside(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "secret"), "s")
	src := filepath.Join(dir, "src")
	write(t, filepath.Join(src, "a"), "x")
	for link, to := range map[string]string{"out": "../secret", "self": ".", "gone": "nothing"} {
		path := filepath.Join(src, link)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		if err := copyInto(t.Context(), src, filepath.Join(dir, "dst-"+link), nil); err == nil || !strings.Contains(err.Error(), link) {
			t.Errorf("%s -> %s: %v", link, to, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}
