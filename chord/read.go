package chord

import (
	"cmp"
	"slices"
	"time"
)

const (
	// readPatience is how long a read waits for a quorum of complete replicas
	// before it says what it has; a range is filled well within it.
	readPatience = time.Second
	readAgain    = 50 * time.Millisecond
)

// get checks a client's Get and brings it to the owner.
func (m *Member) get(op Get, patience time.Duration, done func(GetReply)) {
	switch {
	case len(op.Key) == 0 || op.Limit < 0 || op.Sample < 0:
		done(GetReply{Code: CodeBadRequest})
		return
	case len(op.Key) > MaxKeyBytes || len(op.Prefix) > MaxFieldBytes || len(op.After) > MaxFieldBytes:
		done(GetReply{Code: CodeTooLarge})
		return
	}
	if m.phase == leaving || m.phase == left {
		done(GetReply{Code: CodeLeaving})
		return
	}
	deadline := m.now.Add(patience)
	m.route(op.Key, deadline, func(owner Ref, again func(Ref)) {
		finish := func(r GetReply, hint Ref) {
			if r.Code == CodeNotOwner || r.Code == CodeLeaving {
				again(hint)
				return
			}
			done(r)
		}
		if owner.ID == m.self.ID {
			m.coordinateGet(op, deadline, func(r GetReply) { finish(r, Ref{}) })
			return
		}
		sent := m.now
		// A read takes an owner readPatience and a few round trips.
		m.call(owner, min(deadline.Sub(m.now), readPatience+2*m.cfg.MaxRTO), ForwardGet{Op: op, Left: deadline.Sub(m.now)}, func(b Body, err error) {
			f, ok := b.(ForwardedGet)
			if !ok {
				m.unanswered(owner.ID, sent)
				again(Ref{})
				return
			}
			finish(f.Reply, f.Hint)
		})
	}, func() { done(GetReply{Code: CodeUnavailable}) })
}

// reading is a Get under way at the owner: one page of one map.
type reading struct {
	op       Get
	deadline Time // of the operation
	patience Time // until when too few answers are asked for again
	done     func(GetReply)
	round    int
	whom     []Ref // who is asked in this round, this member first
	answers  map[ID]Stamps
	waiting  int
	asked    bool // everybody, in this round
	silent   bool // somebody did not answer in this round
	decided  bool // in this round
}

// coordinateGet runs a Get at the owner: the stamps of R replicas decide which
// value wins, only what is missing here travels, and who lags gets the winner
// before the client does.
func (m *Member) coordinateGet(op Get, deadline Time, done func(GetReply)) {
	if !m.owns(HashKey(op.Key)) {
		done(GetReply{Code: CodeNotOwner})
		return
	}
	r := &reading{op: op, deadline: deadline, patience: min(deadline, m.now.Add(readPatience)), done: done}
	m.readRound(r)
}

func (m *Member) readRound(r *reading) {
	if !m.owns(HashKey(r.op.Key)) {
		// The range has changed hands since: what counts in the one held now
		// says nothing about this key.
		r.done(GetReply{Code: CodeNotOwner})
		return
	}
	r.round++
	r.decided, r.silent, r.asked, r.waiting = false, false, false, 0
	ask := GetStamps{Key: r.op.Key, Prefix: r.op.Prefix, After: r.op.After}
	r.whom, r.answers = []Ref{m.self}, map[ID]Stamps{m.self.ID: m.stamps(ask)}
	if m.enough(r) {
		m.resolve(r)
		return
	}
	round := r.round
	r.whom = m.readSet(r.op.Key.Class())
	for _, other := range r.whom[1:] {
		r.waiting++
		m.ask(other, ask, func(b Body, err error) {
			if r.round != round || r.decided {
				return
			}
			r.waiting--
			if s, ok := b.(Stamps); ok && s.Code == CodeOK {
				for _, item := range s.Items {
					m.clock.observe(item.Stamp, m.ringMillis())
				}
				r.answers[other.ID] = s
				if r.op.Key.Class() == Hard && m.owns(HashKey(r.op.Key)) {
					m.overtaken(s.Claim)
				}
			} else {
				r.silent = true
			}
			m.decide(r)
		})
	}
	r.asked = true
	if r.waiting == 0 {
		m.decide(r)
	}
}

