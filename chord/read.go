package chord

import (
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
		m.askPatient(owner, min(deadline.Sub(m.now), readPatience+2*m.cfg.MaxRTO), ForwardGet{Op: op, Left: deadline.Sub(m.now)}, func(b Body, err error) {
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
	granted  uint64 // the epoch of those who count in this round, see Member.granting
	whom     []Ref  // who is asked in this round, this member first
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
	r.granted = m.granting()
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
	case r.granted != m.granting():
		// This member's own answer is from before it had what counts now.
		m.readRound(r)
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
		m.askPatient(from, storeTimeout, GetFields{Key: key, Names: batch}, func(b Body, err error) {
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
// included, before the client is told: with them, W of those that count hold the
// winners, and a later read sees them. If one of them does not take it, that is not
// so. (In rings of fewer than five R is less than W. There a write that is not
// acknowledged may be read, and be gone again when its holders die.)
func (m *Member) writeBack(r *reading, p page, values map[string]Field, done func(ok bool)) {
	waiting, ok := 1, true
	end := func(code Code) {
		ok = ok && code == CodeOK
		if waiting--; waiting == 0 {
			done(ok)
		}
	}
	if len(p.lagging) == 0 {
		end(CodeOK)
		return
	}
	set := m.writeSet(r.op.Key.Class())
	for _, other := range r.whom {
		names := p.lagging[other.ID]
		if counts := r.answers[other.ID].Claim.Complete || listed(set, other.ID); len(names) == 0 || !counts {
			continue // one who is only asked because it might know gets no copy
		}
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
