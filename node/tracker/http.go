package tracker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"chordtorrent/communicator"
)

// Ring is what a tracker wants of a communicator.
type Ring interface {
	Register(ctx context.Context, name string, infoHash [20]byte, entries []communicator.Entry) error
	Peers(ctx context.Context, name string, infoHash [20]byte, n int) (communicator.Swarm, error)
	NamesOf(ctx context.Context, infoHash [20]byte) ([]string, error)
	Torrent(ctx context.Context, name string) (communicator.Version, []byte, error)
	Files(ctx context.Context, prefix string) ([]communicator.File, error)
}

// NotAuthorized is what a client is told about a torrent that is not registered, in the
// words that the field knows.
const NotAuthorized = "Requested download is not authorized for use with this tracker"

var (
	errNotAuthorized = errors.New(NotAuthorized) //nolint:staticcheck // the field's words, with their capital
	errPasskey       = errors.New("this ring has a secret: its trackers want a passkey, as chordnode secret --passkey shows it")
)

// Config is what a Tracker needs.
type Config struct {
	Ring Ring
	// RegisteredOnly refuses what was not published in the ring.
	RegisteredOnly bool
	// SourceRate and SourcePeers are how many announces and scrapes a second, and how many
	// peers, one address may have; 0: the usual 1,000 and 50,000, and if both are, more where
	// nobody else is kept waiting.
	SourceRate, SourcePeers int
	// OwnIP lets clients in private networks say by the parameter ip where they are.
	OwnIP bool
	// ID is told to clients as the tracker's; "": nothing is.
	ID string
	// Local is this node's address, for peers on its own machine; zero: they are told to
	// others as they come.
	Local netip.Addr
	// Own is where this tracker is, for .torrents, and Others gives the same of trackers of
	// other nodes, any number of them in any order; nil: none are known.
	Own    Place
	Others func() []Place
	// Passkeys closes the tracker: every path begins with /PASSKEY. nil: it is open.
	Passkeys Passkeys
}

// Place is where a node's trackers are, host:port; "": it has none of that kind.
type Place struct{ HTTP, UDP string }

// Passkeys knows who may use the tracker of a ring that has a secret.
type Passkeys interface {
	Passkey() string // for .torrents that are given out
	CheckPasskey(given string) bool
}

// Tracker answers clients by HTTP and UDP.
type Tracker struct {
	cfg      Config
	names    *names
	sources  *sources
	view     *view
	counts   counts
	speeds   communicator.Speeds
	listings listings
	mux      *http.ServeMux
}

// patience is how long a client waits for the ring. Its own is seldom longer than 30 s.
const patience = 10 * time.Second

// New makes a Tracker. It answers at once; Run keeps what it knows.
func New(cfg Config) *Tracker {
	fair := cfg.SourceRate == 0 && cfg.SourcePeers == 0
	if cfg.SourceRate == 0 {
		cfg.SourceRate = defaultSourceRate
	}
	if cfg.SourcePeers == 0 {
		cfg.SourcePeers = defaultSourcePeers
	}
	t := &Tracker{cfg: cfg, mux: http.NewServeMux()}
	t.names = &names{ring: cfg.Ring, now: time.Now, known: make(map[[20]byte]known)}
	t.sources = newSources(cfg.SourceRate, cfg.SourcePeers)
	t.view = newView(cfg.Ring, t.names, t.sources, cfg.RegisteredOnly)
	if fair {
		t.sources.beFair(func() int64 { return maxStored - t.view.stored.Load() })
	}
	t.listings = listings{ring: cfg.Ring, view: t.view}
	t.mux.HandleFunc("GET /scrape", t.scrape)
	t.mux.HandleFunc("GET /t/{file}", t.charged(t.torrent))
	t.mux.HandleFunc("GET /files.json", t.charged(t.filesJSON))
	t.mux.HandleFunc("GET /files", t.charged(t.files))
	t.mux.HandleFunc("GET /swarm.json", t.charged(t.swarmJSON))
	t.mux.HandleFunc("GET /swarm", t.charged(t.swarm))
	t.mux.HandleFunc("GET /swarm/metrics", t.charged(t.swarmMetrics))
	return t
}

// Run tells the ring of the peers that announce here, and looks there for others, until ctx
// ends.
func (t *Tracker) Run(ctx context.Context) { t.view.run(ctx) }

