package client

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"

	"chordtorrent/communicator"
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
