package trackers

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"chordtorrent/transfer"
	"chordtorrent/transfer/wire"
)

const (
	// wantPeers is how many peers a tracker is asked for.
	wantPeers = 100
	// maxPeers is how many of one answer are taken; a UDP packet may hold more.
	maxPeers = 1000
	// leastInterval and mostInterval bound the time to the next announce, whatever a
	// tracker says; usualInterval is for those that do not say.
	leastInterval = 5 * time.Second
	mostInterval  = 2 * time.Hour
	usualInterval = 30 * time.Minute
	// betweenWishes is how long a tracker that names no least interval is left alone
	// although peers have run out.
	betweenWishes = time.Minute
)

// Client speaks with trackers, for any number of torrents and from any goroutine.
type Client struct {
	log  *slog.Logger
	http *http.Client
	unit time.Duration // BEP 15: how long the first packet is waited for

	mu    sync.Mutex
	conns map[netip.AddrPort]connection // of UDP trackers that were asked a moment ago
}

// NewClient makes a Client. log gets what trackers say and how they fail; nil: none.
func NewClient(log *slog.Logger) *Client {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Client{log: log, http: newHTTP(), unit: 15 * time.Second, conns: make(map[netip.AddrPort]connection)}
}

// question is an announce to one tracker.
type question struct {
	infoHash, peerID           [20]byte
	port                       uint16
	uploaded, downloaded, left int64
	event                      transfer.Event
	want                       int
	key                        uint32 // the same at all trackers, so that they know us at another address
	trackerID                  string // what it called us, "" unless it did
}

// reply is what a tracker answers, within our bounds.
type reply struct {
	peers     []netip.AddrPort
	interval  time.Duration
	least     time.Duration // not before that
	warning   string
	trackerID string
}

// settle brings the times of an answer, as the tracker gave them in seconds, within bounds.
// Whom it forbids to come before a later time than it gives comes then.
func (r *reply) settle(interval, least int64) {
	r.interval = usualInterval
	if interval > 0 {
		r.interval = bounded(interval)
	}
	r.least = min(betweenWishes, r.interval)
	if least > 0 {
		r.interval = max(r.interval, bounded(least))
		r.least = time.Duration(min(least, int64(r.interval/time.Second))) * time.Second
	}
}

func bounded(seconds int64) time.Duration {
	return time.Duration(min(max(seconds, int64(leastInterval/time.Second)), int64(mostInterval/time.Second))) * time.Second
}

// Refusal is the answer of a tracker that will not do what it was asked.
type Refusal struct {
	Reason string // in its words
	Again  time.Duration
	Never  bool // it is of no use to ask again (BEP 31)
}

func (r *Refusal) Error() string { return fmt.Sprintf("it refuses: %s", r.Reason) }

// ask announces to a tracker and waits for its answer.
func (c *Client) ask(ctx context.Context, u *url.URL, q question) (reply, error) {
	if u.Scheme == "udp" {
		return c.askUDP(ctx, u, q)
	}
	return c.askHTTP(ctx, u, q)
}

// printable makes a tracker's words fit for a log or a terminal.
func printable(s string) string { return wire.Printable(s, 300) }

// usable says whether somebody may listen at an address.
func usable(a netip.AddrPort) bool {
	return a.Port() != 0 && a.Addr().IsValid() && !a.Addr().IsUnspecified() && !a.Addr().IsMulticast()
}
