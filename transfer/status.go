package transfer

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// stuckAfter is how long nothing must have come in before the status says why.
const stuckAfter = 10 * time.Second

// Status is a snapshot of a torrent. Byte counts are of piece data since it was
// added, except BytesDone.
type Status struct {
	BytesDone, BytesTotal int64 // verified and written; in all
	Downloaded, Uploaded  int64
	Wasted                int64   // of Downloaded: came twice, unasked, or was wrong
	RateDown, RateUp      float64 // bytes per second, over about the last second
	Peers                 []PeerStatus
	// PeersWanting is how many connected peers are incomplete and ask us for more.
	PeersWanting int
	Known        int // addresses known
	// Reason says in words why nothing has come in for 10 s; empty when there is
	// nothing to explain.
	Reason string
	// From tells who sent how much that was of use, the largest first.
	From []Source
}

// PeerStatus is one connected peer.
type PeerStatus struct {
	URL                  string         // of a web seed, which has no address, peer id or port
	Addr                 netip.AddrPort // of its end of the connection
	Listen               netip.AddrPort // where it can be called; zero: unknown
	PeerID               [20]byte
	Client               string // as it calls itself
	Outgoing             bool   // we called it
	Encrypted            bool   // it insists on RC4
	Pieces               int    // that it has
	Downloaded, Uploaded int64
	RateDown, RateUp     float64
	ChokesUs, Choked     bool // it does not serve us; we do not serve it
	Wanted, Wants        bool // it has something for us; we for it
	Snubbed              bool // it has stopped to answer
	Requests             int  // of ours, under way
}

// Where names the peer: where it can be called, else the address it calls from; the URL
// of a web seed.
func (p PeerStatus) Where() string {
	if p.URL != "" {
		return p.URL
	}
	return cmp.Or(p.Listen, p.Addr).String()
}

// Source is how much one peer has sent over all of its connections.
type Source struct {
	URL    string // of a web seed, which has neither address nor peer id
	Addr   netip.AddrPort
	PeerID [20]byte
	Bytes  int64
}

// Where names the source: its address, or the URL of a web seed.
func (s Source) Where() string {
	if s.URL != "" {
		return s.URL
	}
	return s.Addr.String()
}

// Status returns a snapshot; after Stop or Close the last one. Unless the torrent
// rests it waits for one turn of its loop.
func (t *Torrent) Status() Status {
	if r := t.rest.Load(); r != nil && t.last.Load() == nil {
		return r.status(t)
	}
	ask := askStatus{t: t, reply: make(chan Status, 1)}
	if t.l.post(ask) {
		if st, ok := <-ask.reply; ok {
			return st
		}
	}
	if last := t.last.Load(); last != nil {
		return *last
	}
	return Status{BytesTotal: t.spec.Layout.Total}
}

type askStatus struct {
	t     *Torrent
	reply chan Status
}

func (a askStatus) handle(l *loop) {
	switch r := a.t.rest.Load(); {
	case a.t.s != nil:
		a.reply <- a.t.s.status()
	case r != nil && !a.t.gone:
		a.reply <- r.status(a.t)
	default:
		close(a.reply)
	}
}

func (a askStatus) orphaned() { close(a.reply) }

func (s *swarm) status() Status {
	st := Status{
		BytesDone: s.done, BytesTotal: s.t.spec.Layout.Total,
		Downloaded: s.down.total, Uploaded: s.up.total, Wasted: s.wasted,
		RateDown: s.down.rate, RateUp: s.up.rate,
		Known: len(s.book.order), Reason: s.reason(),
	}
	if len(s.conns) == 0 && !s.webWaits() {
		st.RateDown, st.RateUp = 0, 0 // the loop may be at rest, and the meters with it
	}
	for _, c := range s.conns {
		if c.state != open {
			continue
		}
		p := PeerStatus{
			Addr: c.addr, PeerID: c.peerID, Client: c.client, Outgoing: c.outgoing, Encrypted: c.crypt != nil, Pieces: c.has,
			Downloaded: c.down.total, Uploaded: c.up.total, RateDown: c.down.rate, RateUp: c.up.rate,
			ChokesUs: c.chokesUs, Choked: c.chokesIt, Wanted: c.wantIt, Wants: c.wantsUs,
			Snubbed: c.snubbed, Requests: len(c.asked),
		}
		if c.known != nil {
			p.Listen = c.known.addr
		}
		if c.wantsUs && c.fetches() {
			st.PeersWanting++
		}
		st.Peers = append(st.Peers, p)
	}
	for _, w := range s.web {
		w.tell(&st)
	}
	slices.SortFunc(st.Peers, func(a, b PeerStatus) int { return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.URL, b.URL)) })
	st.From = s.gave()
	return st
}

