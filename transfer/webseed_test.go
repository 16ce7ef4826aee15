package transfer

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
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

func TestWebSeedWithoutRanges(t *testing.T) {
	noRanges := func(w http.ResponseWriter, r *http.Request) bool { r.Header.Del("Range"); return false }
	f := makeTorrent(t, 116, 32<<10, 3<<20)
	leech := start(t)
	spec := f.webSpec(t, serveWeb(t, f, noRanges).pub())
	done(t, leech.add(t, spec)) // of a small file it is read past what is here
	f.same(t, spec.Content)

	f = makeTorrent(t, 126, 1<<20, webSkip+2<<20)
	s := serveWeb(t, f, noRanges)
	other := start(t)
	spec = f.webSpec(t, s.pub())
	spec.Have = f.all()
	spec.Have.Clear(spec.Have.Len() - 1)
	to := other.add(t, spec)
	until(t, "the refusal", func() bool { return len(to.Status().Peers) == 0 && other.webIdle(to) })
	before := len(s.asked())
	if r := reasonOf(other, to); !strings.Contains(r, s.pub()) || !strings.Contains(r, "ignores Range") {
		t.Errorf("reason %q", r)
	}
	other.advance(time.Hour)
	if len(s.asked()) != before {
		t.Error("it is asked again")
	}
}

// webIdle tells whether no web seed is asked now and all have been.
func (e *engine) webIdle(to *Torrent) bool {
	reply := make(chan bool, 1)
	to.l.post(look(func() {
		idle := true
		for _, w := range to.s.web {
			idle = idle && w.fetch == nil && (w.trouble != "" || w.never != "")
		}
		reply <- idle
	}))
	return <-reply
}

func TestWebSeedThatLiesIsBanned(t *testing.T) {
	f := makeTorrent(t, 117, 32<<10, 1<<20)
	leech := start(t)
	s := serveWeb(t, f, func(w http.ResponseWriter, r *http.Request) bool {
		wrong := append([]byte(nil), f.data...)
		for i := 0; i < len(wrong); i += 40 << 10 {
			wrong[i] ^= 1
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(wrong)))
		return true
	})
	spec := f.webSpec(t, s.pub())
	to := leech.add(t, spec)
	until(t, "the ban", func() bool { return leech.drops[wrongPiece].Load() == 1 })
	if r := reasonOf(leech, to); !strings.Contains(r, "web seed "+s.pub()+": sent wrong data") {
		t.Errorf("reason %q", r)
	}
	before := len(s.asked())
	leech.advance(time.Hour)
	to.AddPeers([]netip.AddrPort{serve(t, f, 2, nil).addr})
	done(t, to)
	f.same(t, spec.Content)
	if len(s.asked()) != before {
		t.Error("it was asked again")
	}
}

// A piece that a peer spoiled and a web seed completed is fetched again from the web seed
// alone, which tells who lied.
func TestLiarBesideAWebSeedIsFound(t *testing.T) {
	f := makeTorrent(t, 125, 1<<20, 1<<20)
	leech := start(t)
	s := serveWeb(t, f, nil)
	spec := f.webSpec(t, s.pub())
	spec.Announcer = callers{}
	to := leech.add(t, spec)
	liar := join(t, leech, f, 1)
	liar.send(wire.Message{ID: wire.Bitfield, Bits: f.all().Bytes()}, wire.Message{ID: wire.Unchoke})
	m := liar.expect(wire.Request)
	block := spoiled(m, append([]byte(nil), f.data[m.Begin:m.Begin+m.Length]...))
	liar.send(wire.Message{ID: wire.Piece, Index: 0, Begin: m.Begin, Block: block}, wire.Message{ID: wire.Choke})
	until(t, "the choke", func() bool { p := to.Status().Peers; return len(p) == 1 && p[0].ChokesUs && p[0].Downloaded > 0 })
	leech.advance(webPatience)
	done(t, to)
	f.same(t, spec.Content)
	liar.gone()
	if n := leech.drops[wrongPiece].Load(); n != 1 || len(s.asked()) != 2 {
		t.Errorf("%v, asked for %v", leech.Drops(), s.asked())
	}
}

