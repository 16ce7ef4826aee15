package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/rpc"
)

// Config shapes a world. Zero values take the default.
type Config struct {
	Members  int // at the beginning
	Seed     uint64
	HalfLife time.Duration // until half of the members have been replaced by new ones; 0: nobody dies
	Duration time.Duration // of what is measured; default 10 min
	WarmUp   time.Duration // before that; default 20 s
	// LookupsPerSec is how many keys are looked up in the whole ring; default
	// 1,000.
	LookupsPerSec int
	// Progress, if set, is called every virtual ten seconds.
	Progress func(virtual time.Duration, events uint64)
	// Partial, if set, gets every virtual ten seconds what was measured so far.
	Partial func(Result)

	// Gossip is the largest ring whose members are told of each other; default
	// 2,000, negative for none.
	Gossip int
}

const (
	// delayMin and delayMax bound how long a message takes: a LAN.
	delayMin, delayMax = 200 * time.Microsecond, 2 * time.Millisecond
	// seenMax is by when gossip has told everybody.
	seenMax = 2 * time.Second
	// epoch is when every world begins.
	epoch = chord.Time(1_700_000_000_000_000_000)
)

// World is a simulated ring. It is used by one goroutine.
type World struct {
	cfg    Config
	rng    *rand.Rand
	now    chord.Time
	queue  queue
	mail   []chord.Envelope // on its way
	free   []int32          // slots of mail
	calls  []func()         // of the world itself, that wait for their time
	idle   []int32          // slots of calls
	hosts  []*host
	byID   map[chord.ID]int32
	ring   ring // of those that live and are part of it
	tokens uint64
	asked  map[uint64]func(chord.LookupReply)
	events uint64

	weights weights
	stats   stats
	on      bool // measuring
	// measured is for how long, and joins the widest arc before.
	measured time.Duration
	joins    float64
}

// host is a member, or a place where one was.
type host struct {
	m     *chord.Member
	ref   chord.Ref
	index int32 // in World.hosts
	life  int32
	wake  chord.Time // the next tick in the queue; 0: none
	later chord.Time // the one behind it, if there is another; 0: none known
	in    bool       // the ring
	told  bool       // a change of the view is on its way to it
}

func newWorld(cfg Config) (*World, error) {
	if cfg.Members < 1 || cfg.Members > 1_000_000 {
		return nil, fmt.Errorf("%d members: between 1 and a million can be simulated", cfg.Members)
	}
	if cfg.Duration == 0 {
		cfg.Duration = 10 * time.Minute
	}
	if cfg.WarmUp == 0 {
		cfg.WarmUp = 20 * time.Second
	}
	if cfg.LookupsPerSec == 0 {
		cfg.LookupsPerSec = 1000
	}
	if cfg.Gossip == 0 {
		cfg.Gossip = 2000
	}
	w := &World{
		cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0x5eed)), now: epoch,
		byID: make(map[chord.ID]int32, cfg.Members), asked: map[uint64]func(chord.LookupReply){},
		weights: weights{kinds: map[reflect.Type]*weight{}},
	}
	return w, nil
}

// between draws a duration from [lo, hi).
func (w *World) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(w.rng.Int64N(int64(hi-lo)))
}

func (w *World) place() (id chord.ID) {
	for i := range id {
		id[i] = byte(w.rng.Uint32())
	}
	return id
}

// in calls f after d.
func (w *World) in(d time.Duration, f func()) {
	var slot int32
	if n := len(w.idle); n > 0 {
		slot, w.idle = w.idle[n-1], w.idle[:n-1]
		w.calls[slot] = f
	} else {
		slot = int32(len(w.calls))
		w.calls = append(w.calls, f)
	}
	w.queue.push(event{at: w.now.Add(d), host: slot, env: aCall})
}

// run lets the world live for d.
func (w *World) run(d time.Duration) {
	limit := w.now.Add(d)
	for {
		e, ok := w.queue.pop(limit)
		if !ok {
			break
		}
		w.now = e.at
		w.events++
		if e.env == aCall {
			f := w.calls[e.host]
			w.calls[e.host] = nil
			w.idle = append(w.idle, e.host)
			f()
			continue
		}
		w.happen(e)
	}
	w.now = limit
}

func (w *World) happen(e event) {
	h := w.hosts[e.host]
	if e.env < 0 {
		if h.life == e.life && h.wake == e.at {
			h.wake, h.later = h.later, 0
			// Most often it has waited for an answer that has come.
			if due := h.m.Due(); due > w.now {
				w.wakeAt(h, due)
				return
			}
			h.m.Tick(w.now)
			w.carryOut(h)
		}
		return
	}
	env := w.mail[e.env]
	w.mail[e.env] = chord.Envelope{}
	w.free = append(w.free, e.env)
	if h.m != nil && h.life == e.life { // a message to a dead machine is not answered
		h.m.Receive(w.now, env)
		w.carryOut(h)
	}
}

