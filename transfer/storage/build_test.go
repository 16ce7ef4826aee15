package storage

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"chordtorrent/scripts/lab"
)

func TestBuildIsSortedCompleteAndRepeatable(t *testing.T) {
	src := sampleTree(t)
	var last int64
	progress := func(done, total int64) {
		if done <= last || done > total {
			t.Errorf("%d after %d of %d", done, last, total)
		}
		last = done
	}
	l, torrent, hash, err := Build(context.Background(), src, "a name", 3, progress, WithAnnounce([][]string{{"http://x/"}}))
	must(t, err)
	_, again, hash2, err := Build(context.Background(), src, "a name", 1, nil, WithAnnounce([][]string{{"http://x/"}}))
	must(t, err)
	if !bytes.Equal(torrent, again) || hash != hash2 || last != l.Total || l.Name != "a name" || l.PieceLength != PieceLength(l.Total) {
		t.Fatalf("%+v: two builds differ, or %d of %d bytes", l, last, l.Total)
	}
	var all []byte
	for i, f := range l.Files {
		if i > 0 && l.Files[i-1].Path >= f.Path {
			t.Fatalf("%q after %q", f.Path, l.Files[i-1].Path)
		}
		data, err := os.ReadFile(filepath.Join(src, f.Path))
		must(t, err)
		all = append(all, data...)
		if f.Exec != strings.HasSuffix(f.Path, ".sh") {
			t.Errorf("%s: executable %v", f.Path, f.Exec)
		}
	}
	for i := range l.NumPieces() {
		sum := sha1.Sum(all[int64(i)*l.PieceLength:][:l.PieceSize(i)])
		if !bytes.Equal(sum[:], l.PieceHash(i)) {
			t.Fatalf("piece %d has another hash", i)
		}
	}
}

func TestLinksInsideAreFollowed(t *testing.T) {
	src := tree(t, map[string]string{"dir/real": "abc", "other/x": "1"})
	must(t, os.Symlink("dir/real", filepath.Join(src, "file link")))
	must(t, os.Symlink("../dir", filepath.Join(src, "other/dir link")))
	l := build(t, src)
	var names []string
	for _, f := range l.Files {
		names = append(names, f.Path)
	}
	if got := strings.Join(names, ","); got != "dir/real,file link,other/dir link/real,other/x" {
		t.Fatal(got)
	}
	to := openTarget(t, l, filepath.Join(t.TempDir(), "part"))
	copyAll(t, openSource(t, l, src), to)
	must(t, to.Finish(filepath.Join(t.TempDir(), "done")))
	if got, _ := os.ReadFile(filepath.Join(to.Path(), "other/dir link/real")); string(got) != "abc" {
		t.Fatalf("%q", got)
	}
	// The link that was given itself is followed wherever it leads.
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(filepath.Join(src, "dir"), link))
	if l := build(t, link); l.Name != "link" || len(l.Files) != 1 {
		t.Fatalf("%+v", l)
	}
}

