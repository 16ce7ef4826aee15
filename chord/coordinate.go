package chord

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	// storeTimeout is how long a replica may take to make a write durable.
	storeTimeout = 3 * time.Second
	// growPatience is how long an acknowledgement waits for the copies that a
	// ring which is just growing will ask for.
	growPatience = time.Second
	// stampWithin is for how long an owner that another member has passed a write
	// to may give it a stamp. If its answer is not to be had, the other passes the
	// write on to the next owner after that, not before: one that was stamped late
	// would override what others have written and had acknowledged since.
	stampWithin = 2 * time.Second
	// lastStamp is how long before its deadline a write is stamped at the latest.
	lastStamp = 50 * time.Millisecond
	// lastTry is how long before its deadline a write that has found no quorum of
	// claims is stored all the same, where it can be.
	lastTry = 2 * time.Second
	// rewrite is the pause before a replica that failed is tried again.
	rewrite = 250 * time.Millisecond
	// softDeleteFor is how long a soft field's tombstone is kept at least. If
	// the field itself would have lived longer, so does the tombstone: a replica
	// that missed the delete must not bring the field back.
	softDeleteFor = 60 * time.Second
	// maxTTL is the longest life that a field with an end may be given.
	maxTTL = 24 * time.Hour
)

// host is the part of a member's address that tells machines apart.
func host(r Ref) string {
	if ap, err := netip.ParseAddrPort(r.Addr); err == nil {
		return ap.Addr().String()
	}
	h, _, _ := strings.Cut(r.Addr, ":")
	return h
}

// replicas gives the members that should hold this member's range: itself and
// the n-1 that follow, on distinct hosts while there are enough of those.
func (m *Member) replicas(n int) []Ref {
	set := []Ref{m.self}
	hosts := map[string]bool{host(m.self): true}
	for _, r := range m.succ {
		if len(set) < n && !hosts[host(r)] {
			hosts[host(r)] = true
			set = append(set, r)
		}
	}
	for _, r := range m.succ {
		if len(set) >= n {
			break
		}
		if !slices.ContainsFunc(set, func(s Ref) bool { return s.ID == r.ID }) {
			set = append(set, r)
		}
	}
	return set
}

// put checks a client's Put and brings it to the owner.
func (m *Member) put(op Put, patience time.Duration, done func(PutReply)) {
	if code := checkPut(op); code != CodeOK {
		done(PutReply{Code: code})
		return
	}
	if m.phase == leaving || m.phase == left {
		done(PutReply{Code: CodeLeaving})
		return
	}
	deadline := m.now.Add(patience)
	m.route(op.Key, deadline, func(owner Ref, again func(Ref)) {
		finish := func(r PutReply, hint Ref) {
			if r.Code == CodeNotOwner || r.Code == CodeLeaving {
				again(hint)
				return
			}
			done(r)
		}
		if owner.ID == m.self.ID {
			m.coordinatePut(op, deadline, deadline, func(r PutReply) { finish(r, Ref{}) })
			return
		}
		sent := m.now
		m.call(owner, deadline.Sub(m.now), ForwardPut{Op: op, Left: deadline.Sub(m.now), Sent: m.ringMillis()}, func(b Body, err error) {
			f, ok := b.(ForwardedPut)
			switch {
			case ok:
				finish(f.Reply, f.Hint)
			case errors.Is(err, errUnreachable):
				m.suspected(owner.ID)
				again(Ref{})
			default:
				// It may live, out of sight, and be at it.
				m.after(max(0, min(sent.Add(stampWithin), deadline).Sub(m.now)), func() { again(Ref{}) })
			}
		})
	}, func() { done(PutReply{Code: CodeUnavailable}) })
}

func checkPut(op Put) Code {
	for _, u := range op.Updates {
		if u.TTL < 0 || u.TTL > maxTTL || (op.Key.Class() == Soft && u.TTL == 0 && !u.Delete) {
			return CodeBadRequest // a soft field without an end would never leave memory
		}
	}
	return checkFields(op.Key, fieldsOf(op))
}