// ServeHTTP implements http.Handler.
func (t *Tracker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if t.cfg.Passkeys != nil {
		key, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		switch {
		case t.cfg.Passkeys.CheckPasskey(key):
			path = "/" + rest
		case rest == "announce", rest == "scrape", key == "announce", key == "scrape":
			t.fail(w, errPasskey)
			return
		case key == "t", key == "files", key == "files.json", key == "swarm", key == "swarm.json":
			http.Error(w, errPasskey.Error(), http.StatusForbidden)
			return
		default:
			http.NotFound(w, r)
			return
		}
	}
	if path == "/announce" && r.Method == http.MethodGet {
		t.announce(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	http.StripPrefix(strings.TrimSuffix(r.URL.Path, path), t.mux).ServeHTTP(w, r.WithContext(ctx))
}

// pageCost is how many announces a page, a list or a .torrent costs its address.
const pageCost = 20

// charged has an address pay for a page.
func (t *Tracker) charged(page http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from, err := t.source(r.RemoteAddr)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if source := from.As16(); !t.sources.mayAsk(&source, t.view.now().UnixMilli(), pageCost) {
			t.counts.refused(errTooFast)
			http.Error(w, errTooFast.Error(), http.StatusTooManyRequests)
			return
		}
		page(w, r)
	}
}

// mostOthers is how many other nodes a .torrent names, besides this one.
const mostOthers = 4

// Tiers are the trackers that a .torrent of this one has, a tier for each node (BEP 12):
// when a node dies, its clients go on to the next.
func (t *Tracker) Tiers() [][]string {
	places := []Place{t.cfg.Own}
	if t.cfg.Others != nil {
		others := t.cfg.Others()
		rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		places = append(places, others[:min(len(others), mostOthers)]...)
	}
	path := "/announce"
	if t.cfg.Passkeys != nil {
		path = "/" + t.cfg.Passkeys.Passkey() + path
	}
	var tiers [][]string
	for _, p := range places {
		var tier []string
		if p.HTTP != "" {
			tier = append(tier, "http://"+p.HTTP+path)
		}
		if p.UDP != "" {
			tier = append(tier, "udp://"+p.UDP+path)
		}
		if len(tier) > 0 {
			tiers = append(tiers, tier)
		}
	}
	return tiers
}

// exchange is what one announce needs, used again for the next.
type exchange struct {
	ask    announce
	answer answer
	out    []byte
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

func (t *Tracker) announce(w http.ResponseWriter, r *http.Request) {
	x, _ := exchanges.Get().(*exchange)
	defer exchanges.Put(x)
	x.out = x.out[:0]
	if err := t.httpAnnounce(r, x); err != nil {
		t.counts.refused(err)
		x.out = appendFailure(x.out, words(err))
	}
	t.write(w, x.out)
}

func (t *Tracker) httpAnnounce(r *http.Request, x *exchange) error {
	from, err := t.source(r.RemoteAddr)
	if err != nil {
		return err
	}
	return t.announceBy(r.Context(), from, r.URL.RawQuery, x, t.view.now())
}

// announceBy answers the announce in a query, into x.out.
func (t *Tracker) announceBy(ctx context.Context, from netip.Addr, query string, x *exchange, now time.Time) error {
	if err := parseAnnounce(&x.ask, query, from, t.cfg.OwnIP); err != nil {
		return err
	}
	source := from.As16()
	if !t.sources.mayAsk(&source, now.UnixMilli(), 1) {
		return errTooFast
	}
	if err := t.enter(ctx, &x.ask, &x.answer, now); err != nil {
		return err
	}
	t.counts.http.Add(1)
	x.out = appendAnswer(x.out, &x.ask, &x.answer, t.cfg.ID)
	return nil
}

// enter carries out an announce. It waits only for the first look at a swarm.
func (t *Tracker) enter(ctx context.Context, a *announce, ans *answer, now time.Time) error {
	for range 3 { // a swarm may be forgotten as soon as it is known
		ans.peers, ans.warning = ans.peers[:0], ""
		if known, err := t.view.announce(a, ans, now); known || err != nil {
			return err
		}
		if err := t.meet(ctx, a, now); err != nil {
			return err
		}
	}
	return communicator.ErrUnavailable
}

// meet waits for the first look at the swarm of an announce.
func (t *Tracker) meet(ctx context.Context, a *announce, now time.Time) error {
	done, ok := t.sources.mayWait(&a.ip, now.UnixMilli())
	if !ok {
		return errBusy
	}
	defer done()
	return t.view.meet(ctx, a.infoHash)
}

// source is where a client is, as others reach it, by its end of the connection.
func (t *Tracker) source(remote string) (netip.Addr, error) {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("where the request comes from: %w", err)
	}
	return t.here(at.Addr().Unmap().WithZone("")), nil
}

// here is how others reach somebody: a client on the node's own machine at the node's
// address.
func (t *Tracker) here(from netip.Addr) netip.Addr {
	if from.IsLoopback() && t.cfg.Local.IsValid() {
		return t.cfg.Local
	}
	return from
}

// fail tells a client why, in the way it understands: with status 200, as BEP 3 has it.
func (t *Tracker) fail(w http.ResponseWriter, err error) {
	t.counts.refused(err)
	t.write(w, appendFailure(nil, words(err)))
}

// words is an error as somebody reads it who knows nothing of a ring's inside.
func words(err error) string {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, communicator.ErrUnavailable) || errors.Is(err, communicator.ErrNotReady) {
		return "the ring does not answer at the moment"
	}
	return err.Error()
}

func (t *Tracker) write(w http.ResponseWriter, b []byte) {
	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = plain, noStore
	_, _ = w.Write(b)
}

var plain, noStore = []string{"text/plain"}, []string{"no-store"} // what clients of all ages expect
