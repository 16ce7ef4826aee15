package chord

import "time"

// sweepEvery is how often expired soft fields are taken out of memory.
const sweepEvery = 10 * time.Second

// sweepSoft forgets what has expired: nobody is shown it any more.
func (m *Member) sweepSoft() {
	if m.phase == left {
		return
	}
	now := m.ringMillis()
	m.purgeFields(Soft, m.self.ID, m.self.ID, func(f Field) bool { return f.Expires != 0 && f.Expires <= now })
	m.forgetAhead()
	m.repair.sweep = m.after(sweepEvery, m.sweepSoft)
}

// forgetAhead forgets the keys whose last stamps stood above the clock and do so no
// more: of those that nobody writes again there would be ever more.
func (m *Member) forgetAhead() {
	now := m.fasterMillis()
	for k, ahead := range m.ahead {
		if ahead.Millis() < now {
			m.clock.observe(ahead, now) // also if ring time is put back, no stamp comes twice
			delete(m.ahead, k)
		}
	}
}

// purgeFields forgets those fields of the arc (from, to] that are over, as they
// are now: what is written to one meanwhile stays.
func (m *Member) purgeFields(class Class, from, to ID, over func(Field) bool) {
	var ops []StoreOp
	_ = m.cfg.Store.Keys(class, from, to, func(k Key) bool {
		var fields []Field
		_ = m.cfg.Store.Fields(k, "", "", func(f Field) bool {
			if over(f) {
				fields = append(fields, Field{Name: f.Name, Entry: Entry{Stamp: f.Stamp}})
			}
			return true
		})
		if len(fields) > 0 {
			ops = append(ops, StoreOp{Kind: StorePurge, Key: k, Purge: fields})
		}
		return true
	})
	for _, op := range ops {
		m.store(op, nil)
	}
}
