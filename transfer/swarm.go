package transfer

import (
	"encoding/hex"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"

	"chordtorrent/transfer/picker"
	"chordtorrent/transfer/poller"
	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

// blockLen is the grain of requests (BEP 3): what the picker counts in.
const blockLen = 16 << 10

// swarm is a torrent on its loop: everything here belongs to that goroutine.
type swarm struct {
	l    *loop
	t    *Torrent
	log  *slog.Logger
	geo  picker.Geometry
	lim  wire.Limits
	pick *picker.Picker
	have *wire.Bits
	left int   // pieces that are not verified and written; 0: complete
	done int64 // bytes that are

	conns  map[picker.PeerID]*conn
	byID   map[[20]byte]*conn // open ones
	book   book
	nextID picker.PeerID // handles are never used twice

	partials  map[int]*partial // pieces that have room for a buffer
	bereft    bool             // somebody has left who may have been the only one with some of them
	stuck     []*hashing       // pieces for which the disk has no space, see full.go
	full      error            // what it said; nil: it has
	nextWrite time.Time
	away      int // jobs at the workers: hashing, reading
	suspects  map[int]*suspect
	banned    map[sourceKey]bool
	sources   map[sourceKey]*source

	web     []*webSeed
	webFrom time.Time // when they may be asked first

	first *picker.FirstCopies // nil until it matters who gets which piece
	turns picker.Turns        // who is being served

	nextRechoke time.Time
	nextLook    time.Time // for better neighbours
	down, up    meter
	wasted      int64
	lastMove    time.Time // when data last came in
	tail        time.Time // since when nothing is missing that nobody was asked for; zero: there is
	lonelySince time.Time // when the last connection ended
	wantedAt    time.Time // when peers were last wished for
	info        shelf     // see metadata.go
	quest       *quest    // set as long as nothing is known of the torrent, see quest.go
	stopping    bool
	blocks      []picker.Block // scratch
}

func newSwarm(l *loop, t *Torrent) *swarm {
	lay := t.spec.Layout
	have := t.spec.Have
	if have == nil {
		have = everything(lay.NumPieces())
	}
	s := &swarm{
		l: l, t: t, have: have,
		log:      l.log.With("info_hash", hexHash(t.spec.InfoHash)),
		conns:    make(map[picker.PeerID]*conn),
		byID:     make(map[[20]byte]*conn),
		book:     newBook(),
		partials: make(map[int]*partial),
		suspects: make(map[int]*suspect),
		banned:   make(map[sourceKey]bool),
		sources:  make(map[sourceKey]*source),
		lastMove: l.now, lonelySince: l.now,
	}
	n := lay.NumPieces()
	s.lim = wire.DefaultLimits(n)
	if t.wanted != nil {
		s.quest = newQuest(s, t.wanted)
		s.lim = wire.DefaultLimits(t.wanted.most / storage.HashLen)
	}
	s.lim.MaxPayload = maxExtended
	if need := 2 * (int(s.lim.MaxBitfield) + maxExtended); len(l.scratch) < need {
		l.scratch = make([]byte, need) // the longest message must fit twice
	}
	if n > 0 {
		s.geo = picker.Geometry{
			Pieces: n, PieceLen: uint32(lay.PieceLength), LastLen: uint32(lay.PieceSize(n - 1)), BlockLen: blockLen,
		}
		s.pick = picker.New(s.geo, s.have.Clone(), rand.New(rand.NewPCG(l.rnd.Uint64(), l.rnd.Uint64())))
	}
	for i := range n {
		if s.have.Get(i) {
			s.done += lay.PieceSize(i)
		} else {
			s.left++
		}
	}
	s.openWeb()
	return s
}

func hexHash(h [20]byte) string { return hex.EncodeToString(h[:]) }

// pieceSize is Layout.PieceSize as the wire counts.
func (s *swarm) pieceSize(i int) uint32 {
	if i == s.geo.Pieces-1 {
		return s.geo.LastLen
	}
	return s.geo.PieceLen
}

func (s *swarm) complete() bool { return s.left == 0 && s.quest == nil }

// halted tells whether it must not ask, serve or connect any more.
func (s *swarm) halted() bool { return s.stopping || s.t.Err() != nil }

// checkDone notices that nothing is missing (any more).
func (s *swarm) checkDone() {
	if !s.complete() || !s.t.done.fire() {
		return
	}
	s.l.announceCompleted(s.t)
	s.dropWeb()
	s.l.e.buffers.trim()
	for _, c := range s.conns {
		if c.state == open {
			c.tellRest()
			c.updateInterest()
		}
		c.leaveIfBothSeeds()
	}
}

// fail ends the torrent's work for a reason of the environment: the disk is
// full, a file has changed. Other torrents go on.
func (s *swarm) fail(err error) {
	if s.halted() {
		return
	}
	s.t.why.Store(&err)
	s.t.failed.fire()
	s.log.Error("torrent failed", "err", err)
	s.dropAll()
	s.giveBackAll()
}

// adopt brings an accepted connection, whose handshake has been read, to the
// loop of its torrent.
type adopt struct {
	t     *Torrent
	fd    int
	from  netip.AddrPort
	hello wire.Handshake
	crypt *crypt // nil: it is plain
	rest  []byte // what came behind the handshake
}

func (a adopt) handle(l *loop) {
	s := a.t.wake()
	if s == nil || s.halted() {
		l.e.drops.count(stopped)
		closeFD(a.fd)
		return
	}
	if len(s.conns) >= l.e.cfg.MaxPeers {
		l.e.drops.count(tooManyPeers)
		closeFD(a.fd)
		return
	}
	c := newConn(s, a.fd, a.from)
	c.state, c.crypt = greetingBack, a.crypt
	if s.enter(c) {
		c.greeted(a.hello)
		c.parse(a.rest)
	}
}

func (a adopt) orphaned() { closeFD(a.fd) }

// enter makes c one of the torrent's connections and watches it.
func (s *swarm) enter(c *conn) bool {
	want := poller.Read
	if c.state == connecting {
		want = poller.Write
	}
	if err := s.l.watch(c.fd, c, want); err != nil {
		s.log.Warn("cannot watch a connection", "addr", c.addr, "err", err)
		closeFD(c.fd)
		return false
	}
	c.want = want
	c.id = s.nextID
	c.turn.Peer = c.id
	s.nextID++
	s.conns[c.id] = c
	s.l.counts.conns.Add(1)
	s.l.load.Add(1)
	s.l.wakes()
	return true
}

// leave is called once for each connection that has ended.
func (s *swarm) leave(c *conn) {
	delete(s.conns, c.id)
	s.lonelySince = s.l.now
	s.l.counts.conns.Add(-1)
	s.l.load.Add(-1)
	if s.byID[c.peerID] == c {
		delete(s.byID, c.peerID)
	}
	s.freeTurn(c)
	s.forget(c.from)
	s.keptInfo()
	if s.quest != nil {
		s.quest.left(c)
	}
	s.ungive(c)
	if c.picking {
		s.bereft = true
		s.pick.RemovePeer(c.id)
		s.wakeAll() // what it was asked for is free for others
	}
	if c.wantsUs && !c.chokesIt && !s.stopping {
		s.nextRechoke = s.l.now // its slot is free
	}
}

// wakeAll lets every connection look again for something to ask for.
func (s *swarm) wakeAll() {
	if s.complete() || s.halted() {
		return
	}
	for _, c := range s.conns {
		if c.state == open && !c.chokesUs {
			c.wake()
		}
	}
}

// tick is everything that depends on time.
func (s *swarm) tick(passed time.Duration) {
	s.down.tick(passed)
	s.up.tick(passed)
	for _, c := range s.conns {
		c.tick(passed)
	}
	if !s.l.now.Before(s.nextRechoke) {
		s.rechoke()
	}
	s.showAll()
	s.keptInfo()
	if s.quest != nil {
		s.quest.tick()
	}
	s.tryWrite()
	s.tickTail()
	s.tickWeb(passed)
	s.dialMore()
	if !s.l.now.Before(s.nextLook) {
		s.lookAround()
	}
	if !s.complete() && !s.halted() && s.lonely() && s.l.now.Sub(s.wantedAt) >= firstWish {
		s.wantedAt = s.l.now
		s.l.wishPeers(s.t)
	}
}

// lonely tells whether no connected peer has anything that is missing here.
func (s *swarm) lonely() bool {
	if s.quest != nil {
		return len(s.quest.talks) == 0
	}
	for _, c := range s.conns {
		if c.state == open && c.wantIt {
			return false
		}
	}
	return true
}

// stop closes the torrent down; ended is said when the last piece that is being
// written has come back and the register has forgotten it.
func (s *swarm) stop() {
	final := s.status()
	s.t.last.Store(&final)
	s.stopping = true
	s.dropAll()
	s.checkStopped()
}

func (s *swarm) checkStopped() {
	if !s.stopping || s.away > 0 {
		return
	}
	s.close()
	delete(s.l.swarms, s)
	s.t.s = nil
	s.l.retire(s.t)
}

// retire takes a torrent that has ended here out of the register.
func (l *loop) retire(t *Torrent) {
	t.gone = true
	l.load.Add(-1)
	ev := dropTorrent{t: t}
	if first := l.e.loops[0]; first == l {
		ev.handle(l)
	} else if !first.post(ev) {
		ev.orphaned()
	}
}

func (s *swarm) dropAll() {
	for _, c := range s.conns {
		c.drop(stopped, nil)
	}
	s.dropWeb()
}

// close gives back what the torrent holds, connections and buffers.
func (s *swarm) close() {
	s.stopping = true
	s.dropAll()
	s.giveBackAll()
}
