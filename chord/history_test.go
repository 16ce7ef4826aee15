package chord

import (
	"fmt"
	"slices"
)

// history is what clients were promised, and checks every answer against it:
//   - a read begun after a write or delete was acknowledged, or read, finds that
//     one or a later one, if the read claims to know (CodeOK and confirmed, or
//     NotFound);
//   - nothing is ever read that nobody wrote;
//   - a write begun after another's acknowledgement has a higher stamp.
type history struct {
	net    *simNet
	fields map[fieldName]*fieldHistory
	order  []fieldName
	serial int

	// copies is how many members must have what is acknowledged, if the test
	// knows that the ring was never smaller.
	copies int
	// split says that two parts of the ring may both go on just now: until it is
	// one again, the one does not know what the other has acknowledged.
	split bool

	acked, degraded, failed        int
	confirmed, unconfirmed, silent int // reads
}

type fieldName struct {
	key  Key
	name string
}

type fieldHistory struct {
	acked   Stamp           // the highest acknowledged one, or that a read has confirmed
	byRead  bool            // it was a read
	deleted bool            // it was a delete's
	values  map[string]bool // that somebody tried to write
	removed []*simOp        // deletes that somebody tried
}

// mayBeGone reports whether a field may be missing though a write of it with
// that stamp was acknowledged: because a delete is known to be later, or may be.
func (f *fieldHistory) mayBeGone(promised Stamp) bool {
	return promised == 0 || slices.ContainsFunc(f.removed, func(o *simOp) bool {
		r, ended := o.reply.(PutReply)
		return !ended || r.Code != CodeOK || r.Stamp >= promised
	})
}

func newHistory(net *simNet) *history {
	net.hi = &history{net: net, fields: map[fieldName]*fieldHistory{}}
	return net.hi
}

func (hi *history) field(n fieldName) *fieldHistory {
	f := hi.fields[n]
	if f == nil {
		f = &fieldHistory{values: map[string]bool{}}
		hi.fields[n] = f
		hi.order = append(hi.order, n)
	}
	return f
}

// write begins a put of a value that never was.
func (hi *history) write(h *simHost, key Key, name string) *simOp {
	hi.serial++
	value := fmt.Sprintf("value %d", hi.serial)
	hi.field(fieldName{key, name}).values[value] = true
	return hi.put(h, key, Update{Name: name, Value: []byte(value)})
}

// remove begins a delete.
func (hi *history) remove(h *simHost, key Key, name string) *simOp {
	f := hi.field(fieldName{key, name})
	o := hi.put(h, key, Update{Name: name, Delete: true})
	f.removed = append(f.removed, o)
	return o
}

func (hi *history) put(h *simHost, key Key, u Update) *simOp {
	f := hi.field(fieldName{key, u.Name})
	before := f.acked
	return h.begin(Put{Key: key, Updates: []Update{u}}, func(o *simOp) {
		r := o.reply.(PutReply)
		switch r.Code {
		case CodeOK:
			hi.acked++
			floor := max(r.Want, 1)
			if !hi.split { // else a side may have shrunk to two
				floor = max(floor, hi.copies)
			}
			if r.Copies < floor {
				hi.net.fails(broke("acknowledged at W", "%s is acknowledged: %s", o, showPut(r)))
			}
			if n := hi.net.durable(key, u.Name, r.Stamp, o.began); n < floor {
				hi.net.fails(broke("acknowledged when durable", "%s is acknowledged, %s, and %d disks have it", o, showPut(r), n))
			}
			if r.Stamp <= before && !hi.split {
				hi.net.fails(broke("stamps rise", "%s got stamp %d, though %d had been acknowledged before it began", o, r.Stamp, before))
			}
			if r.Stamp > f.acked {
				f.acked, f.deleted, f.byRead = r.Stamp, u.Delete, false
			}
		case CodeDegraded:
			hi.degraded++
			if r.Copies >= r.Want {
				hi.net.fails(broke("degraded is said", "%s is called degraded: %s", o, showPut(r)))
			}
		case CodeNotFound, CodeTooLarge, CodeBadRequest, CodeNotOwner, CodeStore:
			hi.net.fatalf("%s: %s", o, showPut(r))
		default:
			hi.failed++
		}
	})
}

