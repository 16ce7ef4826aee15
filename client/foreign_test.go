package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"

	"chordtorrent/communicator"
	"chordtorrent/communicator/ringtest"
	"chordtorrent/transfer/storage"
)

// swarmTracker is a tracker by HTTP: who announces is told to others.
type swarmTracker struct {
	*httptest.Server
	mu    sync.Mutex
	peers map[string]string // peer id to compact address
	asked []url.Values
	deaf  bool // it hears only who leaves
}

func newSwarmTracker(t *testing.T) *swarmTracker {
	s := &swarmTracker{peers: map[string]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.announce))
	t.Cleanup(s.Close)
	return s
}

func (s *swarmTracker) announce(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	if s.deaf && q.Get("event") != "stopped" {
		http.Error(w, "", http.StatusServiceUnavailable)
		return
	}
	s.asked = append(s.asked, q)
	id := q.Get("info_hash") + q.Get("peer_id")
	others := ""
	for peer, addr := range s.peers {
		if peer != id && strings.HasPrefix(peer, q.Get("info_hash")) {
			others += addr
		}
	}
	port, _ := strconv.Atoi(q.Get("port"))
	s.peers[id] = string([]byte{127, 0, 0, 1, byte(port >> 8), byte(port)})
	if q.Get("event") == "stopped" {
		delete(s.peers, id)
	}
	b, _ := bencode.Marshal(map[string]any{"interval": 1800, "min interval": 1, "peers": others})
	_, _ = w.Write(b)
}

func (s *swarmTracker) events(peerID [20]byte) (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.asked {
		if q.Get("peer_id") == string(peerID[:]) {
			all = append(all, q.Get("event"))
		}
	}
	return all
}

// noRing is a communicator that never finds a ring.
func (w *world) noRing() *communicator.Communicator {
	c, err := communicator.Open(w.t.Context(), communicator.Config{Cluster: "nowhere", Multicast: "off", Wait: -1})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

// loner is a client without a ring.
func (w *world) loner(s *Storage) *Client {
	c := New(Config{Storage: s, Ring: w.noRing(), Log: slog.New(slog.NewTextHandler(testWriter{w.t}, nil))})
	w.t.Cleanup(func() { c.Close() })
	return c
}

// torrentOf makes a .torrent of a path with trackers, as others make them.
func (w *world) torrentOf(path string, change func(info map[string]any, whole map[string]any), trackers ...string) (file string, infoHash [20]byte) {
	w.t.Helper()
	_, plain, _, err := storage.Build(w.t.Context(), path, filepath.Base(path), 1, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	mi, _, err := storage.ParseTorrent(plain)
	if err != nil {
		w.t.Fatal(err)
	}
	var info map[string]any
	if err := bencode.Unmarshal(mi.InfoBytes, &info); err != nil {
		w.t.Fatal(err)
	}
	whole := map[string]any{"announce": "http://127.0.0.1:1/not-this-one"}
	if len(trackers) > 0 {
		whole["announce-list"] = [][]string{trackers}
	}
	if change != nil {
		change(info, whole)
	}
	raw, err := bencode.Marshal(info)
	if err != nil {
		w.t.Fatal(err)
	}
	whole["info"] = bencode.Bytes(raw)
	b, err := bencode.Marshal(whole)
	if err != nil {
		w.t.Fatal(err)
	}
	return write(w.t, filepath.Join(w.dir, filepath.Base(path)+".torrent"), string(b)), metainfo.HashBytes(raw)
}

func (w *world) upload(c *Client, path, torrent string) *Publication {
	w.t.Helper()
	p, err := c.Upload(w.t.Context(), UploadRequest{Path: path, Torrent: torrent})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.stop(p) })
	return p
}

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

func TestAMagnetLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tracker := newSwarmTracker(t)
	path := w.file("by magnet.bin", w.content(500_000))
	file, infoHash := w.torrentOf(path, nil, tracker.URL+"/announce")
	p := w.upload(w.loner(newStorage(t)), path, file)
	link := fmt.Sprintf("magnet:?xt=urn:btih:%X&tr=%s", infoHash, url.QueryEscape(tracker.URL+"/announce"))
	s := newStorage(t)
	stages := make(chan Stage, 100)
	c := w.loner(s)
	d, err := c.Download(t.Context(), DownloadRequest{Source: link, OnProgress: func(s Stage, _, _ int64) {
		select {
		case stages <- s:
		default:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.complete(d)
	w.same(path, d.Path)
	if d.Name != "by magnet.bin" || <-stages != Metadata {
		t.Errorf("downloaded %s", show(d))
	}
	w.stop(d)
	// What it meant is remembered, and its trackers.
	kept, err := os.ReadFile(s.TorrentPathOf(Record{Foreign: true, InfoHash: hexOf(infoHash)}))
	if err != nil || !bytes.Contains(kept, []byte(tracker.URL)) {
		t.Errorf("kept %q, %v", kept, err)
	}
	w.same(path, w.download(w.loner(s), link, "").Path)

	// Without a tracker, but with a peer.
	link = fmt.Sprintf("magnet:?xt=urn:btih:%x&dn=called+otherwise&x.pe=127.0.0.1:%d", infoHash, p.c.Port())
	d = w.download(w.loner(newStorage(t)), link, "")
	if d.Name != "called otherwise" {
		t.Errorf("name %q", d.Name)
	}
	w.same(path, d.Path)
}

func TestAMagnetLinkThatNobodyAnswersEndsWithItsCommand(t *testing.T) {
	w := newWorld(t)
	tracker := newSwarmTracker(t)
	link := fmt.Sprintf("magnet:?xt=urn:btih:%040x&tr=%s", 7, url.QueryEscape(tracker.URL))
	c := w.loner(newStorage(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := c.Download(ctx, DownloadRequest{Source: link})
		ended <- err
	}()
	w.until("the tracker to hear of it", func() bool { return len(tracker.events(c.PeerID())) > 0 })
	cancel()
	if err := <-ended; !errors.Is(err, ErrInterrupted) || !strings.Contains(err.Error(), "no peer has said") {
		t.Errorf("%v", err)
	}
	if e := fmt.Sprint(tracker.events(c.PeerID())); !strings.HasSuffix(e, "stopped]") {
		t.Errorf("the tracker heard %s", e)
	}
	if records, err := c.Storage().Records(); err != nil || len(records) > 0 {
		t.Errorf("remembered: %+v, %v", records, err)
	}
}

func TestAMagnetLinkOfTheRingIsTakenFromIt(t *testing.T) {
	w := newWorld(t)
	path := w.file("ours", w.content(90_000))
	p := w.publish(w.client(newStorage(t)), PublishRequest{Path: path})
	d := w.download(w.client(newStorage(t)), fmt.Sprintf("magnet:?xt=urn:btih:%x&dn=theirs&tr=http%%3A%%2F%%2F127.0.0.1%%3A1%%2F", p.InfoHash), "")
	if d.Name != "ours" || d.Foreign {
		t.Errorf("downloaded %s", show(d))
	}
	w.same(path, d.Path)
	_, err := w.client(newStorage(t)).Download(t.Context(), DownloadRequest{Source: "magnet:?xt=urn:btih:" + strings.Repeat("0", 40)})
	if !errors.Is(err, communicator.ErrNotFound) {
		t.Errorf("a link that names neither trackers nor peers: %v", err)
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

func TestARingThatComesLaterIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tracker := newSwarmTracker(t)
	path := w.file("then.bin", w.content(100_000))
	file, infoHash := w.torrentOf(path, nil, tracker.URL+"/announce")
	w.upload(w.loner(newStorage(t)), path, file)
	gate := newGate(t, w.ring)
	ring, err := communicator.Open(t.Context(), communicator.Config{Cluster: "late", Ring: gate.ln.Addr().String(), Multicast: "off", Wait: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	c := New(Config{Storage: newStorage(t), Ring: ring})
	t.Cleanup(func() { c.Close() })
	d := w.download(c, file, "")
	w.same(path, d.Path)
	if c.id.Load() != 0 {
		t.Fatal("a ring was in reach")
	}
	gate.open.Store(true)
	w.until("the ring to know of it", func() bool {
		swarm, err := w.communicator().Peers(t.Context(), "", infoHash, 1)
		return err == nil && len(swarm.Peers) > 0
	})
	if c.id.Load() == 0 {
		t.Error("the ring gave no id")
	}
}

// gate is the way to a ring, closed at first.
type gate struct {
	ln   net.Listener
	open atomic.Bool
}

func newGate(t *testing.T, ring *ringtest.Ring) *gate {
	m, err := ring.Serve("127.0.0.1", "late")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{ln: ln}
	var under sync.WaitGroup
	under.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", m.Ref.Addr)
			if err != nil || !g.open.Load() {
				in.Close()
				if err == nil {
					out.Close()
				}
				continue
			}
			under.Go(func() { _, _ = io.Copy(out, in); out.Close() })
			under.Go(func() { _, _ = io.Copy(in, out); in.Close() })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		under.Wait()
	})
	return g
}

func TestMagnetLinks(t *testing.T) {
	hash := strings.Repeat("ab", 20)
	m, err := parseMagnet("MAGNET:?xt=urn:btih:" + hash + "&dn=a+name&tr=udp%3A%2F%2Fa%3A1&tr=http://b/&x.pe=10.0.0.1:7000&x.pe=[2001:db8::1]:7001&x.pe=host:1&ws=http://c/&xt=urn:btmh:1220aa")
	if err != nil || hexOf(m.infoHash) != hash || m.name != "a name" || fmt.Sprint(m.tiers) != "[[udp://a:1] [http://b/]]" ||
		fmt.Sprint(m.peers) != "[10.0.0.1:7000 [2001:db8::1]:7001]" || fmt.Sprint(m.webSeeds) != "[http://c/]" {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err = parseMagnet("magnet:?xt.1=urn:btih:vov2xk5lvov2xk5lvov2xk5lvov2xk5l"); err != nil || hexOf(m.infoHash) != hash {
		t.Errorf("base 32: %+v, %v", m, err)
	}
	if m, err = parseMagnet("magnet:?xt=urn:btih:" + hash + "&dn=../../etc/passwd"); err != nil || m.name != "" {
		t.Errorf("a name that is a path: %q, %v", m.name, err)
	}
	for link, want := range map[string]string{
		"magnet:":                                "question mark",
		"magnet:?":                               "names no torrent",
		"magnet:?dn=x":                           "names no torrent",
		"magnet:?xt=urn:sha1:" + hash:            "names no torrent",
		"magnet:?xt=urn:btmh:1220" + hash:        "v2 alone",
		"magnet:?xt=urn:btih:abc":                "40 hex digits",
		"magnet:?xt=urn:btih:" + hash[:39] + "g": "40 hex digits",
		"magnet:?xt=urn:btih:" + strings.Repeat("%0A", 8) + strings.Repeat("a", 24): "40 hex digits",
		"magnet:?xt=urn:btih:" + strings.Repeat("=", 32):                            "40 hex digits",
		"magnet:?xt=urn:btih:" + hash + "&xt=urn:btih:" + strings.Repeat("0", 40):   "two torrents",
		"magnet:?xt=urn:btih:" + hash + "&dn=%zz":                                   "cannot be read",
		"magnet:?xt=urn:btih:" + hash + "&dn=" + strings.Repeat("x", maxMagnet):     "at most",
	} {
		_, err := parseMagnet(link)
		if _, hinted := errors.AsType[*Hint](err); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), want) || !hinted {
			t.Errorf("%.80s: %v", link, err)
		}
	}
}

func FuzzMagnet(f *testing.F) {
	f.Add("magnet:?xt=urn:btih:" + strings.Repeat("ab", 20) + "&dn=a&tr=udp://a:1&x.pe=10.0.0.1:1&ws=http://c/")
	f.Add("magnet:?xt=urn:btih:" + strings.Repeat("A", 32))
	f.Fuzz(func(t *testing.T, link string) {
		if !isMagnet(link) {
			return
		}
		m, err := parseMagnet(link)
		if err != nil {
			return
		}
		if m.name != "" && communicator.CheckName(m.name) != nil {
			t.Errorf("the name %q", m.name)
		}
		if len(m.tiers) > maxMagnetParts || len(m.peers) > maxMagnetParts || len(m.webSeeds) > maxMagnetParts {
			t.Errorf("%d trackers, %d peers, %d web seeds", len(m.tiers), len(m.peers), len(m.webSeeds))
		}
	})
}
