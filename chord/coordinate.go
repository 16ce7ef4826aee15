package chord

import (
	"errors"
	"slices"
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
	tried := Stamp(0)
	m.route(op.Key, deadline, func(owner Ref, again func(Ref)) {
		finish := func(r PutReply, hint Ref) {
			if r.Code == CodeNotOwner || r.Code == CodeLeaving {
				tried = max(tried, r.Stamp)
				again(hint)
				return
			}
			done(r)
		}
		if owner.ID == m.self.ID {
			m.coordinatePut(op, tried, deadline, deadline, func(r PutReply) { finish(r, Ref{}) })
			return
		}
		sent := m.now
		m.call(owner, deadline.Sub(m.now), ForwardPut{Op: op, Left: deadline.Sub(m.now), Sent: m.ringMillis(), Tried: tried}, func(b Body, err error) {
			f, ok := b.(ForwardedPut)
			switch {
			case ok:
				finish(f.Reply, f.Hint)
			case errors.Is(err, errUnreachable):
				m.suspected(owner.ID)
				again(Ref{})
			default:
				// It may live, out of sight, and be at it.
				if errors.Is(err, errBroken) {
					m.unanswered(owner.ID, sent)
				}
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
// an acknowledgement when W of those that count have it. tried is the highest
// stamp that it was tried with before, by another owner perhaps: some may hold it
// by that one, and would take it over what was written after this one.
func (m *Member) coordinatePut(op Put, tried Stamp, stampBy, deadline Time, done func(PutReply)) {
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
		m.after(readAgain, func() { m.coordinatePut(op, tried, stampBy, deadline, done) })
		return
	}
	counts := m.repair.complete && len(m.repair.config) > 0
	if op.Key.Class() == Soft || counts {
		// Whatever was acknowledged in this range is held here, but for what is damaged.
		if held, whole := m.heldStamp(op.Key, fieldsOf(op)); whole {
			m.write(op, max(tried, held), deadline, nil, done)
			return
		}
	}
	m.readStamps(op, func(held Stamp, claims map[ID]Claim) {
		_, known := m.newestQuorum(claims)
		if counts && (!m.repair.complete || len(m.repair.config) == 0) {
			m.coordinatePut(op, tried, stampBy, deadline, done) // no longer
			return
		}
		if counts {
			known, claims = m.othersKnow(claims), nil
		}
		if !known && m.now.Add(lastTry) < deadline {
			// Whoever has not answered may hold a higher stamp.
			m.after(readAgain, func() { m.coordinatePut(op, tried, stampBy, deadline, done) })
			return
		}
		if m.now > stampBy {
			done(PutReply{Code: CodeNotOwner})
			return
		}
		m.write(op, max(tried, held), deadline, claims, done)
	})
}

// heldStamp is the highest stamp held here of the fields with these names, but for
// those that are held as they are given; whole is false if one of them is damaged, and
// nobody here knows what stamp it had.
func (m *Member) heldStamp(key Key, fields []Field) (held Stamp, whole bool) {
	whole = true
	for _, u := range fields {
		err := m.cfg.Store.Fields(key, u.Name, "", func(f Field) bool {
			if f.Name == u.Name && !f.equal(u.Entry) {
				held = max(held, f.Stamp)
			}
			return false
		})
		whole = whole && err == nil
	}
	return held, whole
}

// othersKnow reports whether those who have answered an owner, beside itself, must
// hold what was acknowledged in its range: W of those that count do, and it may have
// been one of them.
func (m *Member) othersKnow(claims map[ID]Claim) bool {
	count := 0
	for _, c := range m.repair.config[min(1, len(m.repair.config)):] {
		if claims[c.ID].Complete {
			count++
		}
	}
	return count >= min(m.quorum(Hard).R, len(m.repair.config)-1)
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
// whether a read quorum of that epoch is among those who claim, none of whom was
// told of a later one.
func (m *Member) newestQuorum(claims map[ID]Claim) (q Quorum, known bool) {
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
	for _, c := range claims {
		if c.Next.Epoch > newest.Epoch && !m.answersFor(c.Next.Epoch) {
			return QuorumOf(Hard, max(newest.Ring, c.Next.Ring)), false
		}
	}
	q = QuorumOf(Hard, newest.Ring)
	return q, count >= max(q.R, q.N-q.R+1)
}
