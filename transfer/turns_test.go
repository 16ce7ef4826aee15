package transfer

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"chordtorrent/transfer/picker"
	"chordtorrent/transfer/poller"
	"chordtorrent/transfer/wire"
)

// turnsOf is a seed whose clock stands, and so many peers that read nothing: stall has them
// fill their sockets.
type turnsOf struct {
	testing.TB
	f       *fixture
	clock   *stoppedClock
	e       *engine
	from    *Torrent
	stalled []*testPeer
}

func newTurns(t testing.TB, stalled int, set ...func(*Config)) *turnsOf {
	s := &turnsOf{TB: t, f: makeTorrent(t, 120, 1<<20, 16<<20), clock: &stoppedClock{at: time.Now()}}
	s.e = start(t, append(set, func(c *Config) { c.now = s.clock.now })...)
	s.from = s.e.add(t, s.f.seedSpec(t))
	for n := range stalled {
		s.stalled = append(s.stalled, s.comes(n))
	}
	return s
}

func (s *turnsOf) comes(n int) *testPeer {
	p := join(s, s.e, s.f, n)
	p.send(wire.Message{ID: wire.Interested})
	p.expect(wire.Unchoke)
	return p
}

func (s *turnsOf) ask(p *testPeer, pieces int) {
	for i := range pieces {
		p.send(wire.Message{ID: wire.Request, Index: uint32(i), Length: 1 << 20})
	}
}

// stall has those who read nothing ask for more than their sockets take.
func (s *turnsOf) stall() {
	for _, p := range s.stalled {
		s.ask(p, 16)
	}
	until(s, "the sockets of those who read nothing to be full", func() bool {
		full := 0
		s.each(func(c *conn) {
			if c.blocked {
				full++
			}
		})
		return full == len(s.stalled)
	})
}

// look runs f on the torrent's loop.
func (s *turnsOf) look(f func()) {
	s.Helper()
	seen := make(chan struct{})
	if !s.from.l.post(look(func() { f(); close(seen) })) {
		s.Fatal("the loop has ended")
	}
	<-seen
}

func (s *turnsOf) each(f func(*conn)) {
	s.look(func() {
		for _, c := range s.from.s.conns {
			f(c)
		}
	})
}

// of is the seed's connection with peer n.
func (s *turnsOf) of(n int) (found *conn) {
	s.Helper()
	s.each(func(c *conn) {
		if c.peerID == peerID(n) {
			found = c
		}
	})
	if found == nil {
		s.Fatalf("peer %d is not connected", n)
	}
	return found
}

// linesUp waits until a peer is in line, to which nothing was sent.
func (s *turnsOf) linesUp(c *conn) {
	s.Helper()
	until(s, "a peer to be in line", func() (waits bool) {
		s.look(func() {
			if waits = len(c.bodies) > 0 && s.from.s.turns.Waiting(); c.up.total > 0 {
				s.Errorf("%d bytes went to one whose turn it is not", c.up.total)
				waits = true
			}
		})
		return waits
	})
}

func (s *turnsOf) sentTo(c *conn) (n int64) {
	s.look(func() { n = c.up.total })
	return n
}

// drain reads all that comes.
func drain(p *testPeer) {
	for {
		if _, err := p.read(); err != nil {
			return
		}
	}
}

// Peers that take nothing leave the link idle: those who wait are sent nothing until the next
// look at the turns, and then have theirs. What they are told meanwhile does not come within a block.
func TestPeersAreServedInTurns(t *testing.T) {
	s := newTurns(t, 4)
	s.stall()
	s.ask(s.comes(4), 1)
	last, first := s.of(4), s.of(0)
	s.linesUp(last)
	for waited := time.Duration(0); s.sentTo(last) == 0; waited += 10 * time.Millisecond {
		if waited > 3*picker.TurnTick { // a connection's own tick comes later, and has it go on, too
			t.Fatal("peers that read nothing keep the others from their turns")
		}
		s.clock.advance(10 * time.Millisecond)
	}
	s.look(func() { first.tell(wire.Message{ID: wire.KeepAlive}) })
	for i := range 3 {
		if m := s.stalled[0].expect(wire.Piece); !bytes.Equal(m.Block, s.f.data[i<<20:(i+1)<<20]) {
			t.Fatalf("block %d of one that was slow is wrong", i)
		}
	}
	sound(t, s.from)
}

// Among those who read, turns end when what was sent has left: no clock is needed. In the
// end nobody waits, is watched for nothing, or has less room in its socket than one alone.
func TestSocketsEndTurns(t *testing.T) {
	s := newTurns(t, 0)
	var peers []*testPeer
	for n := range 12 {
		p := s.comes(n)
		go drain(p)
		s.ask(p, 16)
		peers = append(peers, p)
	}
	all := int64(12 * len(s.f.data))
	until(t, "all to be sent everything, in turns", func() bool { return s.from.Status().Uploaded == all })
	sound(t, s.from)
	c := s.of(0)
	s.look(func() { c.shorten(true) }) // as after a turn; the last of them may have had none that was over
	for _, p := range peers[1:] {
		p.Close()
	}
	until(t, "the others to be gone", func() bool { return len(s.from.Status().Peers) == 1 })
	s.ask(peers[0], 16)
	until(t, "one alone to be sent everything", func() bool { return s.from.Status().Uploaded == all+int64(len(s.f.data)) })
	s.look(func() {
		if room, err := unix.GetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT); err != nil || room < 128<<10 {
			t.Errorf("the socket of one alone has room for %d bytes that wait (%v)", room, err)
		}
	})
	s.each(func(c *conn) {
		if c.want&poller.Write != 0 || c.s.turns.Waiting() {
			t.Errorf("%s: nothing is to be sent, and it waits or is watched", c.addr)
		}
	})
}

// Whoever leaves in its turn leaves it to the next; whoever leaves the line is not called.
func TestLeavingATurn(t *testing.T) {
	s := newTurns(t, 4)
	s.stall()
	gone, last := s.comes(4), s.comes(5)
	s.ask(gone, 1)
	s.linesUp(s.of(4))
	s.ask(last, 1)
	c := s.of(5)
	s.linesUp(c)
	gone.Close()
	s.stalled[0].Close()
	until(t, "the last to get the turn of one that has left", func() bool { return s.sentTo(c) > 0 })
}

// A turn does not end within a block.
func TestTurnsEndBetweenBlocks(t *testing.T) {
	s := newTurns(t, 4)
	s.stall()
	last := s.comes(4)
	s.ask(last, 1)
	s.linesUp(s.of(4))
	one := s.of(0)
	s.look(func() {
		if !s.from.s.turns.Over(&one.turn) || !one.bodies[0].begun {
			t.Error("the first is not within a block when its turn is over")
		}
		one.writable()
		if !s.from.s.turns.Over(&one.turn) {
			t.Error("a turn has ended within a block")
		}
	})
}

// Who was idle for over a minute, asks, and waits in line or has just been given its turn
// when the clock is looked at, is no slow reader.
func TestWaitingInLineIsNotReadingSlowly(t *testing.T) {
	s := newTurns(t, 4)
	last := s.comes(4)
	c := s.of(4)
	s.clock.advance(stalledAtMost + time.Second)
	s.stall()
	s.ask(last, 1)
	s.linesUp(c)
	other := s.of(0)
	s.look(func() {
		c.tick(tickEvery)
		if c.state != open {
			t.Error("it was dropped for waiting in line")
		}
		s.from.s.freeTurn(other)
		c.tick(tickEvery)
		if c.state != open {
			t.Error("it was dropped for having a turn")
		}
	})
}
