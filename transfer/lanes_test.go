package transfer

import (
	"testing"
	"time"

	"chordtorrent/transfer/wire"
)

// on runs something on the loop of a torrent.
type on struct {
	do   func()
	done chan struct{}
}

func (o on) handle(*loop) { o.do(); close(o.done) }
func (o on) orphaned()    { close(o.done) }

// lanesOf tells who is being sent to and who waits, by the last byte of the peer id.
func lanesOf(t *testing.T, tor *Torrent) (held, waiting map[byte]bool) {
	t.Helper()
	held, waiting = map[byte]bool{}, map[byte]bool{}
	o := on{done: make(chan struct{}), do: func() {
		for _, c := range tor.s.lanes.held {
			held[c.peerID[19]] = true
		}
		for _, c := range tor.s.lanes.waiting {
			waiting[c.peerID[19]] = true
			if c.up.total > 0 {
				t.Errorf("peer %d waits and was sent %d bytes", c.peerID[19], c.up.total)
			}
		}
	}}
	if tor.l.post(o) {
		<-o.done
	}
	return held, waiting
}

// stuckCrowd has n peers ask for a piece of a megabyte each, of which they read nothing: the
// seed gets stuck in the middle of every one that it begins.
func stuckCrowd(t *testing.T, n int) (*stoppedClock, *Torrent, []*testPeer) {
	t.Helper()
	clock := &stoppedClock{at: time.Now()}
	f := makeTorrent(t, 97, 1<<20, n<<20)
	e := start(t, func(cfg *Config) { cfg.now = clock.now })
	tor := e.add(t, f.seedSpec(t))
	peers := make([]*testPeer, n)
	for i := range peers {
		p := joinFast(t, e, f, i)
		p.send(wire.Message{ID: wire.Interested})
		p.expect(wire.Unchoke)
		peers[i] = p
	}
	for i, p := range peers {
		p.send(request(i, 1<<20))
	}
	until(t, "all to have asked", func() bool {
		held, waiting := lanesOf(t, tor)
		return len(held)+len(waiting) == n
	})
	return clock, tor, peers
}

// Blocks go to four peers at a time; the others wait, but not for those that are slow.
func TestFewAreSentToAtATime(t *testing.T) {
	clock, tor, peers := stuckCrowd(t, 7)
	if held, _ := lanesOf(t, tor); len(held) != fewestLanes {
		t.Fatalf("%d are sent to at a time", len(held))
	}
	sound(t, tor)
	until(t, "all to be sent something", func() bool {
		clock.advance(laneTime / 4)
		begun := 0
		for _, p := range tor.Status().Peers {
			if p.Uploaded > 0 {
				begun++
			}
		}
		return begun == len(peers)
	})
	// Who has lost its lane gets the rest all the same.
	for i, p := range peers {
		if m := p.expect(wire.Piece); m.Index != uint32(i) || len(m.Block) != 1<<20 {
			t.Errorf("%d bytes of piece %d", len(m.Block), m.Index)
		}
	}
	until(t, "all lanes to be free", func() bool {
		held, waiting := lanesOf(t, tor)
		return len(held)+len(waiting) == 0
	})
	sound(t, tor)
}

// The turn of a peer ends with its piece, with its going, and when it is choked.
func TestALaneIsPassedOn(t *testing.T) {
	_, tor, peers := stuckCrowd(t, 7)
	held, waiting := lanesOf(t, tor)
	next := func(what string, end func(*testPeer)) {
		t.Helper()
		for i := range held {
			end(peers[i])
			break
		}
		before := len(waiting)
		until(t, what+" to make room", func() bool {
			held, waiting = lanesOf(t, tor)
			return len(waiting) == before-1 && len(held) == fewestLanes
		})
		sound(t, tor)
	}
	next("one that has gone", func(p *testPeer) { p.Close() })
	next("one that has its piece", func(p *testPeer) { p.expect(wire.Piece) })
	next("one that wants no more", func(p *testPeer) {
		p.send(wire.Message{ID: wire.NotInterested})
		p.expect(wire.Piece)
	})
}

// There are as many lanes as it takes: few when the own link is full with them, more
// when it is the peers' links that are slow, and few again when that has changed.
func TestAsManyLanesAsItTakes(t *testing.T) {
	const link = 10e6
	var w width
	now, total := time.Unix(1e9, 0), int64(0)
	run := func(d time.Duration, peers int, each float64) (mean float64) {
		ticks := int(d / tickEvery)
		for range ticks {
			now = now.Add(tickEvery)
			rate := min(link, each*float64(min(w.lanes(), peers)))
			total += int64(rate * tickEvery.Seconds())
			w.tick(now, total, peers > w.lanes())
			mean += float64(min(w.lanes(), peers)) / float64(ticks)
		}
		return mean
	}
	if n := run(time.Minute, 30, link); n > 5 {
		t.Errorf("%.1f lanes in the mean where one would do", n)
	}
	run(20*time.Second, 30, link/30)
	if n := run(10*time.Second, 30, link/30); n < 29 {
		t.Errorf("%.1f lanes in the mean for 30 peers that are slow", n)
	}
	w = width{}
	run(5*time.Second, 30, link/30)
	if w.lanes() < 30 {
		t.Errorf("%d lanes after five seconds for 30 peers that are slow", w.lanes())
	}
	run(time.Minute, 60, link)
	if n := run(time.Minute, 60, link); n > 8 {
		t.Errorf("%.1f lanes in the mean when the peers are fast again", n)
	}
}
