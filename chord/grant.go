package chord

import "slices"

// maxAttempts bounds the sets that are remembered of grants without success. That
// many changes of who follows whom, with not one grant in between, mean that
// nothing is acknowledged anyway.
const maxAttempts = 16

// attempt is a grant that not all of its set have confirmed.
type attempt struct {
	epoch uint64 // of the first one with this set
	set   []Ref
}

// grant tells every replica that it is complete, under a new epoch; when all
// have confirmed, they are the ones that count. A write that is sent meanwhile
// needs its copies among them too, and one that was sent before must have
// arrived.
//
// It goes in two waves. First those are told who count so far, also the ones
// that will no longer, or only in a part of the range; when they know, the
// newcomers. Else, if the ring is cut between the two, newcomers could make a
// quorum of the new epoch on one side, and those who have never heard of it one of
// the old epoch on the other.
//
// If not all confirm, some may yet go by the new epoch, beyond a partition
// perhaps: until a later grant succeeds, this member needs a quorum of both.
func (m *Member) grant(rd *round, counting remaining) {
	m.given = m.nextEpoch(max(rd.epoch, m.given))
	order := Grant{From: rd.from, To: rd.to, Epoch: m.given, Ring: rd.ring, Holders: holdersOf(rd.set)}
	m.repair.attempted(order.Epoch, rd.set)
	old, newcomers := []Ref(nil), []Ref(nil) // of the set
	for _, r := range rd.set {
		if listed(counting.all, r.ID) || !m.keeps(oldFirst) {
			old = append(old, r)
		} else {
			newcomers = append(newcomers, r)
		}
	}
	first := slices.Clone(old)
	for _, r := range slices.Concat(counting.all, counting.some) {
		if !listed(first, r.ID) && m.keeps(oldFirst) {
			first = append(first, r)
		}
	}
	began := m.serial
	failed := func() {
		m.rejudge()
		m.nextRound(repairPause)
	}
	// An epoch that anybody may remember is not granted again, to others, not
	// even after a restart.
	m.claims = m.claims.telling(rd.from, rd.to, order.intent())
	m.saveStateThen(func(err error) {
		if err != nil {
			failed()
			return
		}
		m.announce(order, old, first, func(ok bool) {
			if !ok {
				failed()
				return
			}
			m.announce(order, newcomers, newcomers, func(ok bool) {
				r := &m.repair
				if !ok || !m.stands(rd) || !r.complete || len(r.dirty) > 0 || r.flyingSince(began, rd.set) {
					failed()
					return
				}
				m.inForce(order, rd.set)
			})
		})
	})
}

// attempted notes that a set may come to count.
func (r *repairState) attempted(epoch uint64, set []Ref) {
	if slices.ContainsFunc(r.attempts, func(a attempt) bool { return sameMembers(a.set, set) }) {
		return
	}
	if len(r.attempts) == maxAttempts {
		r.attempts = slices.Delete(r.attempts, 0, 1)
	}
	r.attempts = append(r.attempts, attempt{epoch, set})
}

// answersFor reports whether an epoch is this member's own and heeded in all that
// it does: by the set that counts, or as one that may.
func (m *Member) answersFor(epoch uint64) bool {
	r := &m.repair
	return epoch&(1<<markBits-1) == m.epochMark() &&
		(len(r.config) > 0 && epoch <= r.epoch || len(r.attempts) > 0 && epoch >= r.attempts[0].epoch)
}

// granting is the epoch of those who count by this member's grant; 0: it has made
// none that is in force.
func (m *Member) granting() uint64 {
	if len(m.repair.config) == 0 {
		return 0
	}
	return m.repair.epoch
}

// announce grants to those of whom who are in the set, and prepares the others for
// it; done is told whether all have confirmed.
func (m *Member) announce(order Grant, set, whom []Ref, done func(bool)) {
	waiting, failed := 1, false
	end := func(ok bool) {
		failed = failed || !ok
		if waiting--; waiting == 0 {
			done(!failed)
		}
	}
	for _, other := range whom {
		if other.ID == m.self.ID {
			continue
		}
		var body Body = order
		if !listed(set, other.ID) {
			body = Prepare{From: order.From, To: order.To, Next: order.intent()}
		}
		waiting++
		m.call(other, storeTimeout, body, func(b Body, err error) {
			g, ok := b.(Granted)
			end(ok && g.Code == CodeOK)
		})
	}
	end(true)
}

// inForce has a grant count that all of its set have confirmed.
func (m *Member) inForce(order Grant, set []Ref) {
	r := &m.repair
	was := m.ring
	r.epoch, r.config, r.attempts = order.Epoch, set, nil
	m.ring = order.Ring
	m.founded = m.founded && m.ring == 1
	m.claims = m.claims.with(order.arc())
	m.saveState()
	if was != m.ring {
		m.event("ring", m.self, "range is complete on %d members of a ring of %d", len(set), order.Ring)
	}
	m.repaired()
}

func (g Grant) arc() Arc {
	return Arc{From: g.From, To: g.To, Epoch: g.Epoch, Ring: g.Ring, Holders: g.Holders}
}

func (g Grant) intent() Intent { return Intent{g.Epoch, g.Ring, g.Holders} }

// flyingSince reports whether a write to one of the set was sent by then and
// has neither arrived nor failed.
func (r *repairState) flyingSince(serial uint64, set []Ref) bool {
	for sent, to := range r.flying {
		if sent <= serial && listed(set, to) {
			return true
		}
	}
	return false
}

// granted takes over an owner's claim and answers when it is durable: the owner
// counts on all its replicas to remember it.
//
// One that is older than what is known of here already comes late.
func (m *Member) granted(env Envelope, g Grant) {
	if m.claims.partly(g.From, g.To).highest() > g.Epoch {
		m.reply(env, Granted{Code: CodeNotOwner})
		return
	}
	m.claims = m.claims.with(g.arc())
	m.noteContact()
	m.founded = m.founded && g.Ring == 1
	m.replySaved(env)
}

// prepared notes a grant that this member is not part of, and answers when that is
// durable. Who asks it what it holds hears of it from then on.
func (m *Member) prepared(env Envelope, p Prepare) {
	if m.claims.partly(p.From, p.To).highest() > p.Next.Epoch {
		m.reply(env, Granted{Code: CodeNotOwner})
		return
	}
	m.claims = m.claims.telling(p.From, p.To, p.Next)
	m.replySaved(env)
}

// replySaved answers with Granted when the state is durable. What has changed in it
// may be about the range that this member takes for its own.
func (m *Member) replySaved(env Envelope) {
	m.overtaken(m.claims.over(m.pred.ID, m.self.ID))
	m.saveStateThen(m.confirms(env))
}

// confirms answers a request with Granted when what it asked for is durable, or
// says that it is not.
func (m *Member) confirms(env Envelope) func(error) {
	return func(err error) {
		if err != nil {
			m.reply(env, Granted{Code: CodeStore})
			return
		}
		m.reply(env, Granted{})
	}
}
