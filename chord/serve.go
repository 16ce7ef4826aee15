package chord

import (
	"slices"
	"time"
)

// maxStamps is how many fields one Stamps page lists, maxSummary how many maps
// one Summary page.
const (
	maxStamps  = 4096
	maxSummary = 512
	// maxSummaryReads is how many bytes are read for one page, as clients wait
	// meanwhile.
	maxSummaryReads = 4 << 20
)

// serve answers another member's request. Every request gets its answer; one
// of a type that is no request is dropped.
func (m *Member) serve(env Envelope) {
	m.heardFrom(env.From.ID)
	switch b := env.Body.(type) {
	case GetNeighbors:
		if b.Known != 0 && b.Known == m.neighborsShared().hash() {
			m.reply(env, Neighbors{Same: true})
			return
		}
		m.reply(env, m.neighbors())
	case AskClock:
		m.reply(env, ClockIs{Now: m.now})
	case Rectify:
		m.reply(env, Rectified{})
		m.rectified(env.From)
	case Departing:
		m.reply(env, m.neighbors())
		m.departed(env.From, b)
	case FindOwner:
		m.reply(env, m.hint(b.Target))
	case ForwardGet:
		m.coordinateGet(b.Op, m.now.Add(m.forwarded(b.Left)), func(r GetReply) {
			m.reply(env, ForwardedGet{Reply: r, Hint: m.hintFor(b.Op.Key, r.Code)})
		})
	case ForwardPut:
		if m.passed.again(env.From.ID, env.Seq) {
			return
		}
		age := max(0, time.Duration(m.ringMillis()-b.Sent)*time.Millisecond)
		m.coordinatePut(b.Op, b.Tried, m.now.Add(stampWithin-age), m.now.Add(m.forwarded(b.Left)), func(r PutReply) {
			m.reply(env, ForwardedPut{Reply: r, Hint: m.hintFor(b.Op.Key, r.Code)})
		})
	case GetStamps:
		m.reply(env, m.stamps(b))
	case GetFields:
		m.reply(env, m.fields(b))
	case MergeFields:
		m.mergeFields(env, b)
	case Summarize:
		// Who summarizes up to its own place owns the range. A member that
		// still takes part of it for its own gives it up before it answers, so
		// that no write is acknowledged here after the other has looked.
		if env.From.ID == b.To && m.phase == member && Between(m.pred.ID, b.To, m.self.ID) {
			m.adoptPredecessor(env.From)
		}
		if b.Class == Hard && b.To == m.self.ID {
			m.offered(env.From)
		}
		if b.Class == Hard && b.To == env.From.ID && m.claims.over(b.From, b.To).Complete {
			m.inContact()
		}
		m.reply(env, m.summary(b))
	case Grant:
		m.granted(env, b)
	case Prepare:
		m.prepared(env, b)
	case Forsake:
		m.forsaken(env, b.ID)
	case Purge:
		m.purgedFor(env, b)
	}
}

// forwarded is how long an operation may take here that another member has
// passed on: less than that member waits, so that it hears how it went.
func (m *Member) forwarded(left time.Duration) time.Duration {
	return min(left, m.cfg.OpTimeout) * 9 / 10
}

// hintFor names the member to ask instead, when this one is not the owner.
func (m *Member) hintFor(key Key, code Code) Ref {
	if code != CodeNotOwner {
		return Ref{}
	}
	if r := m.guess(HashKey(key)); r.ID != m.self.ID {
		return r
	}
	return Ref{}
}

// stamps lists the fields of a map without their values.
func (m *Member) stamps(q GetStamps) Stamps {
	s := Stamps{Claim: m.claims.at(HashKey(q.Key))}
	limit := maxStamps
	if q.Limit > 0 {
		limit = min(limit, q.Limit)
	}
	err := m.cfg.Store.Fields(q.Key, q.Prefix, q.After, func(f Field) bool {
		if len(s.Items) == limit {
			s.More = true
			return false
		}
		m.clock.observe(f.Stamp, m.ringMillis())
		s.Items = append(s.Items, stampOf(f))
		return true
	})
	if err != nil {
		// A damaged field cannot be vouched for, nor anything beside it.
		s.Code, s.Claim = CodeNotReady, Claim{}
	}
	return s
}

func stampOf(f Field) FieldStamp {
	return FieldStamp{Name: f.Name, Stamp: f.Stamp, Expires: f.Expires, Deleted: f.Deleted, Size: len(f.Value)}
}