// read begins a get of a whole map that checks itself.
func (hi *history) read(h *simHost, key Key) *simOp {
	promised, gone, read, split := map[string]Stamp{}, map[string]bool{}, map[string]bool{}, hi.split
	for _, n := range hi.order {
		if f := hi.fields[n]; n.key == key && f.acked > 0 {
			promised[n.name], gone[n.name], read[n.name] = f.acked, f.deleted, f.byRead
		}
	}
	return h.begin(Get{Key: key}, func(o *simOp) {
		r := o.reply.(GetReply)
		for _, f := range r.Fields {
			if !hi.field(fieldName{key, f.Name}).values[string(f.Value)] {
				hi.net.fails(broke("nothing invented", "%s reads %q in field %q, which nobody wrote", o, f.Value, f.Name))
			}
		}
		switch {
		case r.Code == CodeOK && !r.Unconfirmed, r.Code == CodeNotFound:
			hi.confirmed++
			got := map[string]Stamp{}
			for _, f := range r.Fields {
				got[f.Name] = f.Stamp
				// In a ring of fewer than five R is less than W, and what one read has
				// seen of a write under way the next may not.
				if h := hi.field(fieldName{key, f.Name}); hi.copies >= 3 && hi.net.ringOfFive(key) && f.Stamp > h.acked && !split && !hi.split {
					h.acked, h.deleted, h.byRead = f.Stamp, false, true
					if n := hi.net.durable(key, f.Name, f.Stamp, o.began); n < hi.copies {
						hi.net.fails(broke("a read is as good as a write", "%s reads field %q, which %d disks have: %s", o, f.Name, n, showGet(r)))
					}
				}
			}
			for _, n := range hi.order {
				stamp, here := got[n.name]
				if n.key != key || stamp >= promised[n.name] || (!here && hi.fields[n].mayBeGone(promised[n.name])) {
					continue
				}
				if split || hi.split {
					continue
				}
				invariant := "no stale read"
				switch {
				case read[n.name]:
					invariant = "reads do not go back"
				case r.Code == CodeNotFound:
					invariant = "no false NotFound"
				case !here:
					invariant = "no lost write"
				case gone[n.name]:
					invariant = "no resurrected delete"
				}
				hi.net.fails(broke(invariant, "%s reads stamp %d of field %q, though %d had been acknowledged: %s", o, stamp, n.name, promised[n.name], showGet(r)))
			}
		case r.Code == CodeOK:
			hi.unconfirmed++
		case r.Code == CodeNotReady, r.Code == CodeUnavailable, r.Code == CodeLeaving:
			hi.silent++
		default:
			hi.net.fatalf("%s: %s", o, showGet(r))
		}
	})
}

// ringOfFive reports whether nobody claims a key in a ring of fewer than five, as
// one side of a partition may be.
func (net *simNet) ringOfFive(key Key) bool {
	return !slices.ContainsFunc(net.hosts, func(h *simHost) bool {
		if h.m == nil {
			return false
		}
		c := h.m.claims.at(HashKey(key))
		return c.Complete && c.Ring < 5
	})
}

// durable counts the hosts whose disks hold a field with that stamp or a later
// one, and those that have lost theirs since.
func (net *simNet) durable(key Key, name string, stamp Stamp, since Time) (n int) {
	for _, h := range net.hosts {
		held := h.wiped >= since
		_ = h.disk.Fields(key, name, "", func(f Field) bool {
			held = held || (f.Name == name && f.Stamp >= stamp)
			return false
		})
		if held {
			n++
		}
	}
	return n
}

// keys lists the keys that were written to, in order of their first write.
func (hi *history) keys() (keys []Key) {
	seen := map[Key]bool{}
	for _, n := range hi.order {
		if !seen[n.key] {
			seen[n.key] = true
			keys = append(keys, n.key)
		}
	}
	return keys
}

// verify reads every key at every host given and wants confirmed answers.
func (hi *history) verify(hosts ...*simHost) {
	hi.net.t.Helper()
	for _, key := range hi.keys() {
		for _, h := range hosts {
			hi.verifyKey(key, h)
		}
	}
}

func (hi *history) verifyKey(key Key, h *simHost) {
	hi.net.t.Helper()
	o := hi.read(h, key)
	hi.net.wait(o, opLimit, o.done)
	if r := o.reply.(GetReply); (r.Code != CodeOK && r.Code != CodeNotFound) || r.Unconfirmed {
		hi.net.fails(broke("a whole ring answers", "%s: %s", o, showGet(r)))
	}
}

func (hi *history) String() string {
	return fmt.Sprintf("writes: %d acknowledged, %d degraded, %d failed; reads: %d confirmed, %d unconfirmed, %d without an answer",
		hi.acked, hi.degraded, hi.failed, hi.confirmed, hi.unconfirmed, hi.silent)
}
