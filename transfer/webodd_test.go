package transfer

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chordtorrent/transfer/wire"
)

// Web seeds that do other than they should.

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

// Who is slow at the end, a web seed or a peer, is overtaken by a web seed that has nothing
// else to do, but not at once: perhaps the rest is on its way.
func TestTheLastPiecesComeFromAnotherWebSeed(t *testing.T) {
	for _, byPeer := range []bool{false, true} {
		f := makeTorrent(t, 127, 32<<10, 1<<20)
		clock := &stoppedClock{at: time.Now()}
		leech := start(t, func(c *Config) { c.now = clock.now })
		slow := serveWeb(t, f, func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true })
		spec := f.webSpec(t, slow.pub(), serveWeb(t, f, nil).pub())
		spec.Announcer = callers{}
		if byPeer {
			spec.WebSeeds = spec.WebSeeds[1:]
		}
		to := leech.add(t, spec)
		if byPeer {
			p := join(t, leech, f, 1)
			p.send(wire.Message{ID: wire.Bitfield, Bits: f.all().Bytes()}, wire.Message{ID: wire.Unchoke})
			p.expect(wire.Request)
		}
		clock.advance(webPatience)
		idle := func() (idle, counted bool) {
			to.l.post(look(func() {
				idle, counted = to.s.pick.Endgame() && to.s.web[len(to.s.web)-1].fetch == nil, !to.s.tail.IsZero()
			}))
			leech.advance(0)
			return idle, counted
		}
		until(t, "nothing to be missing but what the slow one owes", func() bool { idle, _ := idle(); return idle })
		clock.advance(tickEvery)
		until(t, "that to be seen", func() bool { _, counted := idle(); return counted })
		clock.advance(tailFor - 2*tickEvery)
		if idle, _ := idle(); !idle {
			t.Error("what the slow one owes was asked for twice at once")
		}
		clock.advance(2 * tickEvery)
		done(t, to)
		f.same(t, spec.Content)
	}
}

// stall answers with the first n bytes of the content, and waits for the client to go.
func (f *fixture) stall(w http.ResponseWriter, r *http.Request, n int) {
	w.Header().Set("Content-Length", fmt.Sprint(len(f.data)))
	_, _ = w.Write(f.data[:n]) // who asks tells
	w.(http.Flusher).Flush()
	<-r.Context().Done()
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
		f.stall(w, r, 0)
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
		f.stall(w, r, 1000)
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
