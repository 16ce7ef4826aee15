package tracker

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"

	"chordtorrent/communicator"
	"chordtorrent/communicator/ringtest"
)

// world is a tracker over a ring in memory.
type world struct {
	t    *testing.T
	ring *communicator.Communicator
	tr   *Tracker
}

func newWorld(t *testing.T, change func(*Config)) *world {
	ring := communicator.New(ringtest.New(1), netip.MustParseAddr("10.0.0.1"))
	t.Cleanup(func() { ring.Close() })
	cfg := Config{Ring: ring, Local: netip.MustParseAddr("10.0.0.1"), Own: Place{HTTP: "10.0.0.1:6969"}}
	if change != nil {
		change(&cfg)
	}
	w := &world{t: t, ring: ring, tr: New(cfg)}
	ctx, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.tr.Run(ctx) })
	t.Cleanup(func() { end(); running.Wait() })
	return w
}

// publish puts a name into the ring and gives its info hash.
func (w *world) publish(name string) [20]byte {
	w.t.Helper()
	info := fmt.Appendf(nil, "d6:lengthi20e4:name%d:%s12:piece lengthi16384e6:pieces20:xxxxxxxxxxxxxxxxxxxxe", len(name), name)
	hash := sha1.Sum(info)
	if _, err := w.ring.Publish(w.t.Context(), communicator.Version{Name: name, InfoHash: hash, Size: 20, Pieces: 1}, fmt.Appendf(nil, "d4:info%se", info)); err != nil {
		w.t.Fatal(err)
	}
	return hash
}

