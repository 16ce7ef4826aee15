package transfer

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"chordtorrent/transfer/poller"
)

const (
	tickEvery   = 200 * time.Millisecond
	eventsATime = 256
	// A handler that holds the loop longer than this is named in the log: all
	// the other connections waited for it.
	longHold = 50 * time.Millisecond
)

// descriptor is what stands behind a descriptor that the loop watches: the
// listener, a handshake that is coming in, or a connection.
type descriptor interface {
	readable()
	writable()
}

// loop is one goroutine, one poller and everything they own. All fields but
// box, load, counts and done belong to that goroutine.
type loop struct {
	e      *Engine
	log    *slog.Logger
	rnd    *rand.Rand
	poll   poller.Poller
	box    mailbox
	load   atomic.Int64 // torrents and connections: where the next torrent goes
	counts counts
	done   chan struct{} // closed when the loop has ended

	now       time.Time // of this turn
	nextTick  time.Time
	lastTick  time.Time
	mark      time.Time // when the running handler began
	files     []descriptor
	swarms    map[*swarm]struct{} // of torrents that do not rest
	calendar  calendar
	dirty     []*conn // have something to ask or to write; each once
	spare     []*conn
	upHeld    []*conn // wait for room to send blocks, see limit.go
	downHeld  []*conn // and to receive
	nextShare time.Time
	served    uint64    // shares of a limit that were used up
	nextTurns time.Time // when turns are looked at, see turns.go; zero: nobody waits for one
	inbox     []event
	ready     [eventsATime]poller.Event
	scratch   []byte // what is read and not a block; valid within one call
	ending    bool

	lobby *lobby   // of the listening loop, else nil
	utp   *utpDoor // there too, if it has one
}

func newLoop(e *Engine, i int) (*loop, error) {
	p, err := e.cfg.newPoller()
	if err != nil {
		return nil, err
	}
	return &loop{
		e: e, log: e.cfg.Log, poll: p, done: make(chan struct{}),
		rnd:     rand.New(rand.NewPCG(rand.Uint64(), uint64(i))),
		swarms:  make(map[*swarm]struct{}),
		scratch: make([]byte, 64<<10),
		now:     e.cfg.now(),
	}, nil
}

// post gives an event to the loop; it may be called from any goroutine and
// never blocks. False: the loop has ended, nothing will happen.
func (l *loop) post(ev event) bool {
	if !l.box.put(ev) {
		return false
	}
	l.poll.Wake()
	return true
}

func (l *loop) run() {
	for !l.ending {
		n, err := l.poll.Wait(l.ready[:], l.patience())
		if err != nil {
			l.log.Error("event loop ends", "err", err)
			for s := range l.swarms {
				s.fail(fmt.Errorf("waiting for the network: %w", err))
			}
			break
		}
		l.now = l.e.cfg.now()
		began := time.Now()
		l.mark = began
		for _, ev := range l.ready[:n] {
			l.dispatch(ev)
		}
		l.inbox = l.box.take(l.inbox[:0])
		for _, ev := range l.inbox {
			ev.handle(l)
			l.held(ev)
		}
		if l.busy() && !l.now.Before(l.nextTick) {
			l.tick()
			l.held("tick")
		}
		if l.holds() && !l.now.Before(l.nextShare) {
			l.share()
			l.held("share")
		}
		if !l.nextTurns.IsZero() && !l.now.Before(l.nextTurns) {
			l.tickTurns()
			l.held("turns")
		}
		l.announceDue()
		l.flush()
		l.counts.swarms.Store(int64(len(l.swarms)))
		l.counts.turned(l.mark.Sub(began)) // to the end of its last handler
	}
	l.end()
}

// patience is how long to wait for the next event: not at all while somebody
// has more to write, until the next tick while there is something to watch
// over, until the next announce, for ever when there is nothing.
func (l *loop) patience() time.Duration {
	if len(l.dirty) > 0 {
		return 0
	}
	next, some := l.calendar.next()
	sooner := func(at time.Time) {
		if !some || at.Before(next) {
			next, some = at, true
		}
	}
	if l.holds() {
		sooner(l.nextShare)
	}
	if !l.nextTurns.IsZero() {
		sooner(l.nextTurns)
	}
	if l.holds() || l.busy() {
		sooner(l.nextTick)
	}
	if !some {
		return -1
	}
	return max(next.Sub(l.e.cfg.now()), 0)
}