// fieldsOf gives the fields of a Put without a stamp.
func fieldsOf(op Put) []Field {
	fields := make([]Field, len(op.Updates))
	for i, u := range op.Updates {
		fields[i] = Field{Name: u.Name, Entry: Entry{Value: u.Value}}
	}
	return fields
}

// coordinatePut runs a Put at the owner: one stamp, until stampBy, every replica,
// an acknowledgement when W of those that count have it.
func (m *Member) coordinatePut(op Put, stampBy, deadline Time, done func(PutReply)) {
	if !m.owns(HashKey(op.Key)) || (m.now > stampBy && op.Key.Class() == Hard) {
		done(PutReply{Code: CodeNotOwner})
		return
	}
	if code := checkPut(op); code != CodeOK {
		done(PutReply{Code: code})
		return
	}
	if op.Key.Class() == Hard && !m.ringClock.enough(max(len(m.view), m.ring)) {
		// Its own clock may be a year off: a delete stamped by it could be forgotten
		// at once for its age, or override what is written in the year to come.
		if m.now.Add(lastStamp) >= deadline {
			done(PutReply{Code: CodeUnavailable})
			return
		}
		m.after(readAgain, func() { m.coordinatePut(op, stampBy, deadline, done) })
		return
	}
	if op.Key.Class() == Soft || (m.repair.complete && len(m.repair.config) > 0) {
		// Whatever was acknowledged in this range is held here.
		m.write(op, m.heldStamp(op.Key, fieldsOf(op)), deadline, nil, done)
		return
	}
	m.readStamps(op, func(held Stamp, claims map[ID]Claim) {
		if _, known := newestQuorum(claims); !known && m.now.Add(lastTry) < deadline {
			// Whoever has not answered may hold a higher stamp.
			m.after(readAgain, func() { m.coordinatePut(op, stampBy, deadline, done) })
			return
		}
		if m.now > stampBy {
			done(PutReply{Code: CodeNotOwner})
			return
		}
		m.write(op, held, deadline, claims, done)
	})
}

// heldStamp is the highest stamp held here of the fields with these names.
func (m *Member) heldStamp(key Key, fields []Field) (held Stamp) {
	for _, u := range fields {
		_ = m.cfg.Store.Fields(key, u.Name, "", func(f Field) bool {
			if f.Name == u.Name {
				held = max(held, f.Stamp)
			}
			return false
		})
	}
	return held
}

// readStamps gives the highest stamp that the replicas hold of the fields a
// Put changes, and what each of them claims for the key.
func (m *Member) readStamps(op Put, done func(Stamp, map[ID]Claim)) {
	waiting := 1
	held, claims := Stamp(0), map[ID]Claim{}
	end := func() {
		if waiting--; waiting == 0 {
			done(held, claims)
		}
	}
	ask := GetStamps{Key: op.Key}
	if len(op.Updates) == 1 {
		ask.Prefix = op.Updates[0].Name
	}
	seen := func(id ID, s Stamps) {
		for _, item := range s.Items {
			m.clock.observe(item.Stamp, m.ringMillis())
			if slices.ContainsFunc(op.Updates, func(u Update) bool { return u.Name == item.Name }) {
				held = max(held, item.Stamp)
			}
		}
		claims[id] = s.Claim
	}
	for _, r := range m.readSet(Hard) {
		if r.ID == m.self.ID {
			seen(r.ID, m.stamps(ask))
			continue
		}
		waiting++
		m.ask(r, ask, func(b Body, err error) {
			if s, ok := b.(Stamps); ok && s.Code == CodeOK {
				seen(r.ID, s)
			}
			end()
		})
	}
	end()
}

// newestQuorum gives the quorum of the newest epoch that is claimed, and
// whether a read quorum of that epoch is among those who claim.
func newestQuorum(claims map[ID]Claim) (q Quorum, known bool) {
	var newest Claim
	count := 0
	for _, c := range claims {
		switch {
		case !c.Complete || c.Epoch < newest.Epoch:
		case c.Epoch > newest.Epoch:
			newest, count = c, 1
		default:
			newest.Ring = max(newest.Ring, c.Ring)
			count++
		}
	}
	if !newest.Complete {
		return Quorum{}, false
	}
	q = QuorumOf(Hard, newest.Ring)
	return q, count >= max(q.R, q.N-q.R+1)
}

