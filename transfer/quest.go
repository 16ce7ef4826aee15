package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash"
	"net/netip"
	"slices"
	"time"

	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

// A quest is a torrent of which nothing is known but its info hash. It has the
// connections, the addresses and the announcer of any other, and asks for the info
// dictionary instead of pieces (BEP 9).
//
// Each peer that is asked is asked for all of it. Parts from several could not be told
// apart when the whole is wrong; so whoever has sent it has lied. Against: a large one
// comes as slowly as the fastest of them sends. Who is asked is decided in places.go.

const (
	// MaxMetadata is the largest info dictionary that is fetched by default, in bytes.
	MaxMetadata = 64 << 20
	// partsAhead is how many requests a peer has to answer; some reject more than ten.
	partsAhead = 4
	// A peer has offerWithin to say that it has the info dictionary, and then
	// answerWithin, and as long as its bytes take at leastRate.
	offerWithin  = 10 * time.Second
	answerWithin = 20 * time.Second
	leastRate    = 2 << 10 // bytes per second
	// rejectedFor is how long a peer that has rejected is not asked.
	rejectedFor = 30 * time.Second
)

// MetadataSpec says which info dictionary is wanted, and from where.
type MetadataSpec struct {
	InfoHash [20]byte
	// Announcer brings peers; nil: only Peers, whom they tell of, and whoever connects.
	Announcer Announcer
	Peers     []netip.AddrPort
	// MaxBytes bounds the info dictionary; zero: MaxMetadata.
	MaxBytes int
}

// Metadata fetches the info dictionary of a torrent from its peers (BEP 9) and returns
// its bytes, whose SHA-1 is the info hash. Peers that send another one, or none, are
// left, and others tried. It blocks until it is here or ctx has ended; the error then
// wraps that of ctx and says what was tried. ErrKnown when the torrent is in this
// engine, or is asked for already; ErrClosed after Close. Afterwards the torrent can be
// added; "stopped" is announced only when nothing came of it.
func (e *Engine) Metadata(ctx context.Context, m MetadataSpec) ([]byte, error) {
	if m.MaxBytes < 0 {
		return nil, fmt.Errorf("transfer: metadata of at most %d bytes", m.MaxBytes)
	}
	t := &Torrent{e: e, spec: Spec{
		InfoHash: m.InfoHash, Announcer: m.Announcer,
		Layout: &storage.Layout{PieceLength: blockLen}, Have: wire.NewBits(0),
	}}
	t.wanted = &wanted{most: cmp.Or(m.MaxBytes, MaxMetadata), found: make(chan [][]byte, 1)}
	if err := e.enter(t); err != nil {
		return nil, err
	}
	t.AddPeers(m.Peers)
	select {
	case parts := <-t.wanted.found:
		_, _ = t.end(ctx)
		return slices.Concat(parts...), nil
	case <-t.over.channel():
		return nil, ErrClosed
	case <-ctx.Done():
	}
	tried := t.tried()
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer cancel()
	if err := t.Stop(bye); err != nil {
		e.cfg.Log.Debug("not announced", "info_hash", hexHash(m.InfoHash), "err", err)
	}
	return nil, fmt.Errorf("transfer: metadata of %s: %s: %w", hexHash(m.InfoHash), tried, ctx.Err())
}

// leaveWithin is how long to wait for trackers to hear that a quest was given up.
const leaveWithin = 2 * time.Second

// wanted is what a Torrent has that is a quest.
type wanted struct {
	most  int
	found chan [][]byte // its parts; has room for the one
}

// quest is the part of a swarm that asks for the info dictionary.
type quest struct {
	s     *swarm
	most  int // bytes
	found chan<- [][]byte
	over  bool
	talks map[*conn]*talk
	// faults is how often somebody at an address has sent a wrong info dictionary, or
	// one too slowly.
	faults map[netip.Addr]int
}

// talk is a peer that is being asked. got are the parts that have come in order: never
// more than it has sent.
type talk struct {
	size  int
	next  int // part to ask for
	got   [][]byte
	bytes int            // of got
	sum   hash.Hash      // of got
	early map[int][]byte // parts that have overtaken others
	began time.Time
}

func newQuest(s *swarm, w *wanted) *quest {
	return &quest{s: s, most: w.most, found: w.found, talks: make(map[*conn]*talk), faults: make(map[netip.Addr]int)}
}

// passesOver tells whether a message is of no concern as long as nobody knows how many
// pieces there are.
func (q *quest) passesOver(id wire.MessageID) bool {
	switch id {
	case wire.Have, wire.Bitfield, wire.HaveAll, wire.HaveNone, wire.Suggest, wire.AllowedFast:
		return true
	}
	return false
}

