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
	var ops []StoreOp
	_ = m.cfg.Store.Keys(Soft, m.self.ID, m.self.ID, func(k Key) bool {
		var expired []Field
		_ = m.cfg.Store.Fields(k, "", "", func(f Field) bool {
			if f.Expires != 0 && f.Expires <= now {
				expired = append(expired, Field{Name: f.Name, Entry: Entry{Stamp: f.Stamp}})
			}
			return true
		})
		if len(expired) > 0 {
			ops = append(ops, StoreOp{Kind: StorePurge, Key: k, Purge: expired})
		}
		return true
	})
	for _, op := range ops {
		m.store(op, nil)
	}
	m.repair.sweep = m.after(sweepEvery, m.sweepSoft)
}