func (m *Member) decide(r *reading) {
	switch {
	case !m.owns(HashKey(r.op.Key)):
		r.decided = true
		r.done(GetReply{Code: CodeNotOwner})
	case m.enough(r):
		m.resolve(r)
	case r.waiting > 0:
	case m.now < r.patience && m.phase == member:
		r.decided = true
		m.after(readAgain, func() { m.readRound(r) })
	default:
		m.unconfirmed(r)
	}
}

// enough reports whether the answers make a read quorum.
func (m *Member) enough(r *reading) bool {
	if r.op.Key.Class() == Soft {
		return len(r.answers) >= m.quorum(Soft).R
	}
	for _, set := range m.repair.attempts {
		count := 0
		for _, c := range set {
			if s, ok := r.answers[c.ID]; ok && s.Code == CodeOK {
				count++
			}
		}
		if count < QuorumOf(Hard, len(set)).R {
			return false
		}
	}
	if len(m.repair.config) > 0 {
		count := 0
		for _, c := range m.repair.config {
			if s, ok := r.answers[c.ID]; ok && (c.ID == m.self.ID || s.Claim.Complete) && s.Code == CodeOK {
				count++
			}
		}
		return count >= m.quorum(Hard).R
	}
	// This member has granted the range to nobody yet: the claims that others
	// granted before decide.
	var claims []Claim
	heard := map[ID]bool{}
	for id, s := range r.answers {
		claims = append(claims, s.Claim)
		heard[id] = true
	}
	_, ok := m.vouched(claims, heard, max(m.ring, m.size()), r.asked && r.waiting == 0 && !r.silent && m.viewStable() && m.listFits())
	return ok
}

// vouched reports whether claims make a read quorum among themselves. R of
// those of the newest epoch do. If fewer claim it although everybody in a view
// that has not just changed was asked and has answered (all), and at most N-R of
// its holders are not among those heard, then that epoch never came into force, or
// more members are gone than the promises cover: an epoch in force was granted to
// all N, and N less two dead is R, or fewer by an operator's word (see needed). Who
// has it was complete then all the same, so such claims count among those of the
// epoch before, and so on.
//
// ring is the size of the ring as the judging member knows it: old claims may
// be from when it was smaller. base is the oldest epoch that was counted.
func (m *Member) vouched(claims []Claim, heard map[ID]bool, ring int, all bool) (base uint64, ok bool) {
	var parts []Claim // of the range, by who does not have all of it
	claims = slices.DeleteFunc(slices.Clone(claims), func(c Claim) bool {
		if !c.Complete && c.Newest > 0 {
			parts = append(parts, c)
		}
		return !c.Complete
	})
	slices.SortStableFunc(claims, func(a, b Claim) int { return cmp.Compare(b.Epoch, a.Epoch) })
	for _, id := range m.forgotten {
		heard[id] = true // nothing more will be heard
	}
	for i, c := range claims {
		ring = max(ring, c.Ring)
		for _, p := range parts {
			if p.Newest > c.Epoch {
				ring = max(ring, p.Ring) // the ring has gone on since, and how far is not known
			}
		}
		last := i+1 == len(claims) || claims[i+1].Epoch != c.Epoch
		q := QuorumOf(Hard, ring)
		// In a partition, the others may well claim it.
		all = all && c.Holders.without(heard) <= q.N-q.R
		if all {
			q.R = m.needed(q)
		} else {
			// Those who were left out when the set last changed, at most N-R,
			// may be the ones who have answered.
			q.R = max(q.R, q.N-q.R+1)
		}
		if last && i+1 >= q.R {
			return c.Epoch, true
		}
		if last && !all {
			return 0, false
		}
	}
	return 0, false
}

// page is what the answers together say of one page of a map.
type page struct {
	names   []string
	best    map[string]FieldStamp
	holder  map[string]ID // who has the best; this member if it does
	lagging map[ID][]string
	more    bool
}

