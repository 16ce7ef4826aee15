package trackers

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/anacrolix/torrent/bencode"
	"go.uber.org/goleak"

	"chordtorrent/transfer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var infoHash = [20]byte([]byte("\x00 %&+abc\xff\xfe0123456789"))

func progress(event transfer.Event, left int64) transfer.Progress {
	return transfer.Progress{Event: event, Left: left, Uploaded: 5, Downloaded: 7, PeerID: [20]byte([]byte("-CT0001-abcdefghijkl")), Port: 7001}
}

// logged is a log that a test looks at.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newClient() (*Client, *logged) {
	log := new(logged)
	return NewClient(slog.New(slog.NewTextHandler(log, nil))), log
}

// web is a scripted tracker by HTTP that remembers what it was asked.
type web struct {
	*httptest.Server
	mu    sync.Mutex
	asked []url.Values
}

func newWeb(t *testing.T, answer http.HandlerFunc) *web {
	w := new(web)
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.asked = append(w.asked, r.URL.Query())
		w.mu.Unlock()
		answer(rw, r)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *web) questions() []url.Values {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]url.Values(nil), w.asked...)
}

// events are what the announces so far were about.
func (w *web) events() []string {
	var all []string
	for _, q := range w.questions() {
		all = append(all, q.Get("event"))
	}
	return all
}

func says(t *testing.T, v map[string]any) http.HandlerFunc {
	t.Helper()
	b, err := bencode.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(b) }
}

// peersOf makes compact peers with IPv4 addresses.
func peersOf(addrs ...string) string {
	var b []byte
	for _, a := range addrs {
		ap := netip.MustParseAddrPort(a)
		b = append(b, ap.Addr().AsSlice()...)
		b = append(b, byte(ap.Port()>>8), byte(ap.Port()))
	}
	return string(b)
}

func (c *Client) listOf(tiers ...[]string) *List { return c.List(infoHash, tiers) }

// announce asks once and fails the test if that does not end.
func announce1(t *testing.T, l *List, p transfer.Progress) (transfer.Answer, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return l.Announce(ctx, p)
}

func mustAnnounce(t *testing.T, l *List, p transfer.Progress) transfer.Answer {
	t.Helper()
	a, err := announce1(t, l, p)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// hangs answers nothing until the client gives up.
func hangs(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func newSecureWeb(t *testing.T, h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}
