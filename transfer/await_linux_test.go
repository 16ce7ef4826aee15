package transfer

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"chordtorrent/transfer/wire"
)

// A loop is not told of each packet of a block from a peer that is fast, and hears of all at
// once when the block is there, or the peer has become slow.
func TestWhatComesOfABlockWaitsForTheRest(t *testing.T) {
	clock := &stoppedClock{at: time.Now()}
	f := makeTorrent(t, 130, 64<<10, 256<<10)
	e := start(t, func(c *Config) { c.now = clock.now })
	to := e.add(t, f.leechSpec(t))
	p := join(t, e, f, 1)
	p.send(wire.Message{ID: wire.Bitfield, Bits: f.all().Bytes()}, wire.Message{ID: wire.Unchoke})
	m := p.expect(wire.Request)
	at := int64(m.Index)*f.layout.PieceLength + int64(m.Begin)
	block := wire.Message{ID: wire.Piece, Index: m.Index, Begin: m.Begin, Block: f.data[at : at+int64(m.Length)]}.Append(nil)

	on := func(see func(c *conn)) {
		t.Helper()
		seen := make(chan struct{})
		if !to.l.post(look(func() {
			for _, c := range to.s.conns {
				see(c)
			}
			close(seen)
		})) {
			t.Fatal("the loop has ended")
		}
		<-seen
	}
	left := func() (n int) {
		on(func(c *conn) { n = c.in.left })
		return n
	}
	// awaits is what the connection waits for at that rate, as the system has it.
	awaits := func(rate float64) (n int) {
		on(func(c *conn) {
			c.down.last = rate
			c.awaitRest()
			n, _ = unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT)
		})
		return n
	}

	p.raw(block[:1000])
	until(t, "the block to begin", func() bool { return left() > 0 })
	rest := len(block) - 1000
	if n := awaits(10 << 20); n != rest {
		t.Fatalf("at 10 MiB/s %d bytes must be there, and %d are to come", n, rest)
	}
	if n := awaits(100 << 10); n != 10<<10 {
		t.Errorf("at 100 KiB/s %d bytes must be there", n)
	}
	if n := awaits(10 << 10); n != 1 {
		t.Errorf("at 10 KiB/s %d bytes must be there", n)
	}
	e.SetLimits(1<<20, 0)
	if n := awaits(10 << 20); n != 1 {
		t.Errorf("with a limit of rate %d bytes must be there", n)
	}
	e.SetLimits(0, 0)

	awaits(10 << 20)
	p.raw(block[1000:5000])
	// turns has the loop look at its sockets: it does so before it runs what is posted.
	turns := func() {
		for range 3 {
			on(func(*conn) {})
		}
	}
	turns()
	if n := left(); n != rest {
		t.Errorf("the loop was told of a packet: %d bytes are to come", n)
	}
	clock.advance(tickEvery)
	turns()
	if n := left(); n != rest-4000 {
		t.Fatalf("what has come of a peer that has become slow is not read: %d bytes are to come", n)
	}
	awaits(10 << 20)
	p.raw(block[5000:])
	until(t, "the block to be there", func() bool { return left() == 0 })
	sound(t, to)
	if n := awaits(10 << 20); n != 1 {
		t.Errorf("between blocks %d bytes must be there", n)
	}
}