// merged lays the answers on top of each other.
func (m *Member) merged(r *reading) page {
	p := page{best: map[string]FieldStamp{}, holder: map[string]ID{}, lagging: map[ID][]string{}}
	ids := make([]ID, 0, len(r.answers))
	for id := range r.answers {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, ID.Compare)
	// Nobody has vouched for names behind the end of a page that was cut off.
	horizon, cut := "", false
	for _, id := range ids {
		if a := r.answers[id]; a.More && len(a.Items) > 0 {
			if last := a.Items[len(a.Items)-1].Name; !cut || last < horizon {
				horizon, cut = last, true
			}
		}
	}
	p.more = cut
	for _, id := range ids {
		for _, item := range r.answers[id].Items {
			if cut && item.Name > horizon {
				break
			}
			best, known := p.best[item.Name]
			if !known {
				p.names = append(p.names, item.Name)
			}
			if !known || newer(item, best) || (id == m.self.ID && !newer(best, item)) {
				p.best[item.Name], p.holder[item.Name] = item, id
			}
		}
	}
	slices.Sort(p.names)
	for _, id := range ids {
		held := map[string]FieldStamp{}
		for _, item := range r.answers[id].Items {
			held[item.Name] = item
		}
		for _, name := range p.names {
			if item, ok := held[name]; !ok || newer(p.best[name], item) {
				p.lagging[id] = append(p.lagging[id], name)
			}
		}
	}
	return p
}

// resolve answers a read whose quorum is there.
func (m *Member) resolve(r *reading) {
	r.decided = true
	p := m.merged(r)
	m.collect(r, p, func(values map[string]Field, ok bool) {
		if !ok {
			if m.now < r.patience {
				m.after(readAgain, func() { m.readRound(r) })
				return
			}
			r.done(GetReply{Code: CodeUnavailable})
			return
		}
		if !m.keeps(writeBack) {
			m.answer(r, p, values, false)
			return
		}
		m.writeBack(r, p, values, func(ok bool) {
			if !ok && m.now < r.patience {
				m.after(readAgain, func() { m.readRound(r) })
				return
			}
			m.answer(r, p, values, !ok)
		})
	})
}

// collect fetches the fields whose winner is not held here.
func (m *Member) collect(r *reading, p page, done func(map[string]Field, bool)) {
	values := map[string]Field{}
	missing := map[ID][]string{}
	for _, name := range p.names {
		if h := p.holder[name]; h != m.self.ID {
			missing[h] = append(missing[h], name)
		}
	}
	if len(missing) == 0 {
		done(values, true)
		return
	}
	waiting, failed := 0, false
	for _, other := range r.whom {
		names := missing[other.ID]
		if len(names) == 0 {
			continue
		}
		waiting++
		m.fetch(other, r.op.Key, names, func(fields []Field, ok bool) {
			failed = failed || !ok
			for _, f := range fields {
				values[f.Name] = f
			}
			if waiting--; waiting == 0 {
				done(values, !failed)
			}
		})
	}
	if waiting == 0 {
		done(values, false)
	}
}

// fetch gets fields by name from a replica, message by message.
func (m *Member) fetch(from Ref, key Key, names []string, done func([]Field, bool)) {
	var got []Field
	var next func(names []string)
	next = func(names []string) {
		if len(names) == 0 {
			done(got, true)
			return
		}
		batch := names[:min(len(names), maxStamps)]
		m.call(from, storeTimeout, GetFields{Key: key, Names: batch}, func(b Body, err error) {
			f, ok := b.(Fields)
			if !ok || f.Code != CodeOK || len(f.Fields) == 0 {
				done(got, false)
				return
			}
			// Replies keep the order asked for; what did not fit is behind the
			// last one. A name that is gone there meanwhile is passed over.
			last := f.Fields[len(f.Fields)-1].Name
			i := slices.Index(names, last)
			if i < 0 {
				done(got, false)
				return
			}
			got = append(got, f.Fields...)
			next(names[i+1:])
		})
	}
	next(names)
}

