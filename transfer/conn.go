package transfer

import (
	"math"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"chordtorrent/transfer/picker"
	"chordtorrent/transfer/poller"
	"chordtorrent/transfer/wire"
)

const (
	connectWithin    = 5 * time.Second
	keepAliveEvery   = 100 * time.Second
	silenceAtMost    = 180 * time.Second
	stalledAtMost    = 60 * time.Second // output waits and nothing leaves
	maxOutput        = 1 << 20          // bytes of small messages that may wait
	readPerTurn      = 1 << 20          // bytes; then it is the others' turn
	defaultRoundTrip = 50 * time.Millisecond
)

// warmPiece is a piece that was found in memory.
type warmPiece struct {
	file  *os.File
	piece int
}

// state is where a connection is in its life.
type state uint8

const (
	connecting   state = iota // our connect is under way
	covering                  // connected, and a covered handshake is under way, see cover.go
	awaiting                  // connected, the peer's handshake is awaited
	greetingBack              // accepted, its handshake is known, ours is to be sent
	open                      // both handshakes are done
	closed
)

// conn is one connection to a peer. Only its loop touches it.
type conn struct {
	s        *swarm
	l        *loop
	fd       int
	id       picker.PeerID
	addr     netip.AddrPort // of the other end of the socket
	known    *candidate     // the address it listens on, nil while unknown
	peerID   [20]byte
	from     *source // the account of what it sent
	state    state
	outgoing bool
	cover    *cover // of a call that began with one
	crypt    *crypt // nil: what is sent and received is plain
	picking  bool   // the picker knows it
	born     time.Time
	client   string

	// What each side has said. A connection starts choked and not interested
	// both ways (BEP 3).
	bits                   *wire.Bits // what it has
	has                    int        // bits.Count()
	lead                   int        // how many more it had than there were here, at first
	spoke                  bool       // it has said something that a bitfield must not follow
	introduced             bool       // its extension handshake is here
	chokesUs, chokesIt     bool
	wantsUs, wantIt        bool
	chokedAt               time.Time
	idles, ignoredRequests int  // messages without effect
	fast                   bool // BEP 6 is spoken on it
	uploadOnly             bool // it fetches nothing (BEP 21)

	// Input: see receive.go.
	rest   []byte // the beginning of a message
	in     inflow
	heard  time.Time // when anything was last read
	down   meter
	looked int64 // down.total at the last look around, see neighbours.go
	excess int64 // bytes that may still come although they were given up

	// Requests of ours: see request.go.
	asked      []ask
	askedBytes int
	target     int // bytes that should be under way
	slowStart  bool
	bestRate   float64
	maxRequest int // bytes per request
	maxAsked   int // requests under way
	gotBlock   time.Time
	snubbed    bool // it has stopped to answer
	probe      bool // ask it for a block although it is snubbed
	snubs      int  // in a row
	starved    bool
	refused    []refusal // pieces it has and would not give just now

	// Output: see upload.go.
	out     []byte // small messages, out[outAt:] is not yet written
	outAt   int
	queue   []ask   // requests of the peer
	bodies  []*body // answers, the first is being sent, the others prepared
	warm    warmPiece
	blocked bool // the socket took no more
	wrote   time.Time
	up      meter
	turn    picker.Turn // to be sent blocks, see turns.go
	shallow bool        // less than usual may wait unsent in the socket
	marked  bool        // on the loop's dirty list
	want    poller.Interest

	// Limits of rate: see limit.go. A share is what is left of the last one.
	upShare, downShare int
	upHeld, downHeld   bool // it waits for room
	// When it last used a share up, in the loop's count; 0: never.
	upServed, downServed uint64

	follows bool       // suggestions: it is one of ours
	shown   *wire.Bits // if set: the pieces that it knows are here, see steer.go
	owed    []int      // pieces it has not been told of, see tellHave
	pex     exchange
	info    infoTalk
}

func newConn(s *swarm, fd int, addr netip.AddrPort) *conn {
	now := s.l.now
	return &conn{
		s: s, l: s.l, fd: fd, addr: addr, born: now, heard: now, wrote: now, gotBlock: now,
		chokesUs: true, chokesIt: true,
		maxRequest: blockLen, maxAsked: usualQueue,
		upShare: math.MaxInt, downShare: math.MaxInt,
	}
}

// readable is called by the loop when there is something to read.
func (c *conn) readable() {
	switch c.state {
	case connecting:
		c.writable()
	case covering:
		c.cover.readable()
	case awaiting:
		c.readHandshake()
	case open:
		c.read()
	}
}

