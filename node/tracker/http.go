package tracker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/anacrolix/torrent/bencode"

	"chordtorrent/communicator"
)

// Ring is what a tracker wants of a communicator.
type Ring interface {
	Announce(ctx context.Context, a communicator.Announce) (communicator.Swarm, error)
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
	// Local is this node's address, for peers on its own machine; zero: they are told to
	// others as they come.
	Local netip.Addr
	// Base is where this tracker is, http://host:port, for .torrents, and Others gives the
	// same of trackers of other nodes, any number of them in any order; nil: none are known.
	Base   string
	Others func() []string
	// Passkeys closes the tracker: every path begins with /PASSKEY. nil: it is open.
	Passkeys Passkeys
}

// Passkeys knows who may use the tracker of a ring that has a secret.
type Passkeys interface {
	Passkey() string // for .torrents that are given out
	CheckPasskey(given string) bool
}

// Tracker answers clients by HTTP.
type Tracker struct {
	cfg   Config
	names *names
	mux   *http.ServeMux
}

// patience is how long a client waits for the ring. Its own is seldom longer than 30 s.
const patience = 10 * time.Second

// New makes a Tracker.
func New(cfg Config) *Tracker {
	t := &Tracker{cfg: cfg, names: &names{ring: cfg.Ring, now: time.Now, known: make(map[[20]byte]known)}, mux: http.NewServeMux()}
	t.mux.HandleFunc("GET /announce", t.announce)
	t.mux.HandleFunc("GET /scrape", t.scrape)
	t.mux.HandleFunc("GET /t/{file}", t.torrent)
	t.mux.HandleFunc("GET /files.json", t.filesJSON)
	t.mux.HandleFunc("GET /files", t.files)
	return t
}

// ServeHTTP implements http.Handler.
func (t *Tracker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	r = r.WithContext(ctx)
	if t.cfg.Passkeys == nil {
		t.mux.ServeHTTP(w, r)
		return
	}
	key, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case t.cfg.Passkeys.CheckPasskey(key):
		http.StripPrefix("/"+key, t.mux).ServeHTTP(w, r)
	case rest == "announce", rest == "scrape", key == "announce", key == "scrape":
		t.fail(w, errPasskey)
	case key == "t", key == "files", key == "files.json":
		http.Error(w, errPasskey.Error(), http.StatusForbidden)
	default:
		http.NotFound(w, r)
	}
}

// mostOthers is how many other nodes a .torrent names, besides this one.
const mostOthers = 4

// tiers are the trackers that a .torrent of this one has, a tier each (BEP 12): when a
// node dies, its clients go on to the next.
func (t *Tracker) tiers() [][]string {
	bases := []string{t.cfg.Base}
	if t.cfg.Others != nil {
		others := t.cfg.Others()
		rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		bases = append(bases, others[:min(len(others), mostOthers)]...)
	}
	path := "/announce"
	if t.cfg.Passkeys != nil {
		path = "/" + t.cfg.Passkeys.Passkey() + path
	}
	var tiers [][]string
	for _, b := range bases {
		tiers = append(tiers, []string{b + path})
	}
	return tiers
}

func (t *Tracker) announce(w http.ResponseWriter, r *http.Request) {
	from, err := t.source(r)
	if err != nil {
		t.fail(w, err)
		return
	}
	req, err := parseAnnounce(r.URL.RawQuery, from)
	if err != nil {
		t.fail(w, err)
		return
	}
	swarm, err := t.enter(r.Context(), req.Announce)
	if err != nil {
		t.fail(w, err)
		return
	}
	b, err := answerTo(req, swarm)
	if err != nil {
		t.fail(w, err)
		return
	}
	t.write(w, b)
}

// enter carries out an announce, under the name that the torrent has in the ring.
func (t *Tracker) enter(ctx context.Context, a communicator.Announce) (s communicator.Swarm, err error) {
	if a.Name, err = t.names.of(ctx, a.InfoHash); err != nil {
		return s, err
	}
	if a.Name == "" && t.cfg.RegisteredOnly {
		return s, errNotAuthorized
	}
	return t.cfg.Ring.Announce(ctx, a)
}

// source is where a client is, as others reach it.
func (t *Tracker) source(r *http.Request) (netip.Addr, error) {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("where the announce comes from: %w", err)
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

// maxScrape is how many torrents one scrape asks for, as with BEP 15.
const maxScrape = 74

func (t *Tracker) scrape(w http.ResponseWriter, r *http.Request) {
	q, _ := url.ParseQuery(r.URL.RawQuery)
	asked := q["info_hash"]
	if len(asked) == 0 || len(asked) > maxScrape {
		t.fail(w, fmt.Errorf("a scrape is of 1 to %d torrents, not of %d", maxScrape, len(asked)))
		return
	}
	files := make(map[string]scraped, len(asked))
	for _, h := range asked {
		if len(h) != 20 {
			t.fail(w, fmt.Errorf("%w: info_hash has %d bytes instead of 20", errRequest, len(h)))
			return
		}
		s, name, err := t.look(r.Context(), [20]byte([]byte(h)))
		if err != nil {
			t.fail(w, err)
			return
		}
		if name == "" && t.cfg.RegisteredOnly {
			continue // as one that the tracker knows nothing of
		}
		files[h] = scraped{Complete: s.Seeders, Incomplete: s.Leechers, Name: name}
	}
	b, err := bencode.Marshal(map[string]any{"files": files})
	if err != nil {
		t.fail(w, err)
		return
	}
	t.write(w, b)
}

// look is a swarm for a scrape, and its name in the ring; nothing of what is not to be
// tracked.
func (t *Tracker) look(ctx context.Context, infoHash [20]byte) (s communicator.Swarm, name string, err error) {
	if name, err = t.names.of(ctx, infoHash); err != nil || (name == "" && t.cfg.RegisteredOnly) {
		return s, name, err
	}
	s, err = t.cfg.Ring.Peers(ctx, name, infoHash, 1)
	return s, name, err
}

// fail tells a client why, in the way it understands: with status 200, as BEP 3 has it.
func (t *Tracker) fail(w http.ResponseWriter, err error) {
	b, marshalErr := bencode.Marshal(failure{words(err)})
	if marshalErr != nil {
		http.Error(w, words(err), http.StatusInternalServerError)
		return
	}
	t.write(w, b)
}

// words is an error as somebody reads it who knows nothing of a ring's inside.
func words(err error) string {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, communicator.ErrUnavailable) || errors.Is(err, communicator.ErrNotReady) {
		return "the ring does not answer at the moment"
	}
	return err.Error()
}

func (t *Tracker) write(w http.ResponseWriter, b []byte) {
	w.Header().Set("Content-Type", "text/plain") // what clients of all ages expect
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(b)
}