// get asks from an address.
func (w *world) get(from, path string) (int, []byte) {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.RemoteAddr = from
	rec := httptest.NewRecorder()
	w.tr.ServeHTTP(rec, r)
	b, err := io.ReadAll(rec.Result().Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec.Code, b
}

// listedPeer is one of a list that is not compact.
type listedPeer struct {
	IP     string `bencode:"ip"`
	PeerID string `bencode:"peer id"`
	Port   uint16 `bencode:"port"`
}

// query is an announce of a peer that is named by a letter.
func query(hash [20]byte, peer string, more ...string) string {
	q := url.Values{"info_hash": {string(hash[:])}, "peer_id": {strings.Repeat(peer, 20)}, "port": {"7001"}, "left": {"20"}, "uploaded": {"0"}, "downloaded": {"0"}}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return "/announce?" + q.Encode()
}

// decoded is an answer as a client reads it.
type decoded struct {
	Failure    string             `bencode:"failure reason"`
	Warning    string             `bencode:"warning message"`
	Interval   int64              `bencode:"interval"`
	Min        int64              `bencode:"min interval"`
	Complete   int                `bencode:"complete"`
	Incomplete int                `bencode:"incomplete"`
	External   string             `bencode:"external ip"`
	Peers      bencode.Bytes      `bencode:"peers"`
	Peers6     string             `bencode:"peers6"`
	Files      map[string]scraped `bencode:"files"`
}

func (w *world) ask(from, path string) decoded {
	w.t.Helper()
	code, b := w.get(from, path)
	var d decoded
	if err := bencode.Unmarshal(b, &d); err != nil || code != http.StatusOK {
		w.t.Fatalf("%s: %d %q: %v", path, code, b, err)
	}
	return d
}

func TestPeersFindEachOther(t *testing.T) {
	w := newWorld(t, nil)
	hash := w.publish("disk.img")
	first := w.ask("10.0.0.7:40000", query(hash, "a", "left", "0", "event", "started"))
	if first.Failure != "" || string(first.Peers) != "0:" || first.Complete != 1 || first.Interval < 1 || first.Min < 1 || first.External != "\x0a\x00\x00\x07" {
		t.Errorf("the first peer: %+v", first)
	}
	// Behind the same address, and on IPv6.
	w.ask("10.0.0.7:40001", query(hash, "b", "port", "7002", "event", "started"))
	second := w.ask("[2001:db8::1]:40000", query(hash, "c", "event", "started"))
	if second.Complete != 1 || second.Incomplete != 2 {
		t.Errorf("the third peer sees %+v", second)
	}
	var compact string
	if err := bencode.Unmarshal(second.Peers, &compact); err != nil || len(compact) != 12 || !strings.Contains(compact, "\x0a\x00\x00\x07\x1b\x59") || !strings.Contains(compact, "\x0a\x00\x00\x07\x1b\x5a") {
		t.Errorf("compact peers %q, %v", compact, err)
	}
	third := w.ask("10.0.0.8:1", query(hash, "d"))
	if want := string(netip.MustParseAddr("2001:db8::1").AsSlice()) + "\x1b\x59"; third.Peers6 != want {
		t.Errorf("peers6 %q", third.Peers6)
	}
	// As a list, with and without ids.
	var list []listedPeer
	if err := bencode.Unmarshal(w.ask("10.0.0.8:1", query(hash, "d", "compact", "0")).Peers, &list); err != nil || len(list) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, p := range list {
		if p.PeerID == "" || p.Port == 0 || netip.MustParseAddr(p.IP) == (netip.Addr{}) {
			t.Errorf("%+v", p)
		}
	}
	list = nil
	if err := bencode.Unmarshal(w.ask("10.0.0.8:1", query(hash, "d", "compact", "0", "no_peer_id", "1", "numwant", "1")).Peers, &list); err != nil || len(list) != 1 || list[0].PeerID != "" {
		t.Errorf("one without its id: %+v, %v", list, err)
	}
	// Who has everything is not told others like it; who leaves is gone.
	if d := w.ask("10.0.0.9:1", query(hash, "e", "left", "0")); strings.Contains(string(d.Peers), "\x0a\x00\x00\x07\x1b\x59") {
		t.Errorf("a seeder was told another: %q", d.Peers)
	}
	// But for who begins: aria2 says so of a magnet link.
	if d := w.ask("10.0.0.9:1", query(hash, "e", "left", "0", "event", "started")); !strings.Contains(string(d.Peers), "\x0a\x00\x00\x07\x1b\x59") {
		t.Errorf("who has a magnet link was told of no seeder: %q", d.Peers)
	}
	w.ask("10.0.0.7:40001", query(hash, "b", "port", "7002", "event", "stopped"))
	scrape := w.ask("10.0.0.8:1", "/scrape?info_hash="+url.QueryEscape(string(hash[:])))
	if got := scrape.Files[string(hash[:])]; got.Complete != 2 || got.Downloaded != 0 || got.Incomplete != 2 || got.Name != "disk.img" {
		t.Errorf("scraped %+v", scrape)
	}
	// Who completes counts once, also when its tracker has not met it before; nobody in its name.
	for _, from := range []string{"10.0.0.9:9", "10.0.0.8:1", "10.0.0.8:2"} {
		w.ask(from, query(hash, "d", "left", "0", "event", "completed"))
	}
	w.ask("10.0.0.10:1", query(hash, "f", "left", "0", "event", "completed"))
	w.ask("10.0.0.11:1", query(hash, "g", "left", "1", "event", "completed"))
	scrape = w.ask("10.0.0.8:1", "/scrape?info_hash="+url.QueryEscape(string(hash[:])))
	if got := scrape.Files[string(hash[:])]; got.Downloaded != 2 {
		t.Errorf("after two have completed: %+v", scrape)
	}
}

func TestSomebodyOnTheNodesMachineIsAtItsAddress(t *testing.T) {
	w := newWorld(t, nil)
	hash := w.publish("x")
	w.ask("127.0.0.1:40000", query(hash, "a", "left", "0"))
	if d := w.ask("10.0.0.8:1", query(hash, "b")); string(d.Peers) != "6:\x0a\x00\x00\x01\x1b\x59" {
		t.Errorf("peers %q", d.Peers)
	}
}

func TestRegisteredOnly(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.RegisteredOnly = true })
	now := time.Now()
	w.tr.names.now = func() time.Time { return now }
	hash := sha1.Sum([]byte("d6:lengthi20e4:name1:x12:piece lengthi16384e6:pieces20:xxxxxxxxxxxxxxxxxxxxe"))
	if d := w.ask("10.0.0.7:1", query(hash, "a")); d.Failure != "Requested download is not authorized for use with this tracker" {
		t.Errorf("what is not registered: %+v", d)
	}
	if d := w.ask("10.0.0.7:1", "/scrape?info_hash="+url.QueryEscape(string(hash[:]))); len(d.Files) != 0 {
		t.Errorf("scraped %+v", d)
	}
	// Registered a moment later, it works at the next announce.
	if got := w.publish("x"); got != hash {
		t.Fatalf("another hash %x", got)
	}
	now = now.Add(unknownFor)
	if d := w.ask("10.0.0.7:1", query(hash, "a")); d.Failure != "" || d.Incomplete != 1 {
		t.Errorf("what is registered: %+v", d)
	}
	// Without the rule anything is tracked.
	open := newWorld(t, nil)
	open.ask("10.0.0.7:1", query([20]byte{1}, "a", "left", "0"))
	if d := open.ask("10.0.0.8:1", query([20]byte{1}, "b")); d.Complete != 1 || d.Incomplete != 1 {
		t.Errorf("an unknown torrent: %+v", d)
	}
}