// met is called when a peer's handshake is here.
func (q *quest) met(c *conn, speaksExtended bool) {
	if !speaksExtended {
		c.drop(noMetadata, fmt.Errorf("%s does not speak the extension protocol", c.addr))
	}
}

// offered is called when a peer has said whether it has the info dictionary.
func (q *quest) offered(c *conn) {
	if c.info.id != 0 && c.info.size > q.most {
		c.drop(noMetadata, fmt.Errorf("it offers %d bytes, at most %d are taken", c.info.size, q.most))
		return
	}
	q.more()
}

// ask has the peer send what comes next.
func (q *quest) ask(c *conn, t *talk) {
	for t.next < partsOf(t.size) && t.next < len(t.got)+partsAhead {
		t.next++
		c.tellMetadata(metadataMessage{Type: metadataRequest, Piece: t.next - 1}, nil)
	}
}

// onPart takes a part of the info dictionary.
func (q *quest) onPart(c *conn, m metadataMessage, part []byte) {
	t := q.talks[c]
	if t == nil {
		c.idle() // it had rejected another part
		return
	}
	at := len(t.got)
	if m.Piece < at || m.Piece >= t.next || t.early[m.Piece] != nil {
		c.drop(unrequested, fmt.Errorf("part %d of the metadata", m.Piece))
		return
	}
	if want := min(metadataPart, t.size-m.Piece*metadataPart); len(part) != want || m.Total != 0 && m.Total != t.size {
		c.drop(wrongMetadata, fmt.Errorf("part %d has %d bytes and not %d, of %d and not %d", m.Piece, len(part), want, m.Total, t.size))
		return
	}
	t.early[m.Piece] = slices.Clone(part)
	c.down.add(len(part))
	for ; t.early[at] != nil; at++ {
		t.got = append(t.got, t.early[at])
		t.bytes += len(t.early[at])
		t.sum.Write(t.early[at])
		delete(t.early, at)
	}
	if t.bytes < t.size {
		q.ask(c, t)
		return
	}
	q.check(c, t)
}

// check looks whether what a peer has sent is what was wanted.
func (q *quest) check(c *conn, t *talk) {
	if [20]byte(t.sum.Sum(nil)) == q.s.t.spec.InfoHash {
		if !q.over {
			q.over = true
			q.found <- t.got
		}
		delete(q.talks, c)
		return
	}
	q.blame(c, wrongMetadata, nil)
}

// onReject leaves a peer alone for a while that will not give what it has.
func (q *quest) onReject(c *conn) {
	if q.talks[c] == nil {
		c.idle()
		return
	}
	delete(q.talks, c)
	c.info.notNow = q.s.l.now.Add(rejectedFor)
	if c.known != nil {
		c.known.trouble = "it has rejected"
	}
	q.more()
}

// left is called when a connection has ended.
func (q *quest) left(c *conn) {
	delete(q.talks, c)
	if !q.s.halted() {
		q.more()
	}
}

// tick leaves those that promise, and send nothing or too slowly, and those that are of
// no use.
func (q *quest) tick() {
	now := q.s.l.now
	for c, t := range q.talks {
		if now.Sub(t.began) > answerWithin+time.Duration(t.bytes/leastRate)*time.Second {
			q.blame(c, noMetadata, fmt.Errorf("%d of %d bytes in %v", t.bytes, t.size, now.Sub(t.began).Round(time.Second)))
		}
	}
	for _, c := range q.s.conns {
		if c.state == open && (c.info.id == 0 || c.info.size == 0) && now.Sub(c.born) > offerWithin {
			c.drop(noMetadata, errors.New("it has none"))
		}
	}
	q.more()
}

// tried says in words how far it is.
func (q *quest) tried() string {
	known, connected := len(q.s.book.order), 0
	for _, c := range q.s.conns {
		if c.state == open {
			connected++
		}
	}
	_, trouble := q.s.book.troubles()
	if trouble != "" {
		trouble = " (" + trouble + ")"
	}
	switch {
	case known == 0 && connected == 0:
		return "no peers known"
	case connected > 0:
		return fmt.Sprintf("%s known, %d connected, none has sent metadata%s", count(known, "peer"), connected, trouble)
	}
	return fmt.Sprintf("%s known, none has sent metadata%s", count(known, "peer"), trouble)
}

// tried asks the loop for the words; empty when it has ended.
func (t *Torrent) tried() string {
	ask := askTried{t: t, reply: make(chan string, 1)}
	if !t.l.post(ask) {
		return ErrClosed.Error()
	}
	return <-ask.reply
}

type askTried struct {
	t     *Torrent
	reply chan string
}

func (a askTried) handle(*loop) {
	if a.t.s == nil {
		a.orphaned()
		return
	}
	a.reply <- a.t.s.quest.tried()
}

func (a askTried) orphaned() { a.reply <- ErrClosed.Error() }