func TestWhatCannotBePublishedIsNamed(t *testing.T) {
	outside := tree(t, map[string]string{"secret": "x"})
	for name, c := range map[string]struct {
		make func(dir string) error
		want error
		path string
	}{
		"dangling":      {func(d string) error { return os.Symlink("none", filepath.Join(d, "sub/l")) }, ErrLink, "sub/l"},
		"out, relative": {func(d string) error { return os.Symlink("../../../../../../etc/passwd", filepath.Join(d, "sub/l")) }, ErrLink, "sub/l"},
		"out, absolute": {func(d string) error { return os.Symlink(filepath.Join(outside, "secret"), filepath.Join(d, "sub/l")) }, ErrLink, "sub/l"},
		"to itself":     {func(d string) error { return os.Symlink("l", filepath.Join(d, "sub/l")) }, ErrLink, "sub/l"},
		"loop":          {func(d string) error { return os.Symlink("..", filepath.Join(d, "sub/l")) }, ErrLoop, "sub/l"},
		"loop of one":   {func(d string) error { return os.Symlink(".", filepath.Join(d, "sub/l")) }, ErrLoop, "sub/l"},
		"pipe":          {func(d string) error { return syscall.Mkfifo(filepath.Join(d, "sub/p"), 0o644) }, ErrSpecial, "sub/p"},
	} {
		dir := tree(t, map[string]string{"sub/f": "abc"})
		must(t, c.make(dir))
		_, _, _, err := Build(context.Background(), dir, "", 1, nil)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), filepath.Join(dir, c.path)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for path, want := range map[string]error{tree(t, map[string]string{"a/b/": ""}): ErrNothing, "/dev/null": ErrSpecial, filepath.Join(outside, "none"): os.ErrNotExist} {
		if _, _, _, err := Build(context.Background(), path, "", 1, nil); !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for name, want := range map[string]error{"..": ErrNameDots, "a/b": ErrNameSlash} {
		if _, _, _, err := Build(context.Background(), outside, name, 1, nil); !errors.Is(err, want) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, _, _, err := Build(context.Background(), outside, "", 1, nil, WithPieceLength(MaxPieceLength+1)); !errors.Is(err, ErrLengths) {
		t.Error(err)
	}
	if _, _, _, err := Build(context.Background(), outside, "", 1, nil, WithPieceLength(-1)); !errors.Is(err, ErrLengths) {
		t.Error(err)
	}
}

func TestAFileThatChangesWhileItIsHashedIsNamed(t *testing.T) {
	for name, change := range map[string]func(p string) error{
		"grows":   func(p string) error { return os.WriteFile(p, []byte(noise(100_001, 2)), 0o644) },
		"shrinks": func(p string) error { return os.Truncate(p, 5) },
		"differs": func(p string) error { return os.WriteFile(p, []byte(noise(100_000, 2)), 0o644) },
		"goes":    os.Remove,
	} {
		src := tree(t, map[string]string{"a": noise(100_000, 1), "b": noise(100_000, 1)})
		p, first := filepath.Join(src, "b"), true
		_, _, _, err := Build(context.Background(), src, "", 1, func(done, total int64) {
			if first {
				first = false
				must(t, change(p))
			}
		})
		if !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), p) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHashingCanBeStopped(t *testing.T) {
	src := tree(t, map[string]string{"a": noise(200_000, 1)})
	ctx, cancel := context.WithCancel(context.Background())
	_, _, _, err := Build(ctx, src, "", 2, func(done, total int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	c := openSource(t, build(t, src), src)
	if _, err := Verify(ctx, c, 2, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestVerifyFindsWhatIsWrongAndWhatIsMissing(t *testing.T) {
	src := tree(t, map[string]string{"a": noise(40_000, 1), "b": noise(40_000, 2), "c": noise(40_000, 3)})
	l := build(t, src, WithPieceLength(10_000))
	part := filepath.Join(t.TempDir(), "part")
	c := openTarget(t, l, part)
	if have, err := Verify(context.Background(), c, 2, nil); err != nil || !have.None() {
		t.Fatalf("empty target: %v %v", have, err)
	}
	copyAll(t, openSource(t, l, src), c)
	must(t, os.Remove(filepath.Join(part, "c")))
	must(t, c.Close())
	f, err := os.OpenFile(filepath.Join(part, "b"), os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt([]byte("X"), 25_000)
	must(t, err)
	must(t, f.Close())
	have, err := Verify(context.Background(), openTarget(t, l, part), 2, nil)
	must(t, err)
	if have.Count() != 7 || have.Get(6) || have.Get(8) || have.Get(11) {
		t.Fatalf("% x", have.Bytes())
	}
	must(t, os.Truncate(filepath.Join(src, "a"), 35_000))
	must(t, os.WriteFile(filepath.Join(src, "b"), []byte(noise(40_000, 2)), 0o644)) // touched, but right
	published, err := newContent(l, src, false)
	must(t, err)
	defer published.Close()
	if have, err = Verify(context.Background(), published, 2, nil); err != nil || have.Count() != 11 || have.Get(3) {
		t.Fatalf("%v %v", have, err)
	}
}

// A disk image that is mostly not there: hashed, written and verified without
// reading or writing what is not there.
func TestFiveGiBOfNothing(t *testing.T) {
	const size = 5 << 30
	src := filepath.Join(t.TempDir(), "disk.img")
	f, err := os.Create(src)
	must(t, err)
	must(t, f.Truncate(size))
	_, err = f.WriteAt([]byte("boot"), 3<<30)
	must(t, err)
	must(t, f.Close())

	l := build(t, src)
	if l.NumPieces() != 5120 || l.PieceLength != 1<<20 {
		t.Fatalf("%d pieces of %d", l.NumPieces(), l.PieceLength)
	}
	zero, boot := sha1.Sum(make([]byte, 1<<20)), make([]byte, 1<<20)
	copy(boot, "boot")
	sum := sha1.Sum(boot)
	if !bytes.Equal(l.PieceHash(0), zero[:]) || !bytes.Equal(l.PieceHash(5119), zero[:]) || !bytes.Equal(l.PieceHash(3072), sum[:]) {
		t.Fatal("wrong hashes")
	}

	part := filepath.Join(t.TempDir(), "part")
	to := openTarget(t, l, part)
	empty := make([]byte, 1<<20)
	for i := range l.NumPieces() {
		data := empty
		if i == 3072 {
			data = boot
		}
		must(t, to.WritePiece(i, data))
	}
	have, err := Verify(context.Background(), to, 2, nil)
	if err != nil || !have.All() {
		t.Fatalf("%d right, %v", have.Count(), err)
	}
	final := filepath.Join(filepath.Dir(part), "disk.img")
	must(t, to.Finish(final))
	if use := diskUse(t, final); use > 1<<20 {
		t.Fatalf("takes %d bytes on disk", use)
	}
	if fi, err := os.Stat(final); err != nil || fi.Size() != size {
		t.Fatal(fi, err)
	}
}

// The source tree of Go is what a real tree looks like.
func TestARealTree(t *testing.T) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	src := filepath.Join(strings.TrimSpace(string(root)), "src", "encoding")
	l := build(t, src)
	to := openTarget(t, l, filepath.Join(t.TempDir(), "part"))
	copyAll(t, openSource(t, l, src), to)
	have, err := Verify(context.Background(), to, 2, nil)
	if err != nil || !have.All() {
		t.Fatal(err)
	}
}

func BenchmarkHash(b *testing.B) {
	const size = 256 << 20
	src := filepath.Join(b.TempDir(), "f")
	must(b, os.WriteFile(src, bytes.Repeat([]byte(noise(1<<20, 1)), size>>20), 0o644))
	l, err := survey(src, "", options{})
	must(b, err)
	c := openSource(b, l, src)
	b.SetBytes(size)
	began := lab.CPUTime()
	for b.Loop() {
		must(b, hashPieces(context.Background(), c, nil, 0, nil, func(int, [HashLen]byte) {}))
	}
	b.ReportMetric(float64(b.N)*size/1e6/(lab.CPUTime()-began).Seconds(), "MB/cpu-s")
}

// What one core does with memory: the yardstick for BenchmarkHash.
func BenchmarkSHA1(b *testing.B) {
	buf := make([]byte, 1<<20)
	b.SetBytes(int64(len(buf)))
	began := lab.CPUTime()
	for b.Loop() {
		sha1.Sum(buf)
	}
	b.ReportMetric(float64(b.N)*float64(len(buf))/1e6/(lab.CPUTime()-began).Seconds(), "MB/cpu-s")
}

func BenchmarkHashHoles(b *testing.B) {
	const size = 64 << 30
	src := filepath.Join(b.TempDir(), "f")
	must(b, os.WriteFile(src, nil, 0o644))
	must(b, os.Truncate(src, size))
	l, err := survey(src, "", options{})
	must(b, err)
	c := openSource(b, l, src)
	b.SetBytes(size)
	for b.Loop() {
		must(b, hashPieces(context.Background(), c, nil, 0, nil, func(int, [HashLen]byte) {}))
	}
}

func BenchmarkSpans(b *testing.B) {
	src := filepath.Join(tree(b, map[string]string{"f": noise(1<<20, 1)}), "f")
	c := openSource(b, build(b, src), src)
	for b.Loop() {
		_, release, err := c.Spans(16384, 16384)
		must(b, err)
		release()
	}
}

func BenchmarkWritePiece(b *testing.B) {
	src := filepath.Join(tree(b, map[string]string{"f": noise(1<<20, 1)}), "f")
	l := build(b, src, WithPieceLength(1<<20))
	c := openTarget(b, l, filepath.Join(b.TempDir(), "part"))
	data := []byte(noise(1<<20, 1))
	b.SetBytes(1 << 20)
	for b.Loop() {
		must(b, c.WritePiece(0, data))
	}
}