// holds tells whether anybody waits for a limit.
func (l *loop) holds() bool { return len(l.upHeld)+len(l.downHeld) > 0 }

func (l *loop) dispatch(ev poller.Event) {
	d := l.files[ev.FD]
	if d == nil {
		return // closed by an earlier handler of this turn
	}
	if ev.Readable {
		d.readable()
	}
	if ev.Writable && l.files[ev.FD] == d {
		d.writable()
	}
	l.held(d)
}

// flush lets every connection with something to say ask and write, once a turn.
func (l *loop) flush() {
	l.dirty, l.spare = l.spare[:0], l.dirty
	for _, c := range l.spare {
		c.marked = false
		c.flush()
	}
	if len(l.spare) > 0 {
		l.held("flush")
	}
	clear(l.spare)
}

// busy tells whether anything here depends on time.
func (l *loop) busy() bool {
	if l.lobby != nil && l.lobby.busy() {
		return true
	}
	if l.counts.conns.Load() > 0 {
		return true
	}
	for s := range l.swarms {
		if s.dialable() || s.paused() || s.drowsy() || s.webWaits() {
			return true
		}
	}
	return false
}

// wakes is called before something begins that depends on time: if the loop was idle,
// the first tick must not see a gap.
func (l *loop) wakes() {
	if l.lastTick.Before(l.now.Add(-tickEvery)) {
		l.lastTick = l.now
	}
}

func (l *loop) tick() {
	passed := l.now.Sub(l.lastTick)
	l.lastTick = l.now
	l.nextTick = l.now.Add(tickEvery)
	if l.lobby != nil {
		l.lobby.tick()
	}
	for s := range l.swarms {
		s.tick(passed)
		if s.mayRest() {
			s.rest()
		}
	}
}

// held names the handler that has just run when it held the loop too long.
func (l *loop) held(who any) {
	now := time.Now()
	took := now.Sub(l.mark)
	l.counts.held(took)
	if took > longHold {
		name, ok := who.(string)
		if !ok {
			name = fmt.Sprintf("%T", who)
		}
		l.log.Info("a handler held the event loop", "handler", name, "took", took)
	}
	l.mark = now
}

// watch makes d answer for fd.
func (l *loop) watch(fd int, d descriptor, want poller.Interest) error {
	if err := l.poll.Add(fd, want); err != nil {
		return err
	}
	for len(l.files) <= fd {
		l.files = append(l.files, nil)
	}
	l.files[fd] = d
	return nil
}

// forget stops watching fd and closes it.
func (l *loop) forget(fd int) {
	l.release(fd)
	closeFD(fd)
}

// release stops watching fd and leaves it open.
func (l *loop) release(fd int) {
	if err := l.poll.Remove(fd); err != nil {
		l.log.Error("poller", "err", err)
	}
	l.files[fd] = nil
}

// end closes everything that the loop owns and refuses further events.
func (l *loop) end() {
	if l.lobby != nil {
		l.lobby.close()
	}
	if l.utp != nil {
		l.utp.close()
	}
	for s := range l.swarms {
		s.close()
		s.t.over.fire()
	}
	for _, ev := range l.box.close() {
		if o, ok := ev.(orphan); ok {
			o.orphaned()
		}
	}
	_ = l.poll.Close()
	close(l.done)
}

// shutdown ends the loop.
type shutdown struct{}

func (shutdown) handle(l *loop) { l.ending = true }

// buffersFree tells a loop that was refused a piece buffer to ask again.
type buffersFree struct{}

func (buffersFree) handle(l *loop) {
	for s := range l.swarms {
		for _, c := range s.conns {
			if c.starved {
				c.starved = false
				c.wake()
			}
		}
	}
}