// A server that takes requests and says nothing is given up after a while, and tried
// again later.
func TestWebSeedThatHangs(t *testing.T) {
	f := makeTorrent(t, 118, 32<<10, 512<<10)
	leech := start(t)
	first, noticed := make(chan struct{}, 1), make(chan struct{})
	first <- struct{}{}
	s := serveWeb(t, f, func(w http.ResponseWriter, r *http.Request) bool {
		select {
		case <-first:
		default:
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(f.data)))
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(noticed)
		return true
	})
	spec := f.webSpec(t, s.pub())
	to := leech.add(t, spec)
	until(t, "the request", func() bool { return len(s.asked()) == 1 })
	if p := to.Status().Peers; len(p) != 1 || p[0].Where() != s.pub() || p[0].Pieces != f.layout.NumPieces() || p[0].Requests != 1 {
		t.Errorf("peers %+v", p)
	}
	leech.advance(webSilence + time.Second)
	until(t, "it to be given up", func() bool { return leech.webIdle(to) })
	sound(t, to)
	if used := leech.buffers.inUse(); used != 0 {
		t.Errorf("%d bytes of buffers are kept for it", used)
	}
	if r := to.Status().Reason; !strings.Contains(r, "nothing has come for 30s, it is asked again in") {
		t.Errorf("reason %q", r)
	}
	<-noticed // the connection was closed
	leech.advance(2 * firstWebBackOff)
	done(t, to)
	f.same(t, spec.Content)
}

// A slow server does not keep others from what it was asked for; alone it may take its
// time, and is named when it gives nothing.
func TestWebSeedThatIsSlow(t *testing.T) {
	f := makeTorrent(t, 119, 32<<10, 512<<10)
	leech := start(t)
	slow := serveWeb(t, f, func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", fmt.Sprint(len(f.data)))
		_, _ = w.Write(f.data[:1000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return true
	})
	alone := leech.add(t, f.webSpec(t, slow.pub()))
	until(t, "the request", func() bool { return len(slow.asked()) == 1 })
	leech.advance(webSlowFor + time.Second)
	if r := reasonOf(leech, alone); leech.webIdle(alone) || !strings.Contains(r, "it is being asked") {
		t.Errorf("reason %q", r)
	}
	stop(t, alone)

	fast := serveWeb(t, f, nil)
	spec := f.webSpec(t, slow.pub(), fast.pub())
	to := leech.add(t, spec)
	until(t, "what the fast one was asked for", func() bool { return to.Status().BytesDone == 256<<10 })
	leech.advance(webSlowFor + time.Second)
	done(t, to)
	f.same(t, spec.Content)
}

// Retry-After is heeded, in seconds and as a date.
func TestWebSeedThatIsBusy(t *testing.T) {
	f := makeTorrent(t, 119, 32<<10, 512<<10)
	for _, after := range []string{"600", time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat)} {
		leech := start(t)
		first := true
		s := serveWeb(t, f, func(w http.ResponseWriter, r *http.Request) bool {
			if !first {
				return false
			}
			first = false
			w.Header().Set("Retry-After", after)
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		})
		to := leech.add(t, f.webSpec(t, s.pub()))
		until(t, "the refusal", func() bool { return leech.webIdle(to) })
		leech.advance(9 * time.Minute)
		if r := to.Status().Reason; len(s.asked()) != 1 || !strings.Contains(r, "503 Service Unavailable") {
			t.Errorf("asked for %v, reason %q", s.asked(), r)
		}
		leech.advance(10 * time.Minute)
		done(t, to)
	}
}

func TestWebSeedThatRedirects(t *testing.T) {
	f := makeTorrent(t, 120, 32<<10, 512<<10)
	leech := start(t)
	s := serveWeb(t, f, nil)
	to := serveWeb(t, f, func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, s.URL+r.URL.EscapedPath(), http.StatusFound)
		return true
	})
	spec := f.webSpec(t, to.pub())
	done(t, leech.add(t, spec))
	f.same(t, spec.Content)

	other := start(t)
	circle := serveWeb(t, f, func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, r.URL.EscapedPath(), http.StatusFound)
		return true
	})
	round := other.add(t, f.webSpec(t, circle.pub()))
	until(t, "the refusal", func() bool { return other.webIdle(round) })
	if n := len(circle.asked()); n != maxRedirects+1 {
		t.Errorf("%d requests", n)
	}
	if r := reasonOf(other, round); !strings.Contains(r, "too many redirects") {
		t.Errorf("reason %q", r)
	}
}

func TestWebSeedByHTTPS(t *testing.T) {
	f := makeTorrent(t, 127, 32<<10, 512<<10)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, f.path) }))
	defer s.Close()
	roots := filepath.Join(t.TempDir(), "roots.pem")
	must(t, os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o644))
	t.Setenv("SSL_CERT_FILE", roots)
	leech := start(t)
	spec := f.webSpec(t, s.URL+"/x")
	to := leech.add(t, spec)
	done(t, to)
	f.same(t, spec.Content)
	stop(t, to)
	must(t, leech.Close()) // before the server, which waits for its connections
}

