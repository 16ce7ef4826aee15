package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"chordtorrent/communicator"
	"chordtorrent/transfer/storage"
)

func TestAForeignTorrentNeedsNoRing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tracker := newSwarmTracker(t)
	path := w.file("foreign.bin", w.content(700_000))
	file, infoHash := w.torrentOf(path, nil, tracker.URL+"/announce")
	seed := w.loner(newStorage(t))
	p := w.upload(seed, path, file)
	if p.Name != "foreign.bin" || p.InfoHash != infoHash || p.Copies != 0 {
		t.Errorf("uploaded %s", show(p))
	}
	s := newStorage(t)
	c := w.loner(s)
	d := w.download(c, file, "")
	w.same(path, d.Path)
	if !d.Foreign || d.Path != filepath.Join(s.FilesDir(), "foreign.bin") {
		t.Errorf("downloaded %s", show(d))
	}
	w.until("the tracker to hear of the end", func() bool { return strings.Contains(fmt.Sprint(tracker.events(c.PeerID())), "completed") })
	w.stop(d)
	if e := fmt.Sprint(tracker.events(c.PeerID())); !strings.HasPrefix(e, "[started") || !strings.HasSuffix(e, "completed stopped]") {
		t.Errorf("the tracker heard %s", e)
	}
	// It is remembered with its .torrent: verified, served by a later run, downloaded from there.
	if v, err := s.Verify(t.Context(), "foreign.bin", nil); err != nil || v.InfoHash != infoHash {
		t.Errorf("verified %+v, %v", v, err)
	}
	rec, known, err := s.Record(Downloaded, "foreign.bin", d.Path)
	if err != nil || !known || !rec.Foreign {
		t.Fatalf("remembered as %+v, %v", rec, err)
	}
	w.stop(p)
	served, err := w.loner(s).Serve(t.Context(), rec, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.stop(served) })
	again := w.download(w.loner(newStorage(t)), file, "")
	w.same(path, again.Path)
}

func TestATorrentByURL(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tracker := newSwarmTracker(t)
	path := w.file("by url", w.content(100_000))
	file, _ := w.torrentOf(path, nil, tracker.URL+"/announce")
	w.upload(w.loner(newStorage(t)), path, file)
	site := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/x.torrent":
			http.ServeFile(rw, r, file)
		case "/moved":
			http.Redirect(rw, r, "/x.torrent", http.StatusFound)
		case "/circle":
			http.Redirect(rw, r, "/circle", http.StatusFound)
		case "/endless":
			for r.Context().Err() == nil {
				if _, err := rw.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		case "/page":
			fmt.Fprint(rw, "<html>log in")
		default:
			http.NotFound(rw, r)
		}
	}))
	defer site.Close()
	d := w.download(w.loner(newStorage(t)), site.URL+"/moved", "")
	w.same(path, d.Path)
	for at, want := range map[string]string{"/circle": "in a circle", "/endless": "longer than", "/page": "not a .torrent", "/gone": "status 404"} {
		_, err := w.loner(newStorage(t)).Download(t.Context(), DownloadRequest{Source: site.URL + at})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", at, err)
		}
	}
}

func TestTheRingTellsWhoElseOnTheLANHasAForeignTorrent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tracker := newSwarmTracker(t)
	path := w.file("lan.bin", w.content(300_000))
	file, infoHash := w.torrentOf(path, nil, tracker.URL+"/announce")
	seed := w.loner(newStorage(t))
	p := w.upload(seed, path, file)
	first := w.download(w.client(newStorage(t)), file, "")
	w.until("the ring to know of it", func() bool {
		swarm, err := w.communicator().Peers(t.Context(), "", infoHash, 1)
		return err == nil && len(swarm.Peers) > 0
	})
	w.stop(p)
	tracker.mu.Lock()
	tracker.deaf = true
	tracker.mu.Unlock()
	second := w.download(w.client(newStorage(t)), file, "")
	w.same(path, second.Path)
	if from := second.Status().From; len(from) != 1 || from[0].PeerID != first.c.PeerID() {
		t.Errorf("bytes came from %s", show(from))
	}
}

func TestAPrivateTorrentIsItsTrackersAlone(t *testing.T) {
	w := newWorld(t)
	tracker := newSwarmTracker(t)
	path := w.file("private.bin", w.content(200_000))
	file, infoHash := w.torrentOf(path, func(info, _ map[string]any) { info["private"] = 1 }, tracker.URL+"/announce")
	p := w.upload(w.client(newStorage(t)), path, file)
	d := w.download(w.client(newStorage(t)), file, "")
	w.same(path, d.Path)
	if p.Copies != 0 || !d.Foreign {
		t.Errorf("in the ring: %s, %s", show(p), show(d))
	}
	ring := w.communicator()
	if _, _, err := ring.TorrentOf(t.Context(), infoHash); !errors.Is(err, communicator.ErrNotFound) {
		t.Errorf("the ring knows the torrent: %v", err)
	}
	for _, name := range []string{"", "private.bin"} {
		if swarm, err := ring.Peers(t.Context(), name, infoHash, 10); err != nil || len(swarm.Peers) > 0 {
			t.Errorf("the ring knows peers of it under %q: %+v, %v", name, swarm, err)
		}
	}
}

