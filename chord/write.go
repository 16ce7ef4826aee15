package chord

import (
	"cmp"
	"slices"
)

// writing is a Put on its way to the replicas.
type writing struct {
	key      Key
	fields   []Field
	deadline Time
	done     func(PutReply)
	claims   map[ID]Claim // of the replicas at the beginning, if the owner had not completed its range by then
	acked    map[ID]bool
	asked    map[ID]bool
	failed   Code   // the last replica's refusal
	base     uint64 // the newest epoch that is claimed in claims
	epoch    uint64 // this member's grant when the write was stamped
	timer    timer
	growing  timer // set when a growing ring is given the time for more copies
	waited   bool  // long enough
	ended    bool
}

// write stamps a Put above what is held of its fields and brings it to the
// replicas.
func (m *Member) write(op Put, held Stamp, deadline Time, claims map[ID]Claim, done func(PutReply)) {
	if deadline.Sub(m.now) < lastStamp && op.Key.Class() == Hard {
		// Its client is about to give it up, and may then write again: a stamp
		// given now could be the later one.
		done(PutReply{Code: CodeUnavailable})
		return
	}
	stamp := m.stampAbove(op.Key, held)
	w := &writing{key: op.Key, deadline: deadline, done: done, claims: claims, acked: map[ID]bool{}, asked: map[ID]bool{}, epoch: m.repair.epoch}
	for _, c := range claims {
		if c.Complete {
			w.base = max(w.base, c.Epoch)
		}
	}
	for _, u := range op.Updates {
		e := Entry{Value: u.Value, Stamp: stamp}
		if u.TTL > 0 {
			e.Expires = m.ringMillis() + u.TTL.Milliseconds()
		}
		if u.Delete {
			e = Entry{Stamp: stamp, Deleted: true}
			if op.Key.Class() == Soft {
				e.Expires = m.ringMillis() + softDeleteFor.Milliseconds()
				if held, ok := m.field(op.Key, u.Name); ok {
					e.Expires = max(e.Expires, held.Expires)
				}
			}
		}
		w.fields = append(w.fields, Field{Name: u.Name, Entry: e})
	}
	m.push(w)
}

// push sends a write to the replicas that lack it, judges it, and comes back
// until it is acknowledged or the deadline has passed: repair or gossip may
// meanwhile change who counts.
func (m *Member) push(w *writing) {
	if w.ended {
		return
	}
	for _, r := range m.writeSet(w.key.Class()) {
		if w.acked[r.ID] || w.asked[r.ID] {
			continue
		}
		w.asked[r.ID] = true
		m.serial++
		flight := m.serial
		m.repair.flying[flight] = r.ID
		m.mergeWrite(r, w.key, w.fields, func(reply Merged) {
			delete(m.repair.flying, flight)
			w.acked[r.ID] = reply.Code == CodeOK
			if later := reply.Claim.latest(); w.claims != nil && later > w.base && !m.answersFor(later) {
				m.beginAnew(w) // it counts by what is over
			}
			if reply.Held >= w.fields[0].Stamp && m.keeps(aboveHeld) {
				m.outrun(w, reply.Held)
			}
			if reply.Code != CodeOK {
				w.failed = reply.Code
				m.repair.missed(r)
				m.after(rewrite, func() {
					w.asked[r.ID] = false
					m.push(w)
				})
			}
			m.judge(w)
		})
	}
	if w.timer == nil && !w.ended {
		w.timer = m.after(w.deadline.Sub(m.now), func() { m.giveUp(w) })
		m.writes[w] = m.serial
	}
	m.judge(w)
}

// mergeAt merges fields into a member's store, this one's or another's.
func (m *Member) mergeAt(r Ref, key Key, fields []Field, done func(Code)) {
	m.mergeWrite(r, key, fields, func(reply Merged) { done(reply.Code) })
}

// mergeWrite is mergeAt that gives the whole answer.
func (m *Member) mergeWrite(r Ref, key Key, fields []Field, done func(Merged)) {
	if r.ID == m.self.ID {
		for _, f := range fields {
			m.clock.observe(f.Stamp, m.ringMillis())
		}
		held, _ := m.heldStamp(key, fields)
		m.store(StoreOp{Kind: StoreMerge, Key: key, Merge: fields}, func(err error) {
			if err != nil {
				done(Merged{Code: CodeStore})
				return
			}
			done(Merged{Held: held})
		})
		return
	}
	m.call(r, storeTimeout, MergeFields{Key: key, Fields: fields}, func(b Body, err error) {
		switch reply, ok := b.(Merged); {
		case ok:
			if m.owns(HashKey(key)) {
				m.overtaken(reply.Claim)
			}
			done(reply)
		default:
			done(Merged{Code: CodeUnavailable})
		}
	})
}

