package client

import (
	"crypto/sha1"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chordtorrent/communicator"
	"chordtorrent/transfer"
	"chordtorrent/transfer/storage"
)

func TestPublishedFilesArriveWhole(t *testing.T) {
	w := newWorld(t)
	pieceOf := func(n int64) int { return int(storage.PieceLength(n)) }
	names := map[string]int{
		"with some spaces.bin":          70_000,
		"数据 ünï ✓.iso":                  50_000,
		strings.Repeat("n", 196) + ".x": 20_000,
		"one byte":                      1,
		"empty":                         0,
		"exact multiple":                4 * pieceOf(4*16384),
		"x.torrent":                     1000,
		"all_files":                     3,
		"-dash":                         10,
	}
	publisher, downloader := w.client(newStorage(t)), w.client(newStorage(t))
	for name, size := range names {
		path := w.file(name, w.content(size))
		p := w.publish(publisher, PublishRequest{Path: path})
		if p.Name != name || p.Bytes != int64(size) || p.Copies != 3 {
			t.Errorf("published %s", show(p))
		}
		d := w.download(downloader, name, "")
		if d.InfoHash != p.InfoHash || d.Path != filepath.Join(downloader.Storage().FilesDir(), name) {
			t.Errorf("downloaded %s", show(d))
		}
		w.same(path, d.Path)
		if _, err := os.Lstat(partPath(d.Path)); err == nil {
			t.Errorf("%q left its partial data behind", name)
		}
		if saved, err := downloader.Storage().LoadTorrent(name); err != nil || len(saved) == 0 {
			t.Errorf("the .torrent of %q: %v", name, err)
		}
	}
	left, err := os.ReadDir(filepath.Join(downloader.Storage().Dir(), "journals"))
	if err != nil || len(left) != 0 {
		t.Errorf("journals left behind: %v, %v", left, err)
	}
}

func TestDirectoriesArriveWhole(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(w.dir, "src", "tree")
	deep := strings.Repeat("deep/", 40)
	for name, size := range map[string]int{
		"a": 100_000, "b.empty": 0, deep + "file": 33_000, deep + "empty": 0, "sp ace/ü✓": 1, "z": 16384,
	} {
		write(t, filepath.Join(dir, name), w.content(size))
	}
	p := w.publish(w.client(newStorage(t)), PublishRequest{Path: dir, Name: "renamed tree"})
	d := w.download(w.client(newStorage(t)), "renamed tree", filepath.Join(w.dir, "got")+"/")
	if d.Path != filepath.Join(w.dir, "got", "renamed tree") || p.InfoHash != d.InfoHash {
		t.Errorf("downloaded to %s", d.Path)
	}
	w.same(dir, d.Path)
}

// What is zeros by its hashes is there from the beginning, and can be given to others.
func TestZerosOfADirectoryAreNotFetched(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(w.dir, "src", "images")
	write(t, filepath.Join(dir, "a.img"), w.content(100_000)+strings.Repeat("\x00", 900_000))
	write(t, filepath.Join(dir, "b.img"), strings.Repeat("\x00", 2_000_000))
	write(t, filepath.Join(dir, "c.img"), strings.Repeat("\x00", 70_000)+w.content(50_000))
	p := w.publish(w.client(newStorage(t)), PublishRequest{Path: dir})
	d := w.download(w.client(newStorage(t)), "images", "")
	w.same(dir, d.Path)
	if got, piece := d.Status().Downloaded, p.Bytes/int64(p.Pieces)+1; got > 150_000+3*piece {
		t.Errorf("%d bytes were fetched of %d", got, d.Bytes)
	}
	w.stop(p)
	again := w.download(w.client(newStorage(t)), "images", "")
	w.same(dir, again.Path)
}