// wakeAt has a member called by then.
func (w *World) wakeAt(h *host, at chord.Time) {
	if at != 0 && (h.wake == 0 || at < h.wake) {
		h.wake, h.later = max(at, w.now), h.wake
		w.queue.push(event{at: h.wake, host: h.index, life: h.life, env: aTick})
	}
}

// call has a member do something and carries out what comes of it.
func (w *World) call(h *host, f func(*chord.Member)) {
	if h.m == nil {
		return
	}
	f(h.m)
	w.carryOut(h)
}

// carryOut does what a member wants done.
func (w *World) carryOut(h *host) {
	for again := true; again && h.m != nil; {
		again = false
		out := h.m.Take()
		for _, op := range out.Store { // nothing but their own state, which nobody reads again
			if op.Token != 0 {
				h.m.Stored(w.now, op.Token, nil)
				again = true
			}
		}
		for i := range out.Send {
			w.send(&out.Send[i])
		}
		for _, d := range out.Done {
			reply, _ := d.Reply.(chord.LookupReply)
			then := w.asked[d.Token]
			delete(w.asked, d.Token)
			then(reply)
			again = true
		}
		if !again {
			w.wakeAt(h, out.Wake)
		}
	}
	w.noteReady(h)
}

// noteReady counts a member in from when it is part of the ring.
func (w *World) noteReady(h *host) {
	if h.m != nil && !h.in && h.m.Ready() {
		h.in = true
		w.ring.add(h.ref.ID)
		if w.on {
			w.stats.joined++
		}
		w.rumour()
	}
}

// send puts a message on its way.
func (w *World) send(env *chord.Envelope) {
	if w.on {
		w.stats.sent += w.weights.of(env)
	}
	to := indexOf(env.To.Addr)
	if w.hosts[to].ref != env.To {
		panic(fmt.Sprintf("sim: a message to %v, who never was", env.To))
	}
	var slot int32
	if n := len(w.free); n > 0 {
		slot, w.free = w.free[n-1], w.free[:n-1]
		w.mail[slot] = *env
	} else {
		slot = int32(len(w.mail))
		w.mail = append(w.mail, *env)
	}
	w.queue.push(event{at: w.now.Add(w.between(delayMin, delayMax)), host: to, life: w.hosts[to].life, env: slot})
}

// address is where the n-th host is reached; as long as real ones are.
func address(n int) string { return fmt.Sprintf("10.%d.%d.%d:8000", n>>16&255, n>>8&255, n&255) }

// indexOf is the reverse of address.
func indexOf(addr string) (n int32) {
	part := int32(0)
	for _, c := range []byte(addr[len("10."):]) {
		switch c {
		case '.':
			n, part = n<<8|part, 0
		case ':':
			return n<<8 | part
		default:
			part = part*10 + int32(c-'0')
		}
	}
	return 0
}

// frameBytes is what a frame of package rpc has before its body.
const frameBytes = 4 + 1 + 8

// weights tells what messages weigh on the wire. Encoding every one of them
// would take longer than all the rest, so each kind is weighed now and then.
type weights struct{ kinds map[reflect.Type]*weight }

type weight struct{ seen, weighed, bytes int }

// weighOneIn is how many messages of a kind go by one that is weighed.
const weighOneIn = 32

func (ws *weights) of(env *chord.Envelope) float64 {
	t := reflect.TypeOf(env.Body)
	k := ws.kinds[t]
	if k == nil {
		k = &weight{}
		ws.kinds[t] = k
	}
	if k.seen%weighOneIn == 0 {
		_, body, err := rpc.Encode(env.Body)
		if err != nil {
			panic(fmt.Sprintf("sim: %T does not travel: %v", env.Body, err))
		}
		k.weighed++
		k.bytes += frameBytes + len(body)
		if !env.Reply {
			k.bytes += 4 // its deadline
		}
	}
	k.seen++
	return k.mean()
}

func (k *weight) mean() float64 { return float64(k.bytes) / float64(max(k.weighed, 1)) }

// traffic lists the kinds of messages, the heaviest first, divided by the
// seconds that all members have lived together.
func (ws *weights) traffic(memberSeconds float64) []Traffic {
	var list []Traffic
	for t, k := range ws.kinds {
		n := float64(k.seen) / memberSeconds
		list = append(list, Traffic{Kind: t.Name(), PerSec: rounded(n), BytesPerSec: rounded(n * k.mean())})
	}
	slices.SortFunc(list, func(a, b Traffic) int {
		return cmp.Or(cmp.Compare(b.BytesPerSec, a.BytesPerSec), cmp.Compare(a.Kind, b.Kind))
	})
	return list
}

// mean is what messages of that kind have weighed so far.
func (ws *weights) mean(b chord.Body) float64 {
	if k := ws.kinds[reflect.TypeOf(b)]; k != nil {
		return k.mean()
	}
	return 0
}