func TestBadAnnouncesAreToldWhy(t *testing.T) {
	w := newWorld(t, nil)
	hash := w.publish("x")
	for q, words := range map[string]string{
		"/announce":                                      "info_hash has 0 bytes",
		query(hash, "a", "info_hash", "short"):           "info_hash has 5 bytes",
		query(hash, "a", "peer_id", "short"):             "peer_id has 5 bytes",
		query(hash, "a", "port", "0"):                    `the port is "0"`,
		query(hash, "a", "port", "70000"):                `the port is "70000"`,
		query(hash, "a", "left", "-5"):                   `left is "-5"`,
		query(hash, "a", "left", "99999999999999999999"): "left is",
		query(hash, "a", "event", "exploded"):            `the event is "exploded"`,
		"/scrape":                                        "1 to 74 torrents",
		"/scrape?info_hash=x":                            "info_hash has 1 bytes",
		"/scrape?" + strings.Repeat("info_hash=x&", 75):  "not of 75",
	} {
		if d := w.ask("10.0.0.7:1", q); !strings.Contains(d.Failure, words) {
			t.Errorf("%.60s: %q, want %q", q, d.Failure, words)
		}
	}
	// What nobody needs does no harm.
	for _, q := range []string{query(hash, "a") + "&numwant=-1", query(hash, "a") + "&numwant=x", query(hash, "a") + "&key=%ZZ", query(hash, "a", "event", "paused")} {
		if d := w.ask("10.0.0.7:1", q); d.Failure != "" {
			t.Errorf("%s: %s", q, d.Failure)
		}
	}
}

func TestTorrentsByName(t *testing.T) {
	w := newWorld(t, nil)
	hash := w.publish("a b.img")
	code, b := w.get("10.0.0.7:1", "/t/a%20b.img.torrent")
	mi, err := metainfo.Load(bytes.NewReader(b))
	if code != http.StatusOK || err != nil {
		t.Fatalf("%d %q: %v", code, b, err)
	}
	if mi.HashInfoBytes() != hash || mi.Announce != "http://10.0.0.1:6969/announce" {
		t.Errorf("info hash %s, tracker %s", mi.HashInfoBytes(), mi.Announce)
	}
	// With other nodes, a tier each.
	w.tr.cfg.Others = func() []Place {
		return []Place{{HTTP: "a:1", UDP: "a:2"}, {HTTP: "b:1", UDP: "b:2"}, {HTTP: "c:1", UDP: "c:2"}, {HTTP: "d:1", UDP: "d:2"}, {HTTP: "e:1", UDP: "e:2"}}
	}
	_, b = w.get("10.0.0.7:1", "/t/a%20b.img.torrent")
	if mi, err = metainfo.Load(bytes.NewReader(b)); err != nil || len(mi.AnnounceList) != 1+mostOthers || mi.AnnounceList[0][0] != mi.Announce || len(mi.AnnounceList[4]) != 2 ||
		!strings.HasSuffix(mi.AnnounceList[4][0], ":1/announce") || mi.AnnounceList[4][1] != "udp"+strings.Replace(mi.AnnounceList[4][0][4:], ":1/", ":2/", 1) {
		t.Errorf("tiers %v, %v", mi.AnnounceList, err)
	}
	for path, want := range map[string]int{"/t/nothing.torrent": 404, "/t/a%20b.img": 404, "/t/%2e%2e.torrent": 404} {
		if code, _ := w.get("10.0.0.7:1", path); code != want {
			t.Errorf("%s: %d", path, code)
		}
	}
}

