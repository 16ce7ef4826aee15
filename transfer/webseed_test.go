package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"chordtorrent/transfer/storage"
)

// webServer has the content of a fixture, below /pub/.
type webServer struct {
	*httptest.Server
	mu   sync.Mutex
	asks []string // path and Range of each request
}

// serveWeb starts one; odd, if not nil, answers in its place when it returns true.
func serveWeb(t testing.TB, f *fixture, odd func(w http.ResponseWriter, r *http.Request) bool) *webServer {
	t.Helper()
	s := &webServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asks = append(s.asks, r.URL.Path+" "+r.Header.Get("Range"))
		s.mu.Unlock()
		if odd != nil && odd(w, r) {
			return
		}
		path, ok := strings.CutPrefix(r.URL.Path, "/pub/"+f.layout.Name)
		if !ok {
			http.NotFound(w, r)
			return
		}
		file, err := os.Open(f.path + path)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		defer file.Close()
		http.ServeContent(w, r, "", time.Time{}, file)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *webServer) pub() string { return s.URL + "/pub/" }

func (s *webServer) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asks...)
}

func (f *fixture) webSpec(t testing.TB, urls ...string) Spec {
	s := f.leechSpec(t)
	s.WebSeeds = urls
	return s
}

// reasonOf is what a torrent says after it has stood still for a while.
func reasonOf(e *engine, tor *Torrent) string {
	e.advance(stuckAfter + time.Second)
	return tor.Status().Reason
}

func TestWebSeedGivesAFile(t *testing.T) {
	leech := start(t)
	f := makeTorrent(t, 110, 32<<10, 3<<20+77)
	for _, suffix := range []string{"/pub/", "/pub/" + url.PathEscape(f.layout.Name)} {
		s := serveWeb(t, f, nil)
		spec := f.webSpec(t, s.URL+suffix, "ftp://127.0.0.1/x", "http://", "%")
		to := leech.add(t, spec)
		done(t, to)
		f.same(t, spec.Content)
		st := to.Status()
		if len(st.From) != 1 || st.From[0].URL != s.URL+suffix || st.From[0].Bytes != int64(len(f.data)) || st.Wasted != 0 || len(st.Peers) != 0 {
			t.Errorf("%+v", st)
		}
		if n := len(s.asked()); n > 4 {
			t.Errorf("%d requests for 3 MiB: %v", n, s.asked())
		}
		stop(t, to)
	}
	if used := leech.buffers.inUse(); used != 0 {
		t.Errorf("%d bytes of buffers are still handed out", used)
	}
}

// Requests span pieces, not files: each file is at a URL of its own.
func TestWebSeedGivesADirectory(t *testing.T) {
	f := makeTorrent(t, 111, 32<<10, 100<<10, 0, 7, 200<<10, 31, 1<<20)
	leech := start(t)
	s := serveWeb(t, f, nil)
	for _, suffix := range []string{"/pub", "/pub/"} {
		spec := f.webSpec(t, s.URL+suffix)
		to := leech.add(t, spec)
		done(t, to)
		f.same(t, spec.Content)
		stop(t, to)
	}
	for _, a := range s.asked() {
		if !strings.HasPrefix(a, "/pub/some content/deep/") {
			t.Errorf("asked for %s", a)
		}
	}
}

// What is there only for alignment is on no server and in no file.
func TestWebSeedIsNotAskedForPadding(t *testing.T) {
	f := padded(t, 112, 32<<10, 5000, 40<<10)
	leech := start(t)
	s := serveWeb(t, f, nil)
	spec := f.webSpec(t, s.pub())
	to := leech.add(t, spec)
	done(t, to)
	f.same(t, spec.Content)
	if n := len(s.asked()); n != 2 {
		t.Errorf("asked for %v", s.asked())
	}
	for _, file := range f.layout.Files {
		if _, err := os.Lstat(spec.Content.Path() + "/" + file.Path); file.Pad == (err == nil) {
			t.Errorf("%s: padding %v, %v", file.Path, file.Pad, err)
		}
	}
}

// padded is a fixture whose files begin at pieces, as others align them (BEP 47).
func padded(t testing.TB, seed uint64, pieceLen int64, sizes ...int) *fixture {
	f := makeTorrent(t, seed, pieceLen, sizes...)
	l := &storage.Layout{Name: f.layout.Name, PieceLength: pieceLen}
	var data []byte
	add := func(file storage.File, bytes []byte) {
		file.Offset, file.Length = l.Total, int64(len(bytes))
		l.Files = append(l.Files, file)
		l.Total += file.Length
		data = append(data, bytes...)
	}
	for i, file := range f.layout.Files {
		add(file, f.data[file.Offset:file.Offset+file.Length])
		if gap := -l.Total & (pieceLen - 1); gap > 0 && i < len(sizes)-1 {
			add(storage.File{Path: fmt.Sprintf(".pad/%d", gap), Pad: true}, make([]byte, gap))
		}
	}
	f.data, f.layout = data, l
	l.Pieces = hashesOf(data, pieceLen)
	return f
}

// A peer and a web seed share the work.
func TestWebSeedBesideAPeer(t *testing.T) {
	f := makeTorrent(t, 113, 32<<10, 4<<20)
	seed, leech := start(t), start(t)
	seed.add(t, f.seedSpec(t))
	s := serveWeb(t, f, nil)
	spec := f.webSpec(t, s.pub())
	to := leech.add(t, spec)
	to.AddPeers([]netip.AddrPort{seed.addr()})
	done(t, to)
	f.same(t, spec.Content)
	sum := int64(0)
	for _, from := range to.Status().From {
		sum += from.Bytes
	}
	if sum != int64(len(f.data)) {
		t.Errorf("%+v", to.Status().From)
	}
}

