package chord

import "slices"

// maxAttempts bounds the sets that are remembered of grants without success. That
// many changes of who follows whom, with not one grant in between, mean that
// nothing is acknowledged anyway.
const maxAttempts = 16

// grant tells every replica that it is complete, under a new epoch; when all
// have confirmed, they are the ones that count. A write that is sent meanwhile
// needs its copies among them too, and one that was sent before must have
// arrived.
//
// If not all confirm, some may yet go by the new epoch, beyond a partition
// perhaps: until a later grant succeeds, this member needs a quorum of both.
func (m *Member) grant(rd *round) {
	r := &m.repair
	m.given = m.nextEpoch(max(rd.epoch, m.given))
	epoch := m.given
	order := Grant{From: rd.from, To: rd.to, Epoch: epoch, Ring: rd.ring, Holders: holdersOf(rd.set)}
	if !slices.ContainsFunc(r.attempts, func(set []Ref) bool { return sameMembers(set, rd.set) }) {
		if len(r.attempts) == maxAttempts {
			r.attempts = slices.Delete(r.attempts, 0, 1)
		}
		r.attempts = append(r.attempts, rd.set)
	}
	began := m.serial
	waiting, failed := 1, false
	end := func(ok bool) {
		failed = failed || !ok
		if waiting--; waiting > 0 {
			return
		}
		if failed || !r.complete || m.phase != member || rd.from != m.pred.ID || len(r.dirty) > 0 || r.flyingSince(began, rd.set) {
			m.rejudge()
			m.nextRound(repairPause)
			return
		}
		was := m.ring
		r.epoch, r.config, r.attempts = epoch, rd.set, nil
		m.ring = rd.ring
		m.founded = m.founded && m.ring == 1
		m.claims = m.claims.with(Arc(order))
		m.saveState()
		if was != m.ring {
			m.event("ring", m.self, "range is complete on %d members of a ring of %d", len(rd.set), rd.ring)
		}
		m.repaired()
	}
	// An epoch that anybody may remember is not granted again, to others, not
	// even after a restart.
	m.saveStateThen(func(err error) {
		if err == nil {
			for _, other := range rd.set[1:] {
				waiting++
				m.call(other, storeTimeout, order, func(b Body, err error) {
					g, ok := b.(Granted)
					end(ok && g.Code == CodeOK)
				})
			}
		}
		end(err == nil)
	})
}

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
// One that is older than what is claimed here already comes late.
func (m *Member) granted(env Envelope, g Grant) {
	if held := m.claims.over(g.From, g.To); held.Complete && held.Epoch > g.Epoch {
		m.reply(env, Granted{Code: CodeNotOwner})
		return
	}
	m.claims = m.claims.with(Arc(g))
	m.noteContact()
	m.founded = m.founded && g.Ring == 1
	m.saveStateThen(func(err error) {
		if err != nil {
			m.reply(env, Granted{Code: CodeStore})
			return
		}
		m.reply(env, Granted{})
	})
}
