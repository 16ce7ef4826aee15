package storage

import (
	"bytes"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"chordtorrent/transfer/wire"
)

// started is a download in its second session's place: a target with one piece
// written, and its journal.
func started(t *testing.T) (l *Layout, part, path string, c *Content, j *Journal) {
	t.Helper()
	src := filepath.Join(tree(t, map[string]string{"f": noise(100_000, 1)}), "f")
	l = build(t, src)
	base := t.TempDir()
	part, path = filepath.Join(base, "part"), filepath.Join(base, "sub", "journal")
	c = openTarget(t, l, part)
	j = journal(t, path, l)
	for _, i := range []int{5, 0, 3} {
		must(t, c.WritePiece(i, []byte(noise(100_000, 1))[int64(i)*l.PieceLength:][:l.PieceSize(i)]))
		must(t, j.Add(i))
		must(t, j.Add(i))
	}
	return l, part, path, c, j
}

func journal(t *testing.T, path string, l *Layout) *Journal {
	t.Helper()
	j, err := OpenJournal(path, [20]byte{1}, l.NumPieces())
	must(t, err)
	t.Cleanup(func() { j.Close() })
	return j
}

func wantBits(t *testing.T, j *Journal, trusted bool, c *Content, pieces ...int) {
	t.Helper()
	want := wire.NewBits(j.Bits().Len())
	for _, i := range pieces {
		want.Set(i)
	}
	if !j.Bits().Equal(want) || j.Trusted(c) != trusted {
		t.Fatalf("pieces % x, want % x; trusted %v", j.Bits().Bytes(), want.Bytes(), j.Trusted(c))
	}
}

func TestAJournalClosedInOrderIsTrusted(t *testing.T) {
	l, part, path, c, j := started(t)
	wantBits(t, j, false, c, 0, 3, 5)
	must(t, j.CloseClean(c))
	must(t, c.Close())
	if err := j.Add(1); !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
	// Looking at it does not change that, whether it is closed again or not.
	for range 2 {
		c = openTarget(t, l, part)
		j = journal(t, path, l)
		wantBits(t, j, true, c, 0, 3, 5)
		must(t, j.Close())
		must(t, c.Close())
	}
	// Going on does, until it is closed in order again.
	c, j = openTarget(t, l, part), journal(t, path, l)
	must(t, j.Add(1))
	must(t, j.Close())
	j = journal(t, path, l)
	wantBits(t, j, false, c, 0, 1, 3, 5)
	must(t, j.CloseClean(c))
	j = journal(t, path, l)
	wantBits(t, j, true, c, 0, 1, 3, 5)
}

func TestAJournalOfOtherFilesIsNotTrusted(t *testing.T) {
	for name, change := range map[string]func(part string) error{
		"written": func(part string) error { return os.WriteFile(part, []byte(noise(100_000, 2)), 0o644) },
		"shorter": func(part string) error { return os.Truncate(part, 5) },
		"gone":    os.Remove,
	} {
		l, part, path, c, j := started(t)
		must(t, j.CloseClean(c))
		must(t, c.Close())
		must(t, change(part))
		c, err := newContent(l, part, true)
		must(t, err)
		if j = journal(t, path, l); j.Trusted(c) {
			t.Errorf("%s: trusted", name)
		}
	}
}

func TestARebootIsSurvivedOnlyBySyncedData(t *testing.T) {
	for _, sync := range []bool{false, true} {
		l, part, path, c, j := started(t)
		if sync {
			must(t, c.Sync())
		}
		must(t, j.CloseClean(c))
		must(t, c.Close())
		c, j = openTarget(t, l, part), journal(t, path, l)
		if !j.Trusted(c) {
			t.Fatal("the same boot")
		}
		j.had.boot[0] ^= 1
		if j.Trusted(c) != sync {
			t.Fatalf("another boot, synced %v: trusted %v", sync, !sync)
		}
	}
}