// writeBack gives the winners to those who answered with less, this member
// included, before the client is told: a later read cannot see older ones. If one
// of them does not take it, that is not so.
func (m *Member) writeBack(r *reading, p page, values map[string]Field, done func(ok bool)) {
	waiting, ok := 1, true
	end := func(code Code) {
		ok = ok && code == CodeOK
		if waiting--; waiting == 0 {
			done(ok)
		}
	}
	for _, other := range r.whom {
		names := p.lagging[other.ID]
		counts := r.answers[other.ID].Claim.Complete || slices.ContainsFunc(m.writeSet(r.op.Key.Class()), func(w Ref) bool { return w.ID == other.ID })
		if len(names) == 0 || !counts {
			continue // one who is only asked because it might know gets no copy
		}
		delete(p.lagging, other.ID)
		for _, batch := range m.batches(r.op.Key, names, values) {
			waiting++
			m.mergeAt(other, r.op.Key, batch, end)
		}
	}
	end(CodeOK)
}

// batches reads fields, from what was fetched or from the store, in portions
// that fit into a message.
func (m *Member) batches(key Key, names []string, values map[string]Field) [][]Field {
	var out [][]Field
	size := 0
	for _, name := range names {
		f, ok := values[name]
		if !ok {
			if f, ok = m.field(key, name); !ok {
				continue
			}
		}
		n := len(f.Name) + len(f.Value)
		if len(out) == 0 || size+n > MaxPutBytes {
			out, size = append(out, nil), 0
		}
		out[len(out)-1] = append(out[len(out)-1], f)
		size += n
	}
	return out
}

// answer makes the reply out of a page.
func (m *Member) answer(r *reading, p page, values map[string]Field, unconfirmed bool) {
	var alive []string
	for _, name := range p.names {
		if s := p.best[name]; m.live(Entry{Deleted: s.Deleted, Expires: s.Expires}) {
			alive = append(alive, name)
		}
	}
	reply := GetReply{Total: len(alive), More: p.more, Unconfirmed: unconfirmed}
	if len(alive) == 0 && !p.more && r.op.After == "" {
		reply.Code = CodeNotFound
		r.done(reply)
		return
	}
	if n := r.op.Sample; n > 0 && n < len(alive) {
		m.cfg.Rand.Shuffle(len(alive), func(i, j int) { alive[i], alive[j] = alive[j], alive[i] })
		alive = alive[:n]
		slices.Sort(alive)
	}
	limit := r.op.Limit
	if limit == 0 || limit > MaxGetBytes {
		limit = MaxGetBytes
	}
	size := 0
	for _, name := range alive {
		f, ok := values[name]
		if !ok {
			f, ok = m.field(r.op.Key, name)
		}
		if f.Stamp != p.best[name].Stamp && !unconfirmed && r.op.Key.Class() == Hard {
			// Written since the stamps were read, and nothing is known yet of who has
			// that; or damaged.
			if m.now < r.patience {
				m.readRound(r)
				return
			}
			reply.Unconfirmed = true
		}
		if !ok || !m.live(f.Entry) {
			continue // deleted since the stamps were read
		}
		size += len(f.Name) + len(f.Value)
		if size > limit && len(reply.Fields) > 0 {
			reply.More = true
			break
		}
		reply.Fields = append(reply.Fields, f)
	}
	// A page of nothing but tombstones: the next one is behind them, which the
	// caller cannot know. Go on here.
	if len(reply.Fields) == 0 && p.more {
		next := r.op
		next.After = p.names[len(p.names)-1]
		m.coordinateGet(next, r.deadline, r.done)
		return
	}
	r.done(reply)
}

// unconfirmed ends a read that found no quorum: what is there is given, marked;
// nothing there is not proof that there is nothing.
func (m *Member) unconfirmed(r *reading) {
	r.decided = true
	p := m.merged(r)
	m.collect(r, p, func(values map[string]Field, _ bool) {
		m.answer(&reading{op: r.op, deadline: r.deadline, done: func(reply GetReply) {
			if reply.Code == CodeNotFound && m.keeps(notReady) {
				reply = GetReply{Code: CodeNotReady}
			}
			r.done(reply)
		}}, p, values, true)
	})
}
