package chord

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// simNet is a network of Members in virtual time, in one goroutine: what
// happens next is the earliest event of a heap, and everything that could
// happen in more than one way is drawn from one seeded source. The same seed
// gives the same run, as its trace hash tells.
//
//	simnet_test.go    time, events, links between hosts
//	simhost_test.go   one host: its Member, its life and death
//	simdisk_test.go   its disk, and what that does wrong
//	simcheck_test.go  what holds at a member and in the ring
//	simgossip_test.go who believes whom alive
//	simcopy_test.go   messages are copied and hashed on their way
//	simops_test.go    clients: puts, gets, the history that must hold
type simNet struct {
	t      reporter
	opt    simOptions
	rng    *rand.Rand
	now    Time
	order  uint64
	events eventHeap
	hosts  []*simHost // in order of creation
	byAddr map[string]*simHost

	moved map[string]bool  // addresses that nobody has any more
	side  map[*simHost]int // partitions: hosts of different sides do not hear each other
	cut   map[link]bool    // one-way
	last  map[link]Time    // when the last message of a link arrives, as TCP keeps order
	trace traceHash
	// ringChanged says that somebody's predecessor or list was replaced, or that
	// somebody came or went, since the invariants were looked at.
	ringChanged bool
	steps       int
	tokens      uint64
	// after, if set, is called after every event: for invariants.
	after func()
	hi    *history // the last one made
	// watch, if set, is shown every message that is sent.
	watch func(Envelope)
}

type link struct{ from, to string }

// simOptions shape a network; the zero value is a quiet one.
type simOptions struct {
	seed      uint64
	loss      float64 // share of messages that vanish
	late      float64 // share of messages that take up to lateBy longer
	lateBy    time.Duration
	duplicate float64 // share of messages that arrive twice
	reorder   bool    // messages of one link may overtake each other
	skew      time.Duration
	keeps     bool          // nobody has been away for so long that it has to begin anew
	member    func(*Config) // changes the configuration of each member
}

type simEvent struct {
	at    Time
	order uint64
	run   func()
}

type eventHeap []simEvent

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || (h[i].at == h[j].at && h[i].order < h[j].order)
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(simEvent)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = simEvent{}
	*h = old[:len(old)-1]
	return e
}

// simEpoch is when every simulation begins.
const simEpoch = Time(1_700_000_000_000_000_000)

// reporter is who hears of a failure: a test, or who looks for one.
type reporter interface {
	Helper()
	Cleanup(func())
	Failed() bool
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any) // does not return
}

func newSimNet(t reporter, opt simOptions) *simNet {
	if opt.lateBy == 0 {
		opt.late, opt.lateBy = 0.01, 30*time.Millisecond
	}
	net := &simNet{
		t: t, opt: opt, now: simEpoch,
		rng:    rand.New(rand.NewPCG(opt.seed, 0x51e7)),
		byAddr: map[string]*simHost{}, side: map[*simHost]int{}, moved: map[string]bool{}, cut: map[link]bool{}, last: map[link]Time{},
	}
	t.Cleanup(net.checkEnded)
	return net
}

// checkEnded fails the test if an operation has gone on for longer than it may.
func (net *simNet) checkEnded() {
	for _, h := range net.hosts {
		for _, o := range h.ops {
			if net.now.Sub(o.began) > opLimit && !net.t.Failed() {
				net.t.Errorf("every operation ends: seed %d: %s, begun at %v, has no end at %v", net.opt.seed, o, o.began.Sub(simEpoch), net.since())
			}
		}
	}
}

// logf tells, with -chord.trace, what happens when.
func (net *simNet) logf(format string, args ...any) {
	if *traceFlag {
		fmt.Printf("%12v %s\n", net.since(), fmt.Sprintf(format, args...))
	}
}

// between draws a duration from [lo, hi).
func (net *simNet) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(net.rng.Int64N(int64(hi-lo)))
}

func (net *simNet) chance(p float64) bool { return p > 0 && net.rng.Float64() < p }

// at schedules an event.
func (net *simNet) at(when Time, run func()) {
	net.order++
	heap.Push(&net.events, simEvent{at: max(when, net.now), order: net.order, run: run})
}

func (net *simNet) in(d time.Duration, run func()) { net.at(net.now.Add(d), run) }

// step runs the next event, if there is one until the limit.
func (net *simNet) step(limit Time) bool {
	if len(net.events) == 0 || net.events[0].at > limit {
		return false
	}
	e := heap.Pop(&net.events).(simEvent)
	net.now = e.at
	net.steps++
	e.run()
	if net.after != nil {
		net.after()
	}
	return true
}

// run lets the network live for d.
func (net *simNet) run(d time.Duration) {
	limit := net.now.Add(d)
	for net.step(limit) {
	}
	net.now = limit
}

// runUntil lets the network live until the condition holds, for d at most.
func (net *simNet) runUntil(d time.Duration, cond func() bool) bool {
	limit := net.now.Add(d)
	for !cond() {
		if !net.step(limit) {
			net.now = limit
			return cond()
		}
	}
	return true
}