// writing is a Put on its way to the replicas.
type writing struct {
	key      Key
	fields   []Field
	deadline Time
	done     func(PutReply)
	claims   map[ID]Claim // of the replicas at the beginning, if the owner had not completed its range by then
	acked    map[ID]bool
	asked    map[ID]bool
	failed   Code // the last replica's refusal
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
	w := &writing{key: op.Key, deadline: deadline, done: done, claims: claims, acked: map[ID]bool{}, asked: map[ID]bool{}}
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
			if reply.Held > w.fields[0].Stamp {
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

// writeSet is everybody a write goes to: those that count now, and those that
// will once the range is repaired.
func (m *Member) writeSet(class Class) []Ref {
	set := m.replicas(QuorumOf(class, m.size()).N)
	if class == Hard {
		for _, counting := range append([][]Ref{m.repair.config}, m.repair.attempts...) {
			for _, r := range counting {
				if !slices.ContainsFunc(set, func(s Ref) bool { return s.ID == r.ID }) {
					set = append(set, r)
				}
			}
		}
	}
	return set
}

// readSet is everybody who may be asked: the writeSet, and while this member is
// still filling also those that may have held the range before others joined.
func (m *Member) readSet(class Class) []Ref {
	set := m.writeSet(class)
	if class == Hard && !m.repair.complete {
		set = m.widened(set)
	}
	return set
}

// widened adds successors behind a replica set, as many as it has members.
func (m *Member) widened(set []Ref) []Ref {
	want := 2 * len(set)
	for _, r := range m.succ {
		if len(set) < want && !slices.ContainsFunc(set, func(s Ref) bool { return s.ID == r.ID }) {
			set = append(set, r)
		}
	}
	return set
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
		m.store(StoreOp{Kind: StoreMerge, Key: key, Merge: fields}, func(err error) {
			if err != nil {
				done(Merged{Code: CodeStore})
				return
			}
			done(Merged{})
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
		q, known := newestQuorum(w.claims)
		if !known {
			return all, 0, max(q.W, want)
		}
		newest := uint64(0)
		for _, c := range w.claims {
			if c.Complete {
				newest = max(newest, c.Epoch)
			}
		}
		for id, c := range w.claims {
			if c.Complete && c.Epoch == newest && w.acked[id] {
				counting++
			}
		}
		want = q.W
	}
	for _, next := range m.repair.attempts {
		if w.ackedBy(next) < min(want, len(next)) {
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
		m.endWrite(w, PutReply{Code: CodeNotOwner})
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

// outrun has a write begin again with a higher stamp: a replica held a later
// one of its field, acknowledged perhaps before this write began, by another
// who took itself for the owner or had another idea of the time.
func (m *Member) outrun(w *writing, held Stamp) {
	if w.ended || w.key.Class() == Soft {
		return
	}
	m.clock.observe(held, m.ringMillis())
	m.ahead[w.key] = max(m.ahead[w.key], held)
	m.endWrite(w, PutReply{Code: CodeNotOwner})
}

// restartWrites has the writes that this member stamped as the complete owner
// of its range begin again, as it is no longer that: another may meanwhile
// have acknowledged writes with higher stamps.
func (m *Member) restartWrites() {
	for _, w := range m.underWay() {
		if w.key.Class() == Hard && w.claims == nil {
			m.endWrite(w, PutReply{Code: CodeNotOwner})
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

// quorum is the arithmetic that holds for this member's range now: after the
// ring as it was when the range was last repaired completely, and before that
// after the ring as gossip sees it.
func (m *Member) quorum(class Class) Quorum {
	if class == Soft {
		return QuorumOf(Soft, len(m.view))
	}
	if len(m.repair.config) == 0 {
		return QuorumOf(Hard, max(m.ring, len(m.view)))
	}
	return QuorumOf(Hard, m.ring)
}