func TestADownloadIsServedToOthersAtOnce(t *testing.T) {
	w := newWorld(t)
	path := w.file("chain.bin", w.content(300_000))
	publisher := w.client(newStorage(t))
	p, err := publisher.Publish(t.Context(), PublishRequest{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	first := w.download(w.client(newStorage(t)), "chain.bin", "")
	w.stop(p)
	second := w.download(w.client(newStorage(t)), "chain.bin", "")
	w.same(first.Path, second.Path)
	from := second.Status().From
	if len(from) != 1 || from[0].PeerID != first.c.PeerID() || from[0].Bytes < 300_000 {
		t.Errorf("bytes came from %s", show(from))
	}
}

// Who has only the info hash, from a magnet link, gets the rest from whoever serves the
// name: its publisher, who downloaded it, and each of them after a restart.
func TestTheInfoDictionaryIsGivenToWhoAsks(t *testing.T) {
	w := newWorld(t)
	home := newStorage(t)
	publisher, downloader := w.client(home), w.client(newStorage(t))
	p := w.publish(publisher, PublishRequest{Path: w.file("magnet.bin", w.content(300_000))})
	d := w.download(downloader, "magnet.bin", "")
	engine, err := transfer.Start(transfer.Config{Listen: loopback})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	ask := func(who string, port uint16) {
		t.Helper()
		info, err := engine.Metadata(t.Context(), transfer.MetadataSpec{InfoHash: p.InfoHash, Peers: []netip.AddrPort{netip.AddrPortFrom(loopback, port)}})
		if err != nil || sha1.Sum(info) != p.InfoHash {
			t.Errorf("%s gives %d bytes, %v", who, len(info), err)
		}
	}
	ask("the publisher", publisher.Port())
	ask("who downloaded it", downloader.Port())
	w.stop(d)
	w.stop(p)
	rec, known, err := home.Record(Published, "magnet.bin", "")
	if err != nil || !known {
		t.Fatalf("%v, %v", known, err)
	}
	again := w.client(home)
	served, err := again.Serve(t.Context(), rec, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.stop(served) })
	ask("who serves it again", again.Port())
}

func TestAStoppedDownloadContinues(t *testing.T) {
	w := newWorld(t)
	path := w.file("halves.bin", w.content(1_000_000))
	half, stopHalf := w.halfSeed(path, "halves.bin")
	s := newStorage(t)
	c := w.client(s)
	d := w.start(c, "halves.bin", "")
	w.until("half of it", func() bool { return d.Status().BytesDone == half })
	w.stop(d)
	if !errors.Is(d.Err(), ErrInterrupted) {
		t.Errorf("ended with %v", d.Err())
	}
	if r, _, _ := s.Record(Downloaded, "halves.bin", d.Path); r.State != Interrupted {
		t.Errorf("remembered as %s", show(r))
	}
	if _, err := os.Lstat(d.Path); err == nil {
		t.Error("incomplete data is at the target")
	}
	stopHalf()
	w.publish(w.client(newStorage(t)), PublishRequest{Path: path})
	again := w.download(w.client(s), "halves.bin", "")
	w.same(path, again.Path)
	if got := again.Status().Downloaded; got > 1_000_000-half {
		t.Errorf("fetched %d bytes, only %d were missing", got, 1_000_000-half)
	}
}

func TestAJournalIsNotTrustedWhenTheDataChanged(t *testing.T) {
	w := newWorld(t)
	path := w.file("changed.bin", w.content(1_000_000))
	half, stopHalf := w.halfSeed(path, "changed.bin")
	s := newStorage(t)
	d := w.start(w.client(s), "changed.bin", "")
	w.until("half of it", func() bool { return d.Status().BytesDone == half })
	w.stop(d)
	f, err := os.OpenFile(partPath(d.Path), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("no longer what it was"), 100); err != nil {
		t.Fatal(err)
	}
	f.Close()
	stopHalf()
	w.publish(w.client(newStorage(t)), PublishRequest{Path: path})
	again := w.download(w.client(s), "changed.bin", "")
	w.same(path, again.Path)
}

func TestExistingTargets(t *testing.T) {
	w := newWorld(t)
	path := w.file("t.bin", w.content(200_000))
	publisher := w.client(newStorage(t))
	p, err := publisher.Publish(t.Context(), PublishRequest{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	c := w.client(newStorage(t))

	target := filepath.Join(w.dir, "other")
	write(t, target, "something of mine")
	_, err = c.Download(t.Context(), DownloadRequest{Source: "t.bin", Target: target})
	if h, ok := errors.AsType[*Hint](err); !errors.Is(err, ErrTargetExists) || !strings.Contains(err.Error(), target) || !ok || !strings.Contains(h.Next, "-o") {
		t.Errorf("something else is there: %v", err)
	}
	write(t, filepath.Join(w.dir, "p.part"), "mine too")
	if _, err := c.Download(t.Context(), DownloadRequest{Source: "t.bin", Target: filepath.Join(w.dir, "p")}); !errors.Is(err, ErrTargetExists) {
		t.Errorf("something else is at the partial data's place: %v", err)
	}

	same := write(t, filepath.Join(w.dir, "same"), w.content(200_000))
	d := w.download(c, "t.bin", same)
	if d.Status().Downloaded != 0 {
		t.Error("what was there was fetched")
	}
	w.stop(d)

	// A new version replaces the earlier download, and only that.
	mine := w.download(c, "t.bin", filepath.Join(w.dir, "mine"))
	w.stop(mine)
	touched := w.download(c, "t.bin", filepath.Join(w.dir, "touched"))
	w.stop(touched)
	write(t, touched.Path, "edited by its owner")
	w.stop(p)
	v2 := write(t, path, w.content(200_001))
	w.publish(publisher, PublishRequest{Path: v2})
	newer := w.download(c, "t.bin", mine.Path)
	w.same(v2, newer.Path)
	w.stop(newer)
	if _, err := c.Download(t.Context(), DownloadRequest{Source: "t.bin", Target: touched.Path}); !errors.Is(err, ErrTargetExists) {
		t.Errorf("an edited file would be replaced: %v", err)
	}
	left, _ := filepath.Glob(filepath.Join(w.dir, ".btclient*"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestADirectoryIsReplacedByItsNewVersion(t *testing.T) {
	w := newWorld(t)
	dir := filepath.Join(w.dir, "src", "tree")
	write(t, filepath.Join(dir, "kept"), w.content(40_000))
	gone := write(t, filepath.Join(dir, "gone/file"), "old")
	publisher, c := w.client(newStorage(t)), w.client(newStorage(t))
	p, err := publisher.Publish(t.Context(), PublishRequest{Path: dir})
	if err != nil {
		t.Fatal(err)
	}
	w.stop(w.download(c, "tree", ""))
	w.stop(p)
	if err := os.RemoveAll(filepath.Dir(gone)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "new"), "new")
	w.publish(publisher, PublishRequest{Path: dir})
	w.same(dir, w.download(c, "tree", "").Path)
}

func TestAnInterruptedVersionGivesWayToANewerOne(t *testing.T) {
	w := newWorld(t)
	path := w.file("moving.bin", w.content(600_000))
	half, stopHalf := w.halfSeed(path, "moving.bin")
	s := newStorage(t)
	d := w.start(w.client(s), "moving.bin", "")
	w.until("half of it", func() bool { return d.Status().BytesDone == half })
	w.stop(d)
	stopHalf()
	v2 := w.file("moving.bin", w.content(600_000)[:500_000]+w.content(77))
	w.publish(w.client(newStorage(t)), PublishRequest{Path: v2})
	again := w.download(w.client(s), "moving.bin", "")
	w.same(v2, again.Path)
	if got, most := again.Status().Downloaded, 500_077-half; got > most {
		t.Errorf("fetched %d bytes, what the versions share was there: %d were missing", got, most)
	}
}

func TestUnknownNamesSuggestNearOnes(t *testing.T) {
	w := newWorld(t)
	w.publish(w.client(newStorage(t)), PublishRequest{Path: w.file("ubuntu-24.04.iso", "x")})
	c := w.client(newStorage(t))
	_, err := c.Download(t.Context(), DownloadRequest{Source: "ubuntu-24.4.iso"})
	h, ok := errors.AsType[*Hint](err)
	if !errors.Is(err, communicator.ErrNotFound) || !ok || !strings.Contains(h.Next, `"ubuntu-24.04.iso"`) {
		t.Errorf("%v, %+v", err, h)
	}
	if c.Port() != 0 {
		t.Error("a port was opened for nothing")
	}
	for _, bad := range []string{"", "..", "a\x00b", strings.Repeat("x", 256)} {
		if _, err := c.Download(t.Context(), DownloadRequest{Source: bad}); !errors.Is(err, ErrUsage) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestDownloadByTorrentFile(t *testing.T) {
	w := newWorld(t)
	publisher := w.client(newStorage(t))
	path := w.file("by torrent", w.content(5000))
	w.publish(publisher, PublishRequest{Path: path})
	file := publisher.Storage().TorrentPath("by torrent")
	d := w.download(w.client(newStorage(t)), file, "")
	if d.Name != "by torrent" {
		t.Errorf("name %q", d.Name)
	}
	w.same(path, d.Path)

	_, foreign, _, err := storage.Build(t.Context(), w.file("foreign", "y"), "foreign", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.client(newStorage(t)).Download(t.Context(), DownloadRequest{Source: w.file("f.torrent", string(foreign))})
	if !errors.Is(err, communicator.ErrNotFound) {
		t.Errorf("a .torrent that the ring does not know: %v", err)
	}
}

func TestHostileTorrentsAreRefusedByPath(t *testing.T) {
	w := newWorld(t)
	hash := strings.Repeat("h", 20)
	for what, path := range map[string]string{"..": "l2:..4:evile", "absolute": "l5:/evile", "nul": "l2:a\x00e"} {
		torrent := "d4:infod5:filesld6:lengthi1e4:path" + path + "ee4:name1:n12:piece lengthi16384e6:pieces20:" + hash + "ee"
		file := w.file("hostile.torrent", torrent)
		_, err := w.client(newStorage(t)).Download(t.Context(), DownloadRequest{Source: file, Target: filepath.Join(w.dir, "out")})
		if err == nil || !strings.Contains(err.Error(), file) || errors.Is(err, communicator.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(w.dir, "out")); err == nil {
		t.Error("something was written")
	}
}

func TestSideBySideInOneStorage(t *testing.T) {
	w := newWorld(t)
	shared := newStorage(t)
	one, two := w.client(shared), w.client(shared)
	w.publish(one, PublishRequest{Path: w.file("one", w.content(50_000))})
	w.publish(two, PublishRequest{Path: w.file("two", w.content(60_000))})
	if one.Port() == two.Port() || one.PeerID() == two.PeerID() {
		t.Errorf("ports %d and %d, peer ids %x and %x", one.Port(), two.Port(), one.PeerID(), two.PeerID())
	}
	for _, c := range []*Client{one, two} {
		if c.Port() < DefaultPortMin || c.Port() > DefaultPortMax {
			t.Errorf("port %d", c.Port())
		}
	}
	if one.id.Load() != two.id.Load() || one.id.Load() == 0 {
		t.Errorf("client ids %d and %d", one.id.Load(), two.id.Load())
	}
	var busy *ErrBusy
	if _, err := two.Publish(t.Context(), PublishRequest{Path: filepath.Join(w.dir, "src", "one")}); !errors.As(err, &busy) || busy.PID != os.Getpid() {
		t.Errorf("the same name twice: %v", err)
	}
	if _, err := two.Download(t.Context(), DownloadRequest{Source: "one"}); !errors.As(err, &busy) || busy.Doing != "publish" {
		t.Errorf("published and downloaded at once: %v", err)
	}
	other := w.client(newStorage(t))
	w.same(filepath.Join(w.dir, "src", "one"), w.download(other, "one", "").Path)
	w.same(filepath.Join(w.dir, "src", "two"), w.download(other, "two", "").Path)
}

func TestTwoStoragesDoNotShareAPartialDownload(t *testing.T) {
	w := newWorld(t)
	path := w.file("shared target", w.content(400_000))
	w.halfSeed(path, "shared target")
	target := filepath.Join(w.dir, "target")
	w.start(w.client(newStorage(t)), "shared target", target)
	_, err := w.client(newStorage(t)).Download(t.Context(), DownloadRequest{Source: "shared target", Target: target})
	if !errors.Is(err, ErrTargetExists) {
		t.Errorf("%v", err)
	}
}
