package chord

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
)

// compareWindow is how many differing maps of one comparison are mended at the
// same time: enough to share the replicas' group commits, few enough to leave
// room for clients.
const compareWindow = 8

// comparison is the outcome of comparing an arc with another member's copy.
type comparison struct {
	member   ID
	self     bool // this member itself: nothing to compare
	answered bool
	ok       bool  // both copies are equal now, as far as nothing was written meanwhile
	claim    Claim // the other's, at the beginning
	pulled   int   // maps that were newer there
	pushed   int   // maps that were newer here; handed over only if that was asked
}

// compare brings this member's copy of the arc (from, to] and other's together,
// page by page by digests, and then the differing maps field by field. A flat
// list of digests serves as the range digest: the paging is by ring order, so
// that a tree over prefixes can stand in for whole pages.
//
// With give false only what is newer at the other is taken over.
func (m *Member) compare(other Ref, class Class, from, to ID, give bool, done func(comparison)) {
	c := comparison{member: other.ID}
	var page func(after ID, first bool)
	page = func(after ID, first bool) {
		m.call(other, storeTimeout, Summarize{Class: class, From: from, To: to, After: after}, func(b Body, err error) {
			s, ok := b.(Summary)
			if !ok || s.Code != CodeOK {
				done(c)
				return
			}
			if first {
				c.claim, c.answered = s.Claim, true
			}
			theirs, end, more := s.Keys, s.End, s.More
			mine := m.summary(Summarize{Class: class, From: from, To: to, After: after})
			if mine.Code != CodeOK {
				// Damaged here: what this member lacks comes from the other.
				mine.Code = CodeOK
			}
			// The page ends where the shorter of both ends.
			if mine.More && (!more || Distance(after, mine.End).Compare(Distance(after, end)) < 0) {
				end, more = mine.End, true
			}
			keys := differing(mine.Keys, theirs, func(k Key) bool { return !more || InArc(after, HashKey(k), end) })
			m.mend(other, keys, give, &c, func(ok bool) {
				switch {
				case !ok:
					done(c)
				case more:
					page(end, false)
				default:
					c.ok = true
					done(c)
				}
			})
		})
	}
	page(from, true)
}

// differing gives the keys within the page whose digests are not equal.
func differing(mine, theirs []KeyDigest, within func(Key) bool) []Key {
	digests := map[Key][16]byte{}
	for _, k := range theirs {
		digests[k.Key] = k.Digest
	}
	var keys []Key
	for _, k := range mine {
		d, ok := digests[k.Key]
		delete(digests, k.Key)
		if (!ok || d != k.Digest) && within(k.Key) {
			keys = append(keys, k.Key)
		}
	}
	for _, k := range theirs {
		if _, left := digests[k.Key]; left && within(k.Key) {
			keys = append(keys, k.Key)
		}
	}
	return keys
}

// mend brings maps together, a few at a time.
func (m *Member) mend(other Ref, keys []Key, give bool, c *comparison, done func(bool)) {
	running, failed := 1, false
	var next func(ok bool)
	next = func(ok bool) {
		running--
		failed = failed || !ok
		for !failed && len(keys) > 0 && running < compareWindow {
			key := keys[0]
			keys = keys[1:]
			running++
			m.mendMap(other, key, give, func(pulled, pushed, ok bool) {
				if pulled {
					c.pulled++
				}
				if pushed {
					c.pushed++
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

// mendMap brings one map together with other's: the stamps tell who has the
// newer field, and only those travel.
func (m *Member) mendMap(other Ref, key Key, give bool, done func(pulled, pushed, ok bool)) {
	var pulled, pushed bool
	var page func(after string)
	page = func(after string) {
		m.call(other, storeTimeout, GetStamps{Key: key, After: after}, func(b Body, err error) {
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
			pull, push := splitNewer(mine.Items, s.Items, func(name string) bool { return !more || name <= end })
			pulled, pushed = pulled || len(pull) > 0, pushed || len(push) > 0
			if !give {
				push = nil
			}
			m.exchange(other, key, pull, push, func(ok bool) {
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
func splitNewer(mine, theirs []FieldStamp, within func(string) bool) (pull, push []string) {
	here := map[string]FieldStamp{}
	for _, f := range mine {
		here[f.Name] = f
	}
	there := map[string]bool{}
	for _, f := range theirs {
		there[f.Name] = true
		own, ok := here[f.Name]
		switch {
		case !within(f.Name):
		case !ok || newer(f, own):
			pull = append(pull, f.Name)
		case newer(own, f):
			push = append(push, f.Name)
		}
	}
	for _, f := range mine {
		if !there[f.Name] && within(f.Name) {
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
				next(rest)
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
			give()
		})
	})
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

// summary gives one page of the digests of this member's maps in an arc.
func (m *Member) summary(q Summarize) Summary {
	s := Summary{Claim: m.claims.over(q.From, q.To), End: q.To}
	err := m.cfg.Store.Keys(q.Class, q.After, q.To, func(k Key) bool {
		if len(s.Keys) == maxSummary {
			s.More = true
			s.End = HashKey(s.Keys[len(s.Keys)-1].Key)
			return false
		}
		d, err := m.digest(k)
		if err != nil {
			s.Claim = Claim{}
		}
		s.Keys = append(s.Keys, KeyDigest{Key: k, Digest: d})
		return true
	})
	if err != nil {
		s.Code, s.Claim = CodeNotReady, Claim{}
	}
	return s
}

// digest is over all that Merge looks at but the values: a stamp is given to
// one write only.
func (m *Member) digest(k Key) ([16]byte, error) {
	h := fnv.New128a()
	var num [8]byte
	err := m.cfg.Store.Fields(k, "", "", func(f Field) bool {
		binary.BigEndian.PutUint64(num[:], uint64(len(f.Name)))
		h.Write(num[:])
		h.Write([]byte(f.Name))
		binary.BigEndian.PutUint64(num[:], uint64(f.Stamp))
		h.Write(num[:])
		binary.BigEndian.PutUint64(num[:], uint64(f.Expires))
		h.Write(num[:])
		if f.Deleted {
			h.Write([]byte{1})
		} else {
			h.Write([]byte{0})
		}
		return true
	})
	return [16]byte(h.Sum(nil)), err
}
