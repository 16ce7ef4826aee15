package chord

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// simHost is a machine with a disk and, while it is up, a Member.
type simHost struct {
	net    *simNet
	name   string
	index  int
	ref    Ref
	skew   time.Duration // its clock is so much ahead
	boot   int           // events of earlier lives are ignored
	m      *Member       // nil: down
	silent bool          // down, and nothing says so to those who send
	// disk is what reads see: hard keys once they are durable, soft keys at
	// once. A crash keeps its hard keys.
	disk    *MemStore
	durable Time               // when the last write now under way will be on the disk
	broken  error              // of every write
	damaged map[fieldName]bool // rows whose checksum does not match
	wake    Time
	spins   int
	sees    map[*simHost]bool // by gossip
	ops     map[uint64]*simOp
	log     []Event
	gone    bool // it left in order
	leaving bool

	heard Ref               // whose Neighbors are being taken in
	told  map[ID][]Ref      // the lists last told in this life
	named map[uint64][]Ref  // and all of them, by the hash of the answer
	known map[uint64]uint64 // which of them questions under way have named
	// A disk that lies has confirmed all of disk; only synced outlives a crash.
	synced  *MemStore
	pending [][]StoreOp // groups on their way to the disk, the oldest first
	wiped   Time        // when its disk was lost last, or a part of it
}

func (h *simHost) String() string { return h.name }

// host adds a machine with a random place on the ring; it is down.
func (net *simNet) host() *simHost {
	var id ID
	for i := range id {
		id[i] = byte(net.rng.Uint32())
	}
	return net.hostAt(id)
}

func (net *simNet) hostAt(id ID) *simHost {
	n := len(net.hosts)
	h := &simHost{
		net: net, index: n, name: fmt.Sprintf("%c%s", 'a'+rune(n%26), id.Short()[:4]),
		ref:  Ref{ID: id, Addr: fmt.Sprintf("10.0.%d.%d:4000", n/250, n%250+1)},
		disk: NewMemStore(), damaged: map[fieldName]bool{},
	}
	if net.opt.skew > 0 {
		h.skew = net.between(-net.opt.skew, net.opt.skew)
	}
	net.hosts = append(net.hosts, h)
	net.byAddr[h.ref.Addr] = h
	return h
}

// start boots the host's Member from its disk.
func (h *simHost) start() {
	net := h.net
	if h.m != nil {
		net.fatalf("%s is up already", h)
	}
	h.boot++
	cfg := Config{Self: h.ref, Rand: rand.New(rand.NewPCG(net.opt.seed, uint64(h.boot)<<32|uint64(h.index))), Store: shownStore{h.disk, new(int), h.damaged}, State: h.disk.State()}
	if net.opt.member != nil {
		net.opt.member(&cfg)
	}
	m, err := New(cfg)
	if err != nil {
		net.fatalf("New: %v", err)
	}
	h.m, h.silent, h.gone, h.leaving, h.wake, h.durable = m, false, false, false, 0, 0
	h.sees, h.ops, h.log = map[*simHost]bool{h: true}, map[uint64]*simOp{}, nil
	h.told, h.pending = map[ID][]Ref{}, nil
	h.named, h.known = map[uint64][]Ref{}, map[uint64]uint64{}
	h.call(h.boot, func(m *Member, now Time) {
		m.View(now, []Ref{h.ref})
		m.Start(now)
	})
	net.logf("%s is up", h)
	net.rumour()
}

// clock is the host's idea of the time.
func (h *simHost) clock() Time { return h.net.now.Add(h.skew) }

// call has the Member of that life do something, and carries out its output.
func (h *simHost) call(boot int, f func(m *Member, now Time)) {
	if h.m == nil || h.boot != boot {
		return
	}
	phase, pred, succ := h.m.phase, h.m.pred, h.m.succ
	f(h.m, h.clock())
	if moved := !slices.Equal(succ, h.m.succ); moved || phase != h.m.phase || pred != h.m.pred {
		h.net.ringChanged = true
		if moved {
			h.net.fails(h.adopted(phase, succ))
		}
	}
	h.heard = Ref{}
	h.drain()
}