// A web seed that lacks one file gives the others.
func TestWebSeedThatLacksAFile(t *testing.T) {
	f := makeTorrent(t, 121, 32<<10, 128<<10, 128<<10, 128<<10)
	leech := start(t)
	s := serveWeb(t, f, func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "file 1") {
			http.NotFound(w, r)
			return true
		}
		return false
	})
	spec := f.webSpec(t, s.pub())
	to := leech.add(t, spec)
	until(t, "two files", func() bool {
		leech.advance(time.Second)
		return to.Status().BytesDone == 256<<10
	})
	if r := reasonOf(leech, to); !strings.Contains(r, "it lacks what is missing") {
		t.Errorf("reason %q", r)
	}
	to.AddPeers([]netip.AddrPort{serve(t, f, 2, nil).addr})
	done(t, to)
	f.same(t, spec.Content)
}

// Other content under the same name is found out before a byte of it is taken.
func TestWebSeedWithAnotherFile(t *testing.T) {
	f := makeTorrent(t, 122, 32<<10, 512<<10)
	for name, odd := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"has 600000 bytes, not 524288": func(w http.ResponseWriter, r *http.Request) bool {
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(strings.Repeat("x", 600000)))
			return true
		},
		"has 5 bytes": func(w http.ResponseWriter, r *http.Request) bool {
			fmt.Fprint(w, "hello")
			return true
		},
		"bytes 5-10/524288": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Range", "bytes 5-10/524288")
			w.WriteHeader(http.StatusPartialContent)
			return true
		},
		"416 Requested": func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return true
		},
		"ends in the middle": func(w http.ResponseWriter, r *http.Request) bool {
			var at int // it may have been asked again by the time the test looks
			fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &at)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-524287/524288", at))
			w.WriteHeader(http.StatusPartialContent)
			w.Write(f.data[at:min(at+100<<10, len(f.data)-1)])
			return true
		},
		"answer ends in the middle": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Length", fmt.Sprint(len(f.data)))
			w.Write(f.data[:5])
			return true
		},
		"403 Forbidden": func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusForbidden)
			return true
		},
	} {
		leech := start(t)
		s := serveWeb(t, f, odd)
		to := leech.add(t, f.webSpec(t, s.pub()))
		until(t, name, func() bool { return leech.webIdle(to) })
		sound(t, to)
		said := make(chan string, 1) // time stands still: it is not asked again meanwhile
		to.l.post(look(func() { said <- to.s.webTrouble() }))
		if r := <-said; !strings.Contains(r, name) {
			t.Errorf("%s: %q", name, r)
		}
	}
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
	allowed := int64(rate / 10)
	for range 20 {
		least := to.Status().Downloaded + rate/20 - 2*blockLen
		clock.advance(100 * time.Millisecond)
		allowed += rate / 10
		until(t, "what the limit lets through", func() bool { return to.Status().Downloaded >= least })
		if got := to.Status().Downloaded; got > allowed {
			t.Fatalf("%d bytes have come, allowed are %d", got, allowed)
		}
	}
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

func TestURLsOfFiles(t *testing.T) {
	single := &storage.Layout{Name: "a b?.iso", Single: true, Files: []storage.File{{Path: "a b?.iso"}}}
	many := &storage.Layout{Name: "dir", Files: []storage.File{{Path: "x/ü#1%"}}}
	for _, c := range []struct {
		base string
		l    *storage.Layout
		want string
	}{
		{"http://h/p/x.iso", single, "http://h/p/x.iso"},
		{"http://h/p/", single, "http://h/p/a%20b%3F.iso"},
		{"http://h/p%2Fq/", single, "http://h/p%2Fq/a%20b%3F.iso"},
		{"https://u:p@h:8080/p?token=1", single, "https://u:p@h:8080/p?token=1"},
		{"http://h", many, "http://h/dir/x/%C3%BC%231%25"},
		{"http://h/p", many, "http://h/p/dir/x/%C3%BC%231%25"},
		{"http://h/p/?t=1#f", many, "http://h/p/dir/x/%C3%BC%231%25?t=1"},
	} {
		base, err := webURL(c.base)
		must(t, err)
		if got := fileURL(base, c.l, &c.l.Files[0]).String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.base, got, c.want)
		}
	}
}

// FuzzContentRange: what a server says of a range is a range, or refused.
func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-99/100", "bytes 5-9/*", "bytes */100", "bytes 9-5/100", "items 0-1/2", "bytes 0-99/50", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, last, size, ok := contentRange(text)
		if ok && (first < 0 || last < first || size != -1 && size <= last) {
			t.Errorf("%q: %d-%d of %d", text, first, last, size)
		}
	})
}
