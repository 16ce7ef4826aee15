package transfer

import (
	"net/netip"
	"testing"
	"time"
)

// An address that fills the door with connections which say nothing makes room for
// others, the oldest first.
func TestWhoFillsTheDoorMakesRoom(t *testing.T) {
	f := makeTorrent(t, 170, 32<<10, 100<<10)
	e := start(t)
	e.add(t, f.seedSpec(t))
	full := make(chan *fullLobby, 1)
	fds := make([]int, maxGreetings)
	for i := range fds {
		fd, other := socketPair(t)
		t.Cleanup(func() { other.Close() })
		fds[i] = fd
	}
	e.loops[0].post(fillLobby{fds, full})
	b := <-full
	p := dialFrom(t, e, host(2))
	p.id = peerID(1)
	p.hello(f.hash)
	p.readHello()
	if n := e.drops[tooManyPeers].Load(); n != 1 {
		t.Errorf("%d have gone", n)
	}
	left := make(chan []bool, 1)
	e.loops[0].post(whoIsLeft{b, left})
	for i, here := range <-left {
		if want := i != 1; here != want {
			t.Errorf("greeting %d is here: %v", i, here)
		}
	}
}

// fullLobby is a lobby with as many greetings as it has room for, all but the last of
// one address; of those the first has said something, and each is older than the next.
type fullLobby struct{ all []*greeting }

type fillLobby struct {
	fds   []int
	reply chan *fullLobby
}

func (a fillLobby) handle(l *loop) {
	b := &fullLobby{}
	for i, fd := range a.fds {
		from := host(1)
		if i == maxGreetings-1 {
			from = host(3)
		}
		l.lobby.greet(fd, netip.AddrPortFrom(from, uint16(i+1)))
		for g := range l.lobby.greetings {
			if g.fd == fd {
				g.until = g.until.Add(time.Duration(i) * time.Millisecond)
				b.all = append(b.all, g)
			}
		}
	}
	b.all[0].got = []byte{19}
	a.reply <- b
}

type whoIsLeft struct {
	b     *fullLobby
	reply chan []bool
}

func (a whoIsLeft) handle(l *loop) {
	var left []bool
	for _, g := range a.b.all {
		_, here := l.lobby.greetings[g]
		left = append(left, here)
	}
	a.reply <- left
}