func TestATornOrDamagedJournalKeepsWhatIsGood(t *testing.T) {
	l, part, path, c, j := started(t)
	must(t, j.Close())
	must(t, c.Close())
	whole, err := os.ReadFile(path)
	must(t, err)
	c = openTarget(t, l, part)
	const record = 9
	for cut := range whole {
		must(t, os.WriteFile(path, whole[:cut], 0o644))
		j := journal(t, path, l)
		kept := j.Bits().Count()
		if want := max(0, 3-(len(whole)-cut+record-1)/record); kept != want {
			t.Fatalf("%d of %d bytes: %d pieces, want %d", cut, len(whole), kept, want)
		}
		must(t, j.Add(2))
		must(t, j.Close())
		j = journal(t, path, l)
		if j.Bits().Count() != kept+1 || j.Trusted(c) {
			t.Fatalf("after a cut at %d: %d pieces, trusted %v", cut, j.Bits().Count(), j.Trusted(c))
		}
		must(t, j.Close())
	}
	for at := range whole {
		bad := bytes.Clone(whole)
		bad[at] ^= 0x40
		must(t, os.WriteFile(path, bad, 0o644))
		j := journal(t, path, l)
		if j.Bits().Count() > 2 {
			t.Fatalf("byte %d is wrong and nothing is lost", at)
		}
		must(t, j.Close())
	}
}

func TestAJournalOfAnotherTorrentBeginsAnew(t *testing.T) {
	_, _, path, c, j := started(t)
	must(t, j.CloseClean(c))
	for _, open := range []func() (*Journal, error){
		func() (*Journal, error) { return OpenJournal(path, [20]byte{2}, 7) },
		func() (*Journal, error) { return OpenJournal(path, [20]byte{2}, 8) },
	} {
		j, err := open()
		must(t, err)
		if !j.Bits().None() || j.Trusted(c) {
			t.Fatal("kept what belongs to another torrent")
		}
		must(t, j.Close())
	}
	if _, err := OpenJournal(t.TempDir(), [20]byte{1}, 1); err == nil {
		t.Fatal("a directory is a journal")
	}
}

func TestResetReplacesTheJournal(t *testing.T) {
	l, _, path, c, j := started(t)
	have := wire.NewBits(l.NumPieces())
	have.Set(6)
	must(t, j.Reset(have))
	have.Set(1) // the journal has a copy
	must(t, j.Add(2))
	must(t, j.Close())
	j = journal(t, path, l)
	wantBits(t, j, false, c, 2, 6)
	if err := j.Reset(wire.NewBits(1)); err == nil {
		t.Fatal("reset to another number of pieces")
	}
}

func TestAnEmptyTorrentHasAJournalToo(t *testing.T) {
	src := filepath.Join(tree(t, map[string]string{"f": ""}), "f")
	l := build(t, src)
	c := openSource(t, l, src)
	path := filepath.Join(t.TempDir(), "j")
	j := journal(t, path, l)
	must(t, j.CloseClean(c))
	j = journal(t, path, l)
	wantBits(t, j, true, c)
}

func FuzzJournal(f *testing.F) {
	j := &Journal{infoHash: [20]byte{1}, have: wire.NewBits(11)}
	header := j.header()
	f.Add(header)
	b, crc := seal(header, []byte{'B', 0xff, 0xe0}, crc32.Checksum(header, castagnoli))
	f.Add(b)
	b, _ = seal(b, []byte{'P', 0, 0, 0, 3}, crc)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		j := &Journal{infoHash: [20]byte{1}, have: wire.NewBits(11)}
		good := j.read(b)
		if good > len(b) || good > 0 && good < headerLen {
			t.Fatalf("%d of %d bytes are good", good, len(b))
		}
		again := &Journal{infoHash: [20]byte{1}, have: wire.NewBits(11)}
		if n := again.read(b[:good]); n != good || !again.have.Equal(j.have) || (again.had == nil) != (j.had == nil) {
			t.Fatalf("the good %d bytes read otherwise alone: %d", good, n)
		}
	})
}