// copies counts who has a write: in all, and among those whose word counts, of
// whom want must have it. Before this member has granted its range, those are
// the ones that claim the newest epoch of it.
func (m *Member) copies(w *writing) (all, counting, want int) {
	for _, ok := range w.acked {
		if ok {
			all++
		}
	}
	class := w.key.Class()
	want = m.quorum(class).W
	switch config := m.repair.config; {
	case class == Soft:
		return all, w.ackedBy(m.writeSet(Soft)), want
	case len(config) > 0:
		counting = w.ackedBy(config)
	default:
		q, known := m.newestQuorum(w.claims)
		if !known {
			return all, 0, max(q.W, want)
		}
		for id, c := range w.claims {
			if c.Complete && c.Epoch == w.base && w.acked[id] {
				counting++
			}
		}
		want = q.W
	}
	for _, next := range m.repair.attempts {
		if w.ackedBy(next.set) < min(want, len(next.set)) {
			counting = min(counting, want-1) // those who may count next must have it as well
		}
	}
	if !m.keeps(ackAtW) {
		want = max(1, want-1)
	}
	return all, counting, want
}

func (w *writing) ackedBy(set []Ref) (n int) {
	for _, r := range set {
		if w.acked[r.ID] {
			n++
		}
	}
	return n
}

// judge ends a write that enough replicas have.
func (m *Member) judge(w *writing) {
	if w.ended {
		return
	}
	if !m.owns(HashKey(w.key)) {
		// The range went to another while this was under way. That one may not
		// have seen the write, so it is not acknowledged from here.
		m.beginAnew(w)
		return
	}
	class := w.key.Class()
	all, counting, want := m.copies(w)
	settled := true
	for _, r := range m.writeSet(class) {
		if _, known := w.acked[r.ID]; !known {
			settled = false
		}
	}
	switch {
	case counting >= want && class == Hard && all < QuorumOf(Hard, m.size()).W && !w.waited:
		// Enough for the ring as it was. It is growing just now, and the
		// newcomers have been sent the write too: their copies are worth a wait.
		if w.growing == nil {
			w.growing = m.after(growPatience, func() {
				w.waited = true
				m.judge(w)
			})
		}
	case counting >= want:
		if class == Hard && m.outrunHere(w) {
			return
		}
		m.endWrite(w, PutReply{Stamp: w.fields[0].Stamp, Copies: all, Want: want})
	case class == Soft && settled && all > 0:
		m.endWrite(w, PutReply{Stamp: w.fields[0].Stamp, Copies: all, Want: want}) // best effort
	}
}

// rejudge looks at every write under way again, and sends it to those who have
// newly come to count: the range or its replicas have changed.
func (m *Member) rejudge() {
	for _, w := range m.underWay() {
		m.push(w)
	}
}

// underWay lists the writes that have no end yet, oldest first.
func (m *Member) underWay() []*writing {
	list := make([]*writing, 0, len(m.writes))
	for w := range m.writes {
		list = append(list, w)
	}
	slices.SortFunc(list, func(a, b *writing) int { return cmp.Compare(m.writes[a], m.writes[b]) })
	return list
}

// outrun has a write begin again with a higher stamp: a replica held another one
// of its field as late or later, acknowledged perhaps before this write began, by another
// who took itself for the owner or had another idea of the time.
func (m *Member) outrun(w *writing, held Stamp) {
	if w.ended || w.key.Class() == Soft {
		return
	}
	m.clock.observe(held, m.ringMillis())
	m.ahead[w.key] = max(m.ahead[w.key], held)
	m.beginAnew(w)
}

// outrunHere has a write begin again that was stamped before this member granted
// its range last, if what the replicas had then brought is later: others may have
// acknowledged it on their side of a partition, by the grant before.
func (m *Member) outrunHere(w *writing) bool {
	if w.epoch == m.repair.epoch {
		return false
	}
	w.epoch = m.repair.epoch
	held, _ := m.heldStamp(w.key, w.fields)
	if held < w.fields[0].Stamp {
		return false
	}
	m.outrun(w, held)
	return true
}

// restartWrites has the writes that this member stamped as the complete owner
// of its range begin again, as it is no longer that: another may meanwhile
// have acknowledged writes with higher stamps.
func (m *Member) restartWrites() {
	for _, w := range m.underWay() {
		if w.key.Class() == Hard && w.claims == nil {
			m.beginAnew(w)
		}
	}
}

// giveUp ends a write that did not reach its quorum in time: it stays where it
// arrived, but is not acknowledged.
func (m *Member) giveUp(w *writing) {
	all, _, want := m.copies(w)
	code := CodeDegraded
	switch {
	case all == 0 && w.failed == CodeStore:
		code = CodeStore
	case all == 0:
		code = CodeUnavailable
	}
	m.endWrite(w, PutReply{Code: code, Stamp: w.fields[0].Stamp, Copies: min(all, want-1), Want: want})
}

// beginAnew ends a write here that is to be tried again by whoever owns the range
// now, this member perhaps.
func (m *Member) beginAnew(w *writing) {
	m.endWrite(w, PutReply{Code: CodeNotOwner, Stamp: w.fields[0].Stamp})
}

func (m *Member) endWrite(w *writing, r PutReply) {
	if w.ended {
		return
	}
	w.ended = true
	delete(m.writes, w)
	m.timers.stop(w.timer)
	m.timers.stop(w.growing)
	w.done(r)
}