// callers is an announcer that knows these.
type callers []netip.AddrPort

func (c callers) Announce(context.Context, Progress) (Answer, error) {
	return Answer{Peers: c, Interval: time.Hour}, nil
}

// Whoever may have peers waits a moment for them before it asks a web seed.
func TestPeersComeFirst(t *testing.T) {
	f := makeTorrent(t, 114, 32<<10, 4<<20)
	clock := &stoppedClock{at: time.Now()}
	seed, leech := start(t), start(t, func(c *Config) { c.now = clock.now })
	seed.add(t, f.seedSpec(t))
	s := serveWeb(t, f, nil)
	spec := f.webSpec(t, s.pub())
	spec.Announcer = callers{seed.addr()}
	done(t, leech.add(t, spec))
	if got := s.asked(); len(got) != 0 {
		t.Errorf("asked for %v", got)
	}
	// Nobody is there: it is asked after that moment.
	spec = f.webSpec(t, s.pub())
	spec.Announcer = callers{}
	again := start(t, func(c *Config) { c.now = clock.now })
	to := again.add(t, spec)
	clock.advance(webPatience)
	done(t, to)
}

// As long as peers give more than a web seed did, it is left alone.
func TestWebSeedIsSparedWhenPeersGiveMore(t *testing.T) {
	f := makeTorrent(t, 115, 32<<10, 1<<20)
	leech := start(t)
	gate := make(chan struct{})
	s := serveWeb(t, f, func(http.ResponseWriter, *http.Request) bool { <-gate; return false })
	to := leech.add(t, f.webSpec(t, s.pub()))
	until(t, "the request", func() bool { return len(s.asked()) == 1 })
	ask := func(peers float64) (began bool) {
		reply := make(chan bool, 1)
		to.l.post(look(func() {
			w := to.s.web[0]
			w.cancel()
			w.gives, to.s.down.rate = 1e6, peers
			to.s.askWeb()
			reply <- w.fetch != nil
		}))
		return <-reply
	}
	if ask(2e6) || !ask(1e5) {
		t.Error("whether it is asked does not depend on what peers give")
	}
	close(gate)
	done(t, to)
}

// What the limits let through is all that is read from a web seed.
func TestWebSeedKeepsToTheLimits(t *testing.T) {
	const rate = 256 << 10
	clock := &stoppedClock{at: time.Now()}
	f := makeTorrent(t, 123, 64<<10, 4<<20)
	leech := start(t, func(c *Config) { c.now = clock.now })
	s := serveWeb(t, f, nil)
	leech.SetLimits(rate, 0)
	spec := f.webSpec(t, s.pub())
	to := leech.add(t, spec)
	keepsTo(t, to, clock, rate, 20, rate/10, 2*blockLen)
	leech.SetLimits(0, 0)
	done(t, to)
	f.same(t, spec.Content)
}

// Stopped in the middle, nothing of it stays.
func TestStopWhileAWebSeedGives(t *testing.T) {
	f := makeTorrent(t, 124, 32<<10, 4<<20)
	leech := start(t)
	s := serveWeb(t, f, func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Range", "bytes 0-1048575/4194304")
		w.WriteHeader(http.StatusPartialContent)
		w.Write(f.data[:300<<10])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	})
	to := leech.add(t, f.webSpec(t, s.pub()))
	until(t, "some of it", func() bool { return to.Status().Downloaded > 0 })
	sound(t, to)
	stop(t, to)
	if used := leech.buffers.inUse(); used != 0 {
		t.Errorf("%d bytes of buffers are still handed out", used)
	}
}

// Where nobody else is to come, a download ends when it can get nothing any more.
func TestOnlyWebSeedsThatAreOfNoUse(t *testing.T) {
	f := makeTorrent(t, 125, 32<<10, 1<<20)
	leech := start(t)
	failed := func(spec Spec) error {
		spec.OnlyWebSeeds = true
		to := leech.add(t, spec)
		defer stop(t, to)
		select {
		case <-to.Failed():
		case <-to.Done():
			t.Fatal("it is done")
		case <-time.After(hung):
			t.Fatalf("it goes on: %+v", to.Status())
		}
		return to.Err()
	}
	liar := serveWeb(t, f, func(w http.ResponseWriter, r *http.Request) bool {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(make([]byte, len(f.data))))
		return true
	})
	if err := failed(f.webSpec(t, liar.pub())); !errors.Is(err, ErrWrongData) || !strings.Contains(err.Error(), liar.pub()) {
		t.Errorf("of a liar: %v", err)
	}
	short := serveWeb(t, f, func(w http.ResponseWriter, r *http.Request) bool {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data[:100]))
		return true
	})
	if err := failed(f.webSpec(t, short.pub())); err == nil || errors.Is(err, ErrWrongData) {
		t.Errorf("of one that has less: %v", err)
	}
	if err := failed(f.webSpec(t)); err == nil {
		t.Error("without any")
	}
	good := f.webSpec(t, liar.pub(), serveWeb(t, f, nil).pub())
	good.OnlyWebSeeds = true
	done(t, leech.add(t, good))
	f.same(t, good.Content)
}