func TestAnEmptyListOfTrackersDoesNotHideTheOneThatIsNamed(t *testing.T) {
	w := newWorld(t)
	for _, empty := range [][][]string{{}, {{}}, {{""}}} {
		file, _ := w.torrentOf(w.file("some.bin", w.content(1000)), func(_, whole map[string]any) { whole["announce-list"] = empty })
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if tor, err := parseTorrent(b); err != nil || !hasTrackers(tor.tiers) {
			t.Errorf("%q: %q, %v", empty, tor.tiers, err)
		}
	}
}

func TestUploadChecksTheContentAndPublishes(t *testing.T) {
	w := newWorld(t)
	tracker := newSwarmTracker(t)
	path := w.file("up.bin", w.content(200_000))
	file, infoHash := w.torrentOf(path, nil, tracker.URL+"/announce")
	c := w.client(newStorage(t))
	for what, other := range map[string]string{"size": w.content(1000), "content": w.content(199_999) + "x"} {
		wrong := w.file("wrong "+what, other)
		if _, err := c.Upload(t.Context(), UploadRequest{Path: wrong, Torrent: file}); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), wrong) {
			t.Errorf("another %s: %v", what, err)
		}
	}
	if _, err := c.Upload(t.Context(), UploadRequest{Path: path, Torrent: path}); !errors.Is(err, storage.ErrBadTorrent) {
		t.Errorf("no .torrent: %v", err)
	}
	p := w.upload(c, path, file)
	if p.Copies != 3 {
		t.Errorf("uploaded %s", show(p))
	}
	// By name from the ring, with its trackers; and by its .torrent.
	byName := w.client(newStorage(t))
	d := w.download(byName, "up.bin", "")
	if d.InfoHash != infoHash || d.Foreign {
		t.Errorf("downloaded %s", show(d))
	}
	w.until("the tracker to hear of it", func() bool { return len(tracker.events(byName.PeerID())) > 0 })
	w.same(path, w.download(w.client(newStorage(t)), file, "").Path)
}

// What only bears the same name is no version of it, and never replaces it.
func TestTorrentsOfOneNameDoNotReplaceEachOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tracker := newSwarmTracker(t)
	ours := w.file("same name", w.content(50_000))
	w.publish(w.client(newStorage(t)), PublishRequest{Path: ours})
	theirs := write(t, filepath.Join(w.dir, "theirs", "same name"), w.content(60_000))
	file, infoHash := w.torrentOf(theirs, nil, tracker.URL+"/announce")
	w.upload(w.loner(newStorage(t)), theirs, file)

	s := newStorage(t)
	c := w.client(s)
	first := w.download(c, "same name", "")
	if _, err := c.Download(t.Context(), DownloadRequest{Source: file}); !errors.Is(err, ErrTargetExists) {
		t.Errorf("theirs over ours: %v", err)
	}
	w.same(ours, first.Path)
	second := w.download(c, file, filepath.Join(w.dir, "elsewhere"))
	w.same(theirs, second.Path)
	if rec, known, err := s.Record(Downloaded, "same name", first.Path); err != nil || !known || rec.Foreign {
		t.Errorf("ours is remembered as %+v, %v", rec, err)
	}
	if tor, _, err := s.torrentOf(first.rec); err != nil || tor.infoHash != first.InfoHash {
		t.Errorf("the .torrent of ours: %x, %v", tor.infoHash, err)
	}

	s = newStorage(t)
	c = w.client(s)
	first = w.download(c, file, "")
	if _, err := c.Download(t.Context(), DownloadRequest{Source: "same name"}); !errors.Is(err, ErrTargetExists) {
		t.Errorf("ours over theirs: %v", err)
	}
	w.same(theirs, first.Path)
	if first.InfoHash != infoHash {
		t.Errorf("info hash %x", first.InfoHash)
	}
}

func TestAForeignDownloadContinues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tracker := newSwarmTracker(t)
	path := w.file("cont.bin", w.content(600_000))
	file, _ := w.torrentOf(path, nil, tracker.URL+"/announce")
	s := newStorage(t)
	d := w.start(w.loner(s), file, "")
	w.stop(d) // nobody was there
	if r, _, _ := s.Record(Downloaded, "cont.bin", d.Path); r.State != Interrupted || !r.Foreign {
		t.Errorf("remembered as %s", show(r))
	}
	w.upload(w.loner(newStorage(t)), path, file)
	w.same(path, w.download(w.loner(s), file, "").Path)
}

func TestPeersThatComeLaterAreFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tracker := newSwarmTracker(t)
	path := w.file("late.bin", w.content(400_000))
	file, _ := w.torrentOf(path, nil, tracker.URL+"/announce")
	d := w.start(w.loner(newStorage(t)), file, "")
	w.until("the tracker to know of it", func() bool { return len(tracker.events(d.c.PeerID())) > 0 })
	w.upload(w.loner(newStorage(t)), path, file)
	w.complete(d)
	w.same(path, d.Path)
}