func TestTheList(t *testing.T) {
	w := newWorld(t, nil)
	hash := w.publish("<img src=x onerror=alert(1)>")
	w.publish("other")
	w.ask("10.0.0.7:1", query(hash, "a", "left", "0"))
	code, b := w.get("10.0.0.7:1", "/files")
	if code != http.StatusOK || !strings.Contains(string(b), "&lt;img src=x") || strings.Contains(string(b), "<img") || !strings.Contains(string(b), "1–2 of 2") {
		t.Errorf("%d %s", code, b)
	}
	code, b = w.get("10.0.0.7:1", "/files.json?search=IMG")
	if code != http.StatusOK || !strings.Contains(string(b), `"seeders":1`) || !strings.Contains(string(b), `"total":1`) {
		t.Errorf("%d %s", code, b)
	}
}

// counting counts what a ring is asked for.
type counting struct {
	Ring
	lists, swarms *atomic.Int64
	reply         chan struct{} // closed when lists may be answered
}

func (c counting) Files(ctx context.Context, prefix string) ([]communicator.File, error) {
	c.lists.Add(1)
	<-c.reply
	return c.Ring.Files(ctx, prefix)
}

func (c counting) Peers(ctx context.Context, name string, infoHash [20]byte, n int) (communicator.Swarm, error) {
	c.swarms.Add(1)
	return c.Ring.Peers(ctx, name, infoHash, n)
}

func TestListingsOfOneSecondAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := counting{lists: new(atomic.Int64), swarms: new(atomic.Int64), reply: make(chan struct{})}
		w := newWorld(t, func(c *Config) { asked.Ring = c.Ring; c.Ring = asked })
		w.publish("x")
		w.publish("y")
		// Who asks first does not stay for the answer.
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan struct{})
		go func() {
			defer close(left)
			if _, err := w.tr.listings.get(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("who left: %v", err)
			}
		}()
		synctest.Wait()
		leave()
		<-left
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				path := []string{"/files.json", "/files", "/files.json?search=y"}[i%3]
				if code, b := w.get("10.0.0.7:1", path); code != http.StatusOK || !strings.Contains(string(b), "y.torrent") {
					t.Errorf("%s: %d %s", path, code, b)
				}
			})
		}
		synctest.Wait()
		close(asked.reply)
		all.Wait()
		if lists, swarms := asked.lists.Load(), asked.swarms.Load(); lists != 1 || swarms != 2 {
			t.Errorf("%d lists, %d swarms", lists, swarms)
		}
		w.publish("z")
		pass(listingFor)
		synctest.Wait()
		if _, b := w.get("10.0.0.7:1", "/files.json"); !strings.Contains(string(b), `"total":3`) || asked.lists.Load() != 2 {
			t.Errorf("a second later, list %d: %s", asked.lists.Load(), b)
		}
	})
}

func TestPagesAreCharged(t *testing.T) {
	for _, path := range []string{"/files", "/files.json", "/swarm?name=x", "/swarm.json?name=x", "/t/x.torrent"} {
		w := newWorld(t, func(c *Config) { c.SourceRate = 4 })
		now := time.Now()
		w.tr.view.now = func() time.Time { return now }
		w.publish("x")
		for i, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
			if code, b := w.get("10.0.0.7:1", path); code != want {
				t.Errorf("%s, %d: %d %s", path, i, code, b)
			}
		}
		if code, _ := w.get("10.0.0.8:1", path); code != http.StatusOK {
			t.Errorf("%s from another address: %d", path, code)
		}
		if n := w.tr.Refused()["source_rate"]; n != 1 {
			t.Errorf("%d are counted", n)
		}
	}
}

type oneKey struct{}

func (oneKey) Passkey() string                { return "0123" }
func (oneKey) CheckPasskey(given string) bool { return given == "0123" }

