package chord

import (
	"slices"
	"time"
)

// compareWindow is how many differing maps of one comparison are mended at the
// same time: enough to share the replicas' group commits, few enough to leave
// room for clients.
const compareWindow = 8

// mend brings maps together, a few at a time.
func (m *Member) mend(c *comparing, keys []Key, done func(bool)) {
	running, failed := 1, false
	var next func(ok bool)
	next = func(ok bool) {
		running--
		failed = failed || !ok
		for !failed && len(keys) > 0 && running < compareWindow {
			key := keys[0]
			keys = keys[1:]
			running++
			m.mendMap(c, key, func(pulled, pushed, ok bool) {
				if pulled {
					c.result.pulled++
				}
				if pushed {
					c.result.pushed++
				}
				next(ok)
			})
		}
		if running == 0 {
			done(!failed)
		}
	}
	next(true)
}

// mendMap brings one map together with the other's: the stamps tell who has the
// newer field, and only those travel.
func (m *Member) mendMap(c *comparing, key Key, done func(pulled, pushed, ok bool)) {
	var pulled, pushed bool
	var page func(after string)
	page = func(after string) {
		m.call(c.other, storeTimeout, GetStamps{Key: key, After: after}, func(b Body, err error) {
			s, ok := b.(Stamps)
			if !ok {
				done(pulled, pushed, false)
				return
			}
			mine := m.stamps(GetStamps{Key: key, After: after})
			end, more := "", false
			for _, side := range []Stamps{mine, s} {
				if side.More {
					if last := side.Items[len(side.Items)-1].Name; !more || last < end {
						end, more = last, true
					}
				}
			}
			pull, push := splitNewer(mine.Items, s.Items, m.purgedBy(c.purged), func(name string) bool { return !more || name <= end })
			pulled, pushed = pulled || len(pull) > 0, pushed || len(push) > 0
			if !c.give {
				push = nil
			}
			m.exchange(c.other, key, pull, push, func(ok bool) {
				if ok && more {
					page(end)
					return
				}
				done(pulled, pushed, ok)
			})
		})
	}
	page("")
}

// splitNewer tells which fields are newer at the other and which are here.
// Tombstones up to purged that one of both lacks are nobody's loss.
func splitNewer(mine, theirs []FieldStamp, purged Stamp, within func(string) bool) (pull, push []string) {
	here := map[string]FieldStamp{}
	for _, f := range mine {
		here[f.Name] = f
	}
	there := map[string]bool{}
	for _, f := range theirs {
		there[f.Name] = true
		own, ok := here[f.Name]
		switch {
		case !within(f.Name) || (!ok && forgettable(f, purged)):
		case !ok || newer(f, own):
			pull = append(pull, f.Name)
		case newer(own, f):
			push = append(push, f.Name)
		}
	}
	for _, f := range mine {
		if !there[f.Name] && within(f.Name) && !forgettable(f, purged) {
			push = append(push, f.Name)
		}
	}
	slices.Sort(push)
	return pull, push
}

// exchange takes over and hands over fields, message by message.
func (m *Member) exchange(other Ref, key Key, pull, push []string, done func(bool)) {
	give := func() {
		var next func(names []string)
		next = func(names []string) {
			batch, rest := m.firstBatch(key, names)
			if len(batch) == 0 {
				done(true)
				return
			}
			m.mergeAt(other, key, batch, func(code Code) {
				if code != CodeOK {
					done(false)
					return
				}
				m.paced(batch, func() { next(rest) })
			})
		}
		next(push)
	}
	if len(pull) == 0 {
		give()
		return
	}
	m.fetch(other, key, pull, func(fields []Field, ok bool) {
		if !ok || checkPulled(key, fields) != CodeOK {
			done(false)
			return
		}
		m.mergeAt(m.self, key, fields, func(code Code) {
			if code != CodeOK {
				done(false)
				return
			}
			m.paced(fields, give)
		})
	})
}

// paceAhead is how far transfers may run ahead of their rate.
const paceAhead = 50 * time.Millisecond

// paced goes on after a transfer, when its bytes fit into the rate of repair:
// clients come first.
func (m *Member) paced(fields []Field, then func()) {
	size := 0
	for _, f := range fields {
		size += len(f.Name) + len(f.Value)
	}
	r := &m.repair
	r.paid = max(r.paid, m.now).Add(time.Duration(int64(size) * int64(time.Second) / int64(m.cfg.RepairBytesPerSec)))
	if ahead := r.paid.Sub(m.now); ahead > paceAhead {
		m.after(ahead, then)
		return
	}
	then()
}

// firstBatch reads as many of the named fields as fit into one message.
func (m *Member) firstBatch(key Key, names []string) (batch []Field, rest []string) {
	size := 0
	for i, name := range names {
		f, ok := m.field(key, name)
		if !ok {
			continue
		}
		if size += len(f.Name) + len(f.Value); size > MaxPutBytes && len(batch) > 0 {
			return batch, names[i:]
		}
		batch = append(batch, f)
	}
	return batch, nil
}

// checkPulled holds every fetched field to the limits; together they may be
// larger than one message.
func checkPulled(key Key, fields []Field) Code {
	for i := range fields {
		if code := checkFields(key, fields[i:i+1]); code != CodeOK {
			return code
		}
	}
	return CodeOK
}