// newer reports whether a would win over b in Merge, as far as that can be
// told without the values.
func newer(a, b FieldStamp) bool {
	if a.Stamp != b.Stamp {
		return a.Stamp > b.Stamp
	}
	if a.Deleted != b.Deleted {
		return a.Deleted
	}
	if a.Expires != b.Expires {
		return a.Expires == 0 || (b.Expires != 0 && a.Expires > b.Expires)
	}
	return false
}

// fields reads whole fields by name, as many as fit into one message.
func (m *Member) fields(q GetFields) Fields {
	var out Fields
	size := 0
	for _, name := range q.Names {
		f, ok := m.field(q.Key, name)
		if !ok {
			continue
		}
		size += len(f.Name) + len(f.Value) + 64
		if size > MaxGetBytes && len(out.Fields) > 0 {
			break
		}
		out.Fields = append(out.Fields, f)
	}
	return out
}

// field reads one field; its value is a copy.
func (m *Member) field(key Key, name string) (Field, bool) {
	var found Field
	ok := false
	_ = m.cfg.Store.Fields(key, name, "", func(f Field) bool {
		// The first name that begins with the whole name is the name itself,
		// if it is held. A damaged one is skipped: absent.
		if f.Name == name {
			found, ok = f, true
			found.Value = slices.Clone(f.Value)
		}
		return false
	})
	return found, ok
}

// mergeFields stores what an owner sends and answers when it is durable.
func (m *Member) mergeFields(env Envelope, b MergeFields) {
	if code := checkFields(b.Key, b.Fields); code != CodeOK {
		m.reply(env, Merged{Code: code})
		return
	}
	if m.phase == left {
		m.reply(env, Merged{Code: CodeLeaving})
		return
	}
	for _, f := range b.Fields {
		m.clock.observe(f.Stamp, m.ringMillis())
	}
	held, _ := m.heldStamp(b.Key, b.Fields)
	if m.repair.handing > 0 {
		m.repair.touched = append(m.repair.touched, HashKey(b.Key))
	}
	if !m.keeps(ackDurable) {
		m.reply(env, Merged{Claim: m.claims.at(HashKey(b.Key)), Held: held})
		m.store(StoreOp{Kind: StoreMerge, Key: b.Key, Merge: b.Fields}, nil)
		return
	}
	m.store(StoreOp{Kind: StoreMerge, Key: b.Key, Merge: b.Fields}, func(err error) {
		code := CodeOK
		if err != nil {
			code = CodeStore
		}
		m.reply(env, Merged{Code: code, Claim: m.claims.at(HashKey(b.Key)), Held: held})
	})
}

// checkFields holds foreign fields to the limits.
func checkFields(key Key, fields []Field) Code {
	if len(key) == 0 || len(fields) == 0 {
		return CodeBadRequest
	}
	size := 0
	for _, f := range fields {
		size += len(f.Name) + len(f.Value)
		switch {
		case f.Name == "":
			return CodeBadRequest
		case tooLarge(f) != "":
			return CodeTooLarge
		}
	}
	if len(key) > MaxKeyBytes || size > MaxPutBytes {
		return CodeTooLarge
	}
	return CodeOK
}

// status is this member's view of itself and of the ring.
func (m *Member) status() Status {
	s := Status{
		Self:        m.self,
		State:       m.phase.String(),
		Predecessor: m.pred,
		Successors:  slices.Clone(m.succ),
		Members:     slices.Clone(m.view),
		LastRepair:  m.repair.last.Millis(),
		Ring:        m.ring,
		ClockOff:    -m.ringClock.offset.Milliseconds(),
		Forgotten:   slices.Clone(m.forgotten),
		Missed:      slices.Clone(m.missed),
	}
	s.Keys, s.Bytes = m.cfg.Store.Count(Hard)
	s.SoftKeys, _ = m.cfg.Store.Count(Soft)
	if m.phase == member {
		s.UnderReplicated, s.IncompleteRanges = m.underReplicated()
	}
	s.Ranges = m.ranges()
	return s
}

// assignID makes a client id out of a stamp, unique at this member, and the
// end of the member's own id: 41 bits of milliseconds since the epoch, 6 of
// the counter, 16 of the member. Two members collide only if they share those
// 16 bits and the millisecond and the counter.
func (m *Member) assignID() AssignIDReply {
	s := m.nextStamp()
	ms := uint64(s.Millis()) & (1<<41 - 1)
	tail := uint64(m.self.ID[IDBytes-2])<<8 | uint64(m.self.ID[IDBytes-1])
	return AssignIDReply{ClientID: ms<<22 | (uint64(s)&63)<<16 | tail}
}