// wait is runUntil that fails the test.
func (net *simNet) wait(what any, d time.Duration, cond func() bool) {
	net.t.Helper()
	if !net.runUntil(d, cond) {
		net.fatalf("%v: not within %v of virtual time", what, d)
	}
}

// since is the virtual time since the beginning.
func (net *simNet) since() time.Duration { return net.now.Sub(simEpoch) }

func (net *simNet) fatalf(format string, args ...any) {
	net.t.Helper()
	net.fails(broke("simulation", format, args...))
}

// fails ends the test by what was broken, if anything was.
func (net *simNet) fails(b *breach) {
	if b == nil {
		return
	}
	net.t.Helper()
	net.t.Fatalf("%s: seed %d, at %v, step %d: %s\n%s", b.invariant, net.opt.seed, net.since(), net.steps, b.text, net.picture())
}

// blocked reports whether what a sends does not arrive at b.
func (net *simNet) blocked(a, b *simHost) bool {
	return net.side[a] != net.side[b] || net.cut[link{a.ref.Addr, b.ref.Addr}]
}

// maxBody is what a message may weigh: the data and a quarter for names and
// numbers beside them.
const maxBody = MaxGetBytes + MaxGetBytes/4

// send puts a message on its way.
func (net *simNet) send(from *simHost, env Envelope) {
	if net.watch != nil {
		net.watch(env)
	}
	body, size := copyBody(env.Body, &net.trace)
	env.Body = body
	if size > maxBody {
		net.fatalf("%s sends %T of %d bytes", from, body, size)
	}
	net.trace.note(uint64(net.now), env.Seq, uint64(len(env.To.Addr)))
	net.trace.text(env.To.Addr)
	to := net.byAddr[env.To.Addr]
	boot := from.boot
	refuse := func() {
		if !env.Reply {
			net.in(net.between(200*time.Microsecond, 2*time.Millisecond), func() {
				from.call(boot, func(m *Member, now Time) { m.Unreachable(now, env.To, env.Seq, false) })
			})
		}
	}
	if to == nil && net.moved[env.To.Addr] {
		refuse()
		return
	}
	if to == nil {
		net.fatalf("%s sends %T to an address that never was: %+v", from, env.Body, env.To)
	}
	if to.ref != env.To || env.From != from.ref {
		net.fatalf("%s sends %T from %+v to %+v: neither is right", from, env.Body, env.From, env.To)
	}
	if to == from {
		net.fatalf("%s sends %T to itself", from, env.Body)
	}
	if net.blocked(from, to) || net.chance(net.opt.loss) {
		return
	}
	copies := 1
	if net.chance(net.opt.duplicate) {
		copies = 2
	}
	for range copies {
		delay := net.between(100*time.Microsecond, time.Millisecond) + time.Duration(size)*8 // 1 Gbit/s
		if net.chance(net.opt.late) {
			delay += net.between(0, net.opt.lateBy)
		}
		when := net.now.Add(delay)
		l := link{env.From.Addr, env.To.Addr}
		if !net.opt.reorder {
			when = max(when, net.last[l])
			net.last[l] = when
		}
		net.at(when, func() {
			switch {
			case net.blocked(from, to): // cut while it was under way
			case to.m != nil:
				env := env
				if *traceFlag {
					net.logf("%s -> %s %d %T%.300s", from, to, env.Seq, env.Body, fmt.Sprintf("%+v", env.Body))
				}
				if copies > 1 {
					env.Body, _ = copyBody(env.Body, nil) // they must not share
				}
				net.trace.note(uint64(net.now), env.Seq)
				to.receive(env)
			case !to.silent:
				refuse()
			}
		})
	}
}

// breakLinks has those who wait for answers of a host that has just died hear that
// their connections ended.
func (net *simNet) breakLinks(dead *simHost) {
	for _, h := range net.hosts {
		if h.m == nil || net.blocked(h, dead) {
			continue
		}
		var waiting []uint64
		for seq, r := range h.m.requests {
			if r.to == dead.ref {
				waiting = append(waiting, seq)
			}
		}
		slices.Sort(waiting)
		boot := h.boot
		for _, seq := range waiting {
			net.in(net.between(200*time.Microsecond, 2*time.Millisecond), func() {
				h.call(boot, func(m *Member, now Time) { m.Unreachable(now, dead.ref, seq, true) })
			})
		}
	}
}

// partition divides the hosts: each list is a side of its own, the rest
// stays together.
func (net *simNet) partition(sides ...[]*simHost) {
	clear(net.side)
	for i, side := range sides {
		for _, h := range side {
			net.side[h] = i + 1
		}
	}
	net.rumour()
}

// heal ends all partitions and cuts.
func (net *simNet) heal() {
	clear(net.side)
	clear(net.cut)
	net.rumour()
}

// cutOneWay lets nothing of a arrive at b any more; gossip goes around it.
func (net *simNet) cutOneWay(a, b *simHost) { net.cut[link{a.ref.Addr, b.ref.Addr}] = true }
