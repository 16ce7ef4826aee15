package chord

import (
	"errors"
	"maps"
	"time"
)

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

// yields looks at a claim that is about to be given up: W others have one. Who gives
// up all of them has found that they are void.
func (h *simHost) yields(st *State) *breach {
	if h.net.hi == nil || len(st.Arcs) == 0 {
		return nil
	}
	for _, was := range h.disk.State().Arcs {
		if arcs(st.Arcs).at(was.To).Complete {
			continue
		}
		if n := h.net.vouching(h, was.To, h.net.now.Add(-time.Second)); n < QuorumOf(Hard, len(h.m.view)).W {
			return broke("strays are kept", "%s gives up its claim at %s, and %d others have one", h, was.To.Short(), n)
		}
	}
	return nil
}

// vouching counts the other members that claim a place, or have lost what they
// had since then.
func (net *simNet) vouching(but *simHost, id ID, since Time) (n int) {
	for _, h := range net.hosts {
		claims := arcs(h.disk.State().Arcs)
		if h.m != nil {
			claims = h.m.claims
		}
		if h != but && (claims.at(id).Complete || h.wiped >= since) {
			n++
		}
	}
	return n
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
		if op.Kind == StoreState {
			net.fails(h.yields(op.State))
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
		if op.Kind == StoreDrop {
			maps.DeleteFunc(h.damaged, func(n fieldName, _ bool) bool { return n.key == op.Key })
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
