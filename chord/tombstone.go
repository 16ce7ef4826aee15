package chord

import "time"

// A deleted hard field stays as a tombstone, so that a replica which missed the
// delete does not bring the field back. Tombstones older than tombstoneLife go:
// by order of the owner, at all replicas of a range at once, after a round that
// found them equal. What was deleted before the horizon is then known to nobody,
// and whoever was away for longer must not tell of its old fields: it refills.
const (
	tombstoneLife = 10 * 24 * time.Hour
	// purgeSteps is how many steps the horizon takes in a tombstoneLife, so
	// that members seldom differ about it and purging is seldom asked for.
	purgeSteps = 10
)

// horizon is the stamp up to which tombstones may go now: it moves in steps. As
// long as only two clocks are known, and one may be wrong, it goes by the slower:
// after a power cut, the first two members of a large ring would else take each
// other for having been away.
func (m *Member) horizon() Stamp {
	now := m.ringMillis()
	if len(m.ringClock.samples) < 2 {
		now = min(now, m.now.Millis())
	}
	step := max(m.cfg.TombstoneLife.Milliseconds()/purgeSteps, 1)
	return stampAt(max(0, now-m.cfg.TombstoneLife.Milliseconds()) / step * step)
}

// orderPurge has all replicas of this member's range forget the tombstones
// that are old enough. The round that has just ended found all of them equal.
func (m *Member) orderPurge() {
	r := &m.repair
	order := Purge{From: m.pred.ID, To: m.self.ID, Horizon: m.horizon()}
	if order.Horizon <= r.purged {
		return
	}
	waiting, failed := 1, false
	end := func(ok bool) {
		failed = failed || !ok
		if waiting--; waiting > 0 || failed || order.From != m.pred.ID {
			return
		}
		// The others agree about the time: now the owner's own.
		m.purge(order, func(err error) {
			if err == nil && order.From == m.pred.ID {
				r.purged = order.Horizon
			}
		})
	}
	for _, other := range r.config[1:] {
		waiting++
		m.call(other, storeTimeout, order, func(b Body, err error) {
			g, ok := b.(Granted)
			end(ok && g.Code == CodeOK)
		})
	}
	end(true)
}

// purge forgets the tombstones of an arc up to a horizon, and remembers the
// horizon, first: who is asked about such a tombstone meanwhile knows that it
// need not be there.
func (m *Member) purge(p Purge, done func(error)) {
	m.purged = max(m.purged, p.Horizon)
	m.noteContact() // the round that led here has just compared it
	m.saveStateThen(func(err error) {
		if err != nil {
			done(err)
			return
		}
		m.purgeFields(Hard, p.From, p.To, func(f Field) bool { return f.Deleted && f.Stamp <= p.Horizon })
		done(nil)
	})
}

// purgedFor handles Purge. Only who was granted the range obeys, and only when by its
// own idea of the time the tombstones may go: an owner that is ahead asks again after
// its next round.
func (m *Member) purgedFor(env Envelope, p Purge) {
	if claim := m.claims.over(p.From, p.To); !claim.Complete || env.From.ID != p.To || p.Horizon > m.horizon() {
		m.reply(env, Granted{Code: CodeNotReady})
		return
	}
	m.purge(p, m.confirms(env))
}

// forgettable reports whether a field that only one of two copies holds is a
// tombstone that one of both has purged: it is neither given nor taken.
func forgettable(f FieldStamp, purged Stamp) bool { return f.Deleted && f.Stamp <= purged }

// purgedBy is the stamp up to which this member or another has purged. One with
// a wrong clock may have gone too far; that is not followed.
func (m *Member) purgedBy(other Stamp) Stamp { return min(max(m.purged, other), m.horizon()) }

// inContact notes that what this member holds has been compared with what the
// ring holds: nothing that it still has was deleted and purged before.
func (m *Member) inContact() {
	m.contactHere = m.now
	// Written down now and then: an older time only makes it refill sooner.
	if now := m.fasterMillis(); now-m.contact >= m.cfg.TombstoneLife.Milliseconds()/purgeSteps {
		m.contact = now
		m.saveState()
	}
}

// noteContact is inContact for who writes the state down anyway.
func (m *Member) noteContact() {
	m.contactHere = m.now
	if now := m.fasterMillis(); len(m.ringClock.samples) >= 2 || now > m.contact {
		m.contact = now // by two clocks alone it is not put back
	}
}

// fasterMillis is the time that a contact is noted by and that stamps are given by:
// as long as only two clocks are known, and one may be wrong, that of the faster. By
// one in between, a member would take itself for outdated when it comes back and goes
// by its own.
func (m *Member) fasterMillis() int64 {
	if s := m.ringClock.samples; len(s) == 1 {
		return m.now.Add(max(0, s[0].offset)).Millis()
	}
	return m.ringMillis()
}

// refillIfOutdated gives up all hard maps, if this member was last compared
// with the ring before the horizon of one of its members: among them may be what
// was deleted meanwhile. Nothing acknowledged is lost by that, as such a member
// is not counted any more. If all were away for as long, nothing was purged and
// all is kept.
func (m *Member) refillIfOutdated(purged Stamp, by Ref) {
	if m.contact == 0 || min(purged, m.horizon()) <= stampAt(m.contact) {
		return
	}
	if m.contactHere != 0 && m.now.Sub(m.contactHere) < m.cfg.TombstoneLife/2 {
		return // by its own clock it was in contact: only ring time has moved, as with a third member
	}
	m.event("refill", by, "was away for so long that %s has forgotten what was deleted meanwhile: begins with empty maps, which the ring fills", by.ID.Short())
	m.contact = m.fasterMillis()
	m.claims, m.ring = nil, max(m.ring, 2)
	var keys []Key
	_ = m.cfg.Store.Keys(Hard, m.self.ID, m.self.ID, func(k Key) bool {
		keys = append(keys, k)
		return true
	})
	m.saveState() // before the maps go: it must not vouch for what it drops
	for _, k := range keys {
		m.store(StoreOp{Kind: StoreDrop, Key: k}, nil)
	}
	m.unfilled()
}