// gave tells who has sent how much, the largest first.
func (s *swarm) gave() []Source {
	var all []Source
	for _, src := range s.sources {
		if src.bytes > 0 {
			all = append(all, Source{Addr: src.addr, PeerID: src.id, URL: src.url, Bytes: src.bytes})
		}
	}
	slices.SortFunc(all, func(a, b Source) int {
		return cmp.Or(-cmp.Compare(a.Bytes, b.Bytes), a.Addr.Compare(b.Addr), cmp.Compare(a.URL, b.URL))
	})
	return all
}

// reason finds the words for why nothing moves.
func (s *swarm) reason() string {
	if err := s.t.Err(); err != nil {
		return err.Error()
	}
	if s.paused() {
		return s.whyPaused()
	}
	if s.complete() || s.stopping || s.l.now.Sub(s.lastMove) < stuckAfter {
		return ""
	}
	web := s.webTrouble()
	connected, wanted, choking, snubbed, starved := 0, 0, 0, 0, 0
	for _, c := range s.conns {
		if c.state != open {
			continue
		}
		connected++
		if !c.wantIt {
			continue
		}
		wanted++
		switch {
		case c.chokesUs:
			choking++
		case c.snubbed:
			snubbed++
		case c.starved:
			starved++
		}
	}
	switch {
	case connected == 0 && web != "" && len(s.book.order) == 0:
		return web
	case connected == 0 && web != "":
		return s.noPeers() + "; " + web
	case connected == 0:
		return s.noPeers()
	case wanted == 0 && web != "":
		return fmt.Sprintf("%s: none of the %s connected has it; %s", s.missing(), count(connected, "peer"), web)
	case wanted == 0:
		return fmt.Sprintf("%s: none of the %s connected has it", s.missing(), count(connected, "peer"))
	case choking == wanted:
		return fmt.Sprintf("%s: %s it, %s us", s.missing(), haveIt(wanted), all(choking, "chokes", "choke"))
	case choking+snubbed == wanted:
		return fmt.Sprintf("%s: %s it, %d choke us and %d do not answer", s.missing(), haveIt(wanted), choking, snubbed)
	case starved > 0:
		return "all piece buffers are in use by other downloads"
	}
	return fmt.Sprintf("%s: %s it and nothing has come for %d s", s.missing(), haveIt(wanted), int(s.l.now.Sub(s.lastMove).Seconds()))
}

// missing names the piece, or how many are missing.
func (s *swarm) missing() string {
	if s.left > 1 {
		return fmt.Sprintf("%d pieces are missing", s.left)
	}
	for i := range s.geo.Pieces {
		if !s.have.Get(i) {
			return fmt.Sprintf("piece %d", i)
		}
	}
	return "nothing is missing"
}

// noPeers explains why nobody is connected.
func (s *swarm) noPeers() string {
	if len(s.book.order) == 0 {
		return "no peers known"
	}
	tried, trouble := s.book.troubles()
	if tried == 0 {
		return fmt.Sprintf("connecting to %s", count(len(s.book.order), "peer"))
	}
	return fmt.Sprintf("none of the %s known can be used (%s)", count(len(s.book.order), "peer"), trouble)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func haveIt(n int) string {
	if n == 1 {
		return "1 peer has"
	}
	return fmt.Sprintf("%d peers have", n)
}

func all(n int, one, many string) string {
	switch n {
	case 1:
		return one
	case 2:
		return "both " + many
	}
	return "all " + many
}