func TestAPasskey(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Passkeys = oneKey{} })
	hash := w.publish("x")
	for _, path := range []string{query(hash, "a"), "/4567" + query(hash, "a"), "/scrape?info_hash=" + url.QueryEscape(string(hash[:]))} {
		if d := w.ask("10.0.0.7:1", path); !strings.Contains(d.Failure, "passkey") {
			t.Errorf("%s: %+v", path, d)
		}
	}
	for path, want := range map[string]int{"/t/x.torrent": 403, "/files": 403, "/files.json": 403, "/4567/files": 404, "/0123/files": 200} {
		if code, b := w.get("10.0.0.7:1", path); code != want {
			t.Errorf("%s: %d %s", path, code, b)
		}
	}
	if d := w.ask("10.0.0.7:1", "/0123"+query(hash, "a")); d.Failure != "" || d.Incomplete != 1 {
		t.Errorf("with the passkey: %+v", d)
	}
	_, b := w.get("10.0.0.7:1", "/0123/t/x.torrent")
	if mi, err := metainfo.Load(bytes.NewReader(b)); err != nil || mi.Announce != "http://10.0.0.1:6969/0123/announce" {
		t.Errorf("the .torrent: %q, %v", b, err)
	}
}

// silent is a ring that does not answer.
type silent struct{ Ring }

func (silent) NamesOf(ctx context.Context, _ [20]byte) ([]string, error) {
	return nil, communicator.ErrUnavailable
}

func TestARingThatDoesNotAnswer(t *testing.T) {
	// Its own peers are better than nothing, unless they have to be registered.
	w := newWorld(t, func(c *Config) { c.Ring = silent{c.Ring} })
	w.ask("10.0.0.7:1", query([20]byte{1}, "a"))
	if d := w.ask("10.0.0.8:1", query([20]byte{1}, "b")); d.Failure != "" || d.Warning == "" || d.Incomplete != 2 || len(d.Peers) != 8 {
		t.Errorf("%+v", d)
	}
	w = newWorld(t, func(c *Config) { c.Ring, c.RegisteredOnly = silent{c.Ring}, true })
	if d := w.ask("10.0.0.7:1", query([20]byte{1}, "a")); d.Failure != "the ring does not answer at the moment" {
		t.Errorf("%+v", d)
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	w := newWorld(t, nil)
	n := w.tr.names
	for i := range maxNames {
		n.known[[20]byte{byte(i), byte(i >> 8), byte(i >> 16), 1}] = known{name: "x", until: time.Now().Add(time.Hour)}
	}
	if _, err := n.of(t.Context(), [20]byte{}); err != nil || len(n.known) > maxNames*3/4+1 {
		t.Errorf("%d names are remembered, %v", len(n.known), err)
	}
}

func FuzzAnnounce(f *testing.F) {
	f.Add("info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&port=1&left=0&event=started&numwant=5&compact=1")
	f.Add("info_hash=%00%01&port=-1;left=%zz")
	from := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, q string) {
		var a announce
		if parseAnnounce(&a, q, from, true) != nil {
			return
		}
		if a.port == 0 || a.left < -1 || a.want > mostWanted || a.want < 0 {
			t.Fatalf("%+v", a)
		}
		// What net/url finds in it is what is taken.
		if v, err := url.ParseQuery(q); err == nil && len(v["info_hash"]) == 1 && len(v["peer_id"]) == 1 && (v.Get("info_hash") != string(a.infoHash[:]) || v.Get("peer_id") != string(a.peerID[:])) {
			t.Fatalf("%q, %q instead of %v", a.infoHash, a.peerID, v)
		}
		ans := answer{peers: []record{{ip: from.As16(), port: 1}, {ip: netip.MustParseAddr("2001:db8::1").As16(), port: 2}}, interval: time.Second, warning: "x"}
		var d decoded
		if b := appendAnswer(nil, &a, &ans, "id"); bencode.Unmarshal(b, &d) != nil || d.Interval != 1 || d.Warning != "x" {
			t.Fatalf("%q", b)
		}
	})
}

// sink is a response that nobody reads.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(int)             {}

func BenchmarkHTTPAnnounce(b *testing.B) {
	ring := communicator.New(ringtest.New(1), netip.MustParseAddr("10.0.0.1"))
	defer ring.Close()
	tr := New(Config{Ring: ring, SourceRate: 1 << 30})
	var r *http.Request
	for i := range 30 {
		r = httptest.NewRequest(http.MethodGet, query([20]byte{1}, string(rune('a'+i))), nil)
		r.RemoteAddr = "10.0.0.7:4711"
		tr.ServeHTTP(&sink{http.Header{}}, r)
	}
	w := &sink{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		tr.ServeHTTP(w, r)
	}
}