// writable is called by the loop when the socket takes output again, or when
// our connect has ended.
func (c *conn) writable() {
	if c.state != connecting {
		c.blocked = false
		if c.turnOver() {
			c.s.freeTurn(c)
		}
		c.wake()
		return
	}
	if err := connectError(c.fd); err != nil {
		c.drop(connectFailed, err)
		return
	}
	if _, err := unix.Getpeername(c.fd); err != nil {
		return // a report about an earlier owner of the descriptor number
	}
	c.born = c.l.now
	c.watchFor(poller.Read)
	if c.known.covered {
		c.callCovered()
		return
	}
	c.state = awaiting
	c.say(c.s.handshake())
}

func (c *conn) readFailed(err error) {
	if err == nil || !again(err) {
		c.drop(endOf(err), err)
	}
}

// endOf tells a peer that went away from a connection that broke.
func endOf(err error) reason {
	if err == nil || err == unix.ECONNRESET || err == unix.EPIPE {
		return closedByPeer
	}
	return ioFailed
}

// drop ends the connection, for a reason that is counted. It may be called from
// any handler and more than once.
func (c *conn) drop(why reason, err error) {
	if c.state == closed {
		return
	}
	before := c.state
	c.state = closed
	c.l.e.drops.count(why)
	c.s.log.Debug("disconnected", "addr", c.addr, "reason", why, "err", err)
	c.endInflow()
	c.cover.leave()
	for len(c.asked) > 0 {
		c.giveUp(len(c.asked) - 1)
	}
	for _, b := range c.bodies {
		b.end()
	}
	c.bodies = nil
	c.l.forget(c.fd)
	c.s.leave(c)
	if k := c.known; k != nil && k.conn == c {
		k.conn = nil
		switch why {
		case stopped, duplicate, notTheBest:
		case bothSeeds:
			k.failures = 0
		default:
			if before == open && c.down.total > 0 {
				k.failures = 0
			}
			if before == covering || before == awaiting {
				// Who hangs up at a plain handshake may insist on a covered one.
				k.covered = c.cover == nil && why == closedByPeer && len(c.rest) == 0
				k.late = k.late || k.covered && c.s.complete() // a seed calls once: the plain call was none
			}
			words := why.String()
			if err != nil {
				words += ": " + err.Error()
			}
			k.failed(c.l.now, words, c.l.rnd.Float64())
			if before == connecting {
				c.s.book.refuses(k.addr)
			}
		}
	}
	c.asked, c.queue, c.out, c.rest = nil, nil, nil, nil
}

// tick looks at everything that must happen in time.
func (c *conn) tick(passed time.Duration) {
	now := c.l.now
	c.down.tick(passed)
	c.up.tick(passed)
	age := now.Sub(c.born)
	switch {
	case c.state == connecting && age > connectWithin:
		c.drop(connectTimeOut, nil)
	case (c.state == covering || c.state == awaiting) && age > handshakeWithin:
		c.drop(handshakeTimeOut, nil)
	}
	if c.state != open {
		return
	}
	if now.Sub(c.heard) > silenceAtMost && !c.downHeld {
		c.drop(silent, nil)
		return
	}
	if c.outputWaits() {
		if now.Sub(c.wrote) > stalledAtMost && c.want&poller.Write != 0 {
			c.drop(slowReader, nil)
			return
		}
	} else if now.Sub(c.wrote) > keepAliveEvery {
		c.tell(wire.Message{ID: wire.KeepAlive})
	}
	c.updateInterest()
	c.tickRequests()
	c.pexTick()
}

// isSeed tells whether the peer has everything; nobody knows as long as nobody knows how
// much that is.
func (c *conn) isSeed() bool { return c.bits != nil && c.has == c.bits.Len() && c.s.quest == nil }

// fetches tells whether the peer may have anything to get.
func (c *conn) fetches() bool { return !c.isSeed() && !c.uploadOnly }

// good tells whether an outgoing connection is worth its place.
func (c *conn) good() bool {
	return !c.snubbed && (!c.chokesUs || c.l.now.Sub(c.born) < 30*time.Second)
}

// leaveIfBothSeeds closes a connection over which nothing will ever move.
func (c *conn) leaveIfBothSeeds() {
	if c.state == open && !c.fetches() && c.s.complete() {
		c.drop(bothSeeds, nil)
	}
}

func (c *conn) watchFor(want poller.Interest) {
	if c.downHeld {
		want &^= poller.Read
	}
	if c.want == want {
		return
	}
	if err := c.l.poll.Modify(c.fd, want); err != nil {
		c.drop(ioFailed, err)
		return
	}
	c.want = want
}

// wake puts the connection on the list of those that are flushed at the end of
// the turn.
func (c *conn) wake() {
	if !c.marked && c.state != closed {
		c.marked = true
		c.l.dirty = append(c.l.dirty, c)
	}
}
