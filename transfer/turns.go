package transfer

import (
	"time"

	"chordtorrent/transfer/picker"
	"chordtorrent/transfer/poller"
)

// Who of a torrent's peers is sent blocks now is up to picker.Turns. What has been written
// to a socket has not left: a turn that is over lasts until most of it has, else all
// sockets would be full, and the system would send from all at once again.
// Whether the link is full is seen by what waits for it in this machine.

// turnOver tells whether others wait for the connection's turn and it is not within a block.
func (c *conn) turnOver() bool {
	return c.s.turns.Over(&c.turn) && (len(c.bodies) == 0 || !c.bodies[0].begun) && !c.crypt.waits()
}

// freeTurn ends the turn of a connection; those who wait come next.
func (s *swarm) freeTurn(c *conn) {
	s.turns.Free(&c.turn)
	s.nextTurn()
}

// nextTurn wakes those who have a turn now.
func (s *swarm) nextTurn() {
	for u := s.turns.Next(s.l.now); u != nil; u = s.turns.Next(s.l.now) {
		s.conns[u.Peer].wake()
	}
	if s.l.nextTurns.IsZero() && s.turns.Waiting() {
		s.l.nextTurns = s.l.now.Add(picker.TurnTick)
	}
}

// tickTurns has those go on who wait for a turn of somebody that takes too long.
func (l *loop) tickTurns() {
	l.nextTurns = time.Time{}
	for s := range l.swarms {
		s.turns.Tick(l.now, s.turns.Waiting() && s.linkIdle())
		s.nextTurn()
	}
}

// littleQueued is less than waits for a link that is full, if four are sent to: two packets of
// each, with what the system needs to keep them.
const littleQueued = 16 << 10

// linkIdle tells whether of those who have a turn next to nothing waits for this machine's
// link, because theirs are slower or they do not read.
func (s *swarm) linkIdle() bool {
	waits := 0
	for _, u := range s.turns.Served() {
		if waits += queued(s.conns[u.Peer].fd); waits >= littleQueued {
			return false
		}
	}
	return true
}

// rests is where a connection stays that has nothing to write for now, or may not. When its
// turn is over the socket tells when what it was sent has left.
func (c *conn) rests() {
	if len(c.bodies) == 0 && len(c.queue) == 0 {
		c.s.turns.Done(&c.turn)
	}
	want := poller.Read
	if c.turnOver() {
		want |= poller.Write
		c.shorten(true)
	} else if c.shallow && c.s.fetching(2) < 2 {
		c.shorten(false)
	}
	c.watchFor(want)
}

// shorten bounds what may wait unsent in the socket, more tightly as long as there are turns.
func (c *conn) shorten(shallow bool) {
	if c.shallow != shallow {
		c.shallow = shallow
		keepShort(c.fd, shallow)
	}
}
