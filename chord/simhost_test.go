package chord

import (
	"errors"
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

	heard Ref          // whose Neighbors are being taken in
	told  map[ID][]Ref // the lists last told in this life
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
			h.told[env.From.ID] = n.Succ
		}
		h.heard = env.From
	}
	h.call(h.boot, func(m *Member, now Time) { m.Receive(now, env) })
}

// adopted looks at what one event did to the successor list. Somebody new becomes
// the first only by having answered just now, and the others then are out of its
// own list; without an answer the list only gets shorter.
func (h *simHost) adopted(phase phase, before []Ref) *breach {
	m := h.m
	if m.phase == joining || len(m.succ) == 0 {
		return nil
	}
	named := func(list []Ref, r Ref) bool {
		return slices.ContainsFunc(list, func(o Ref) bool { return o.ID == r.ID })
	}
	first := m.succ[0]
	if !named(before, first) && h.heard.ID != first.ID && !(phase == joining && first.ID == m.pred.ID) {
		return broke("liveness before adoption", "%s takes %s for its first successor, which has not just answered", h, h.net.name(first))
	}
	allowed := h.told[first.ID]
	if phase == joining {
		allowed = append(slices.Clone(h.told[m.pred.ID]), m.pred) // Zave's join: the predecessor's list
	}
	kept := !slices.ContainsFunc(m.succ, func(r Ref) bool { return !named(before, r) })
	if h.heard.ID == first.ID && phase != joining {
		if whole := m.trimmed(append([]Ref{first}, allowed...)); !sameMembers(whole, m.succ) {
			return broke("whole list", "%s has not taken over all %d entries that its first successor %s has just named", h, len(whole), h.net.name(first))
		}
	}
	for _, r := range m.succ[1:] {
		if !named(allowed, r) && !(kept && h.heard.ID != first.ID) {
			return broke("whole list", "%s has %s behind its first successor %s, which did not name it", h, h.net.name(r), h.net.name(first))
		}
	}
	return nil
}

func (h *simHost) drain() {
	net := h.net
	for h.m != nil {
		out := h.m.Take()
		if len(out.Store) > 0 {
			h.write(out.Store)
		}
		for _, env := range out.Send {
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

// dropped looks at a copy that is about to be given up: W others hold as much,
// as far as it was acknowledged.
func (h *simHost) dropped(key Key) (b *breach) {
	net := h.net
	if !net.opt.keeps || net.hi == nil {
		return nil
	}
	want := QuorumOf(Hard, len(h.m.view)).W
	_ = h.disk.Fields(key, "", "", func(f Field) bool {
		stamp := min(f.Stamp, net.hi.field(fieldName{key, f.Name}).acked)
		if stamp == 0 {
			return true
		}
		n := net.durable(key, f.Name, stamp, net.now.Add(-time.Second))
		if h.wiped < net.now.Add(-time.Second) {
			n-- // this one
		}
		if n < want {
			b = broke("strays are kept", "%s drops its copy of %q, field %q, and %d others have it", h, key, f.Name, n)
		}
		return b == nil
	})
	return b
}

// write applies soft ops at once and hard ones when the disk is done, each
// group as a whole and in order; confirmation follows.
func (h *simHost) write(ops []StoreOp) {
	net, boot := h.net, h.boot
	var hard, soft []StoreOp
	for _, op := range ops {
		if op.Kind == StoreDrop && op.Key.Class() == Hard {
			net.fails(h.dropped(op.Key))
		}
		op = copyOp(op)
		net.trace.note(uint64(op.Kind), uint64(len(op.Merge)))
		net.trace.text(string(op.Key))
		if op.Kind != StoreState && op.Key.Class() == Soft {
			soft = append(soft, op)
		} else {
			hard = append(hard, op)
		}
	}
	confirm := func(ops []StoreOp, err error) {
		for _, op := range ops {
			if op.Token != 0 {
				h.call(boot, func(m *Member, now Time) { m.Stored(now, op.Token, err) })
			}
		}
	}
	if len(soft) > 0 {
		for _, op := range soft {
			h.disk.Apply(op)
		}
		net.in(net.between(0, 50*time.Microsecond), func() { confirm(soft, nil) })
	}
	if len(hard) == 0 {
		return
	}
	h.durable = max(h.durable, net.now.Add(net.between(100*time.Microsecond, 5*time.Millisecond)))
	h.pending = append(h.pending, hard)
	net.at(h.durable, func() {
		if h.boot != boot || h.m == nil {
			return // the crash was faster
		}
		h.pending = h.pending[1:]
		if h.broken == nil {
			h.apply(hard)
		}
		err := h.broken
		net.in(net.between(0, 200*time.Microsecond), func() { confirm(hard, err) })
	})
}

func (h *simHost) apply(group []StoreOp) {
	for _, op := range group {
		h.disk.Apply(op)
		for _, f := range op.Merge {
			delete(h.damaged, fieldName{op.Key, f.Name}) // the row is written anew
		}
	}
}

// lie has the disk confirm writes from now on that a crash undoes.
func (h *simHost) lie() { h.synced = h.disk.Clone() }

func copyOp(op StoreOp) StoreOp {
	op.Merge = copyFields(op.Merge)
	op.Purge = copyFields(op.Purge)
	if op.State != nil {
		st := op.State.clone()
		op.State = &st
	}
	return op
}

func copyFields(fields []Field) []Field {
	out := make([]Field, len(fields))
	for i, f := range fields {
		f.Value = append([]byte(nil), f.Value...)
		out[i] = f
	}
	return out
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
	h.silent = silent
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

// wipe loses the disk of a host that is down.
func (h *simHost) wipe() {
	h.disk, h.wiped = NewMemStore(), h.net.now
	clear(h.damaged)
}

// damage makes a row unreadable, as a checksum would tell: its content is lost
// for good.
func (h *simHost) damage(key Key, name string) {
	h.disk.Apply(StoreOp{Kind: StorePurge, Key: key, Purge: []Field{{Name: name, Entry: Entry{Stamp: ^Stamp(0)}}}})
	h.disk.Apply(StoreOp{Kind: StoreMerge, Key: key, Merge: []Field{{Name: name, Entry: Entry{Value: []byte("rubbish")}}}})
	h.damaged[fieldName{key, name}], h.wiped = true, h.net.now
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

// shownStore shows each value only during the call, as a memory map would:
// whoever keeps it sees rubbish afterwards. Of large values only some, as
// copying them would be most of the work of the whole simulation.
type shownStore struct {
	*MemStore
	large   *int
	damaged map[fieldName]bool
}

// Digest vouches for nothing in whose range something is damaged.
func (s shownStore) Digest(class Class, from, to ID) (Digest, error) {
	for n := range s.damaged {
		if n.key.Class() == class && InArc(from, HashKey(n.key), to) {
			return WalkDigest(s, class, from, to)
		}
	}
	return s.MemStore.Digest(class, from, to)
}

var errDamaged = errors.New("damaged entry")

func (s shownStore) Fields(key Key, prefix, after string, yield func(Field) bool) error {
	var damage error
	err := s.MemStore.Fields(key, prefix, after, func(f Field) bool {
		if s.damaged[fieldName{key, f.Name}] {
			damage = errDamaged
			return true
		}
		if len(f.Value) > 4096 {
			if *s.large++; *s.large%16 != 0 {
				return yield(f)
			}
		}
		f.Value = append([]byte(nil), f.Value...)
		more := yield(f)
		for i := range f.Value {
			f.Value[i] = 0xdd
		}
		return more
	})
	return errors.Join(err, damage)
}