// receive gives the Member a message.
func (h *simHost) receive(env Envelope) {
	if n, ok := env.Body.(Neighbors); ok && env.Reply && h.m.requests[env.Seq] != nil {
		if !n.Same {
			h.named[n.hash()] = n.Succ
			h.told[env.From.ID] = n.Succ
		} else {
			h.told[env.From.ID] = h.named[h.known[env.Seq]]
		}
		delete(h.known, env.Seq)
		h.heard = env.From
	}
	h.call(h.boot, func(m *Member, now Time) { m.Receive(now, env) })
}

func (h *simHost) drain() {
	net := h.net
	for h.m != nil {
		out := h.m.Take()
		if len(out.Store) > 0 {
			h.write(out.Store)
		}
		for _, env := range out.Send {
			if q, ok := env.Body.(GetNeighbors); ok && q.Known != 0 {
				h.known[env.Seq] = q.Known
			}
			net.send(h, env)
		}
		for _, d := range out.Done {
			op := h.ops[d.Token]
			if op == nil {
				net.fatalf("%s ends operation %d, which is not under way: %+v", h, d.Token, d.Reply)
			}
			delete(h.ops, d.Token)
			op.end(d.Reply)
		}
		for _, e := range out.Events {
			h.log = append(h.log, e)
			net.logf("%s: %s: %s", h, e.Kind, e.Text)
			net.trace.text(e.Kind)
			if e.Kind == "left" {
				h.down()
				h.gone = true
				net.rumour()
				return
			}
		}
		if len(out.Store)+len(out.Send)+len(out.Done)+len(out.Events) == 0 {
			h.setWake(out.Wake)
			return
		}
	}
}

// setWake has Tick called when the Member wants it, or a little later.
func (h *simHost) setWake(wake Time) {
	if wake == h.wake || wake == 0 {
		h.wake = wake
		return
	}
	net, boot := h.net, h.boot
	h.wake = wake
	if wake > h.clock() {
		h.spins = 0
	} else if h.spins++; h.spins > 1000 {
		net.fatalf("%s wants to be called again and again at one instant", h)
	}
	net.at(wake.Add(-h.skew+net.between(0, time.Millisecond)), func() {
		if h.boot == boot && h.wake == wake {
			h.wake = 0
			h.call(boot, func(m *Member, now Time) { m.Tick(now) })
		}
	})
}

func (h *simHost) down() {
	h.m = nil
	h.net.ringChanged = true
	h.boot++
	for _, op := range h.ops {
		op.lost = true
	}
	h.ops = nil
	h.net.trace.text("down " + h.name)
	h.net.logf("%s is down", h)
}

// crash kills the host: what was not durable is gone, but for so much of it as
// the disk had got down to without saying so. silent: those who send
// to it hear nothing, as if the machine had lost power; else they are refused.
func (h *simHost) crash(silent bool) {
	if h.m == nil {
		return
	}
	h.down()
	if h.silent = silent; !silent {
		h.net.breakLinks(h)
	}
	if n := len(h.pending); n > 0 && h.broken == nil {
		for _, group := range h.pending[:h.net.rng.IntN(n+1)] {
			h.apply(group)
		}
	}
	disk := h.disk
	if h.synced != nil {
		disk, h.synced, h.wiped = h.synced, nil, h.net.now
	}
	disk = disk.Clone()
	var soft []Key
	disk.Keys(Soft, ID{}, ID{}, func(k Key) bool { soft = append(soft, k); return true })
	for _, k := range soft {
		disk.Apply(StoreOp{Kind: StoreDrop, Key: k})
	}
	h.disk = disk
	h.net.rumour()
}

// move gives a host that is down another address.
func (h *simHost) move(addr string) {
	delete(h.net.byAddr, h.ref.Addr)
	h.net.moved[h.ref.Addr] = true
	h.ref.Addr = addr
	h.net.byAddr[addr] = h
}

// leave begins the orderly way out.
func (h *simHost) leave() {
	h.leaving = true
	h.call(h.boot, func(m *Member, now Time) { m.Leave(now) })
}

func (h *simHost) ready() bool { return h.m != nil && h.m.Ready() }

func (h *simHost) logged(kind string) bool {
	for _, e := range h.log {
		if e.Kind == kind {
			return true
		}
	}
	return false
}
