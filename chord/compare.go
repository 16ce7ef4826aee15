package chord

// comparison is the outcome of comparing an arc with another member's copy.
type comparison struct {
	answered bool
	ok       bool  // both copies are equal now, as far as nothing was written meanwhile
	claim    Claim // the other's, at the beginning
	claims   arcs  // what that is made of
	pulled   int   // maps that were newer there
	pushed   int   // maps that were newer here; handed over only if that was asked
}

// listAtMost is how many maps an arc may hold for them to be compared one by
// one; of a fuller one the parts are looked at first.
const listAtMost = 256

// compare brings this member's copy of the range (from, to] and other's
// together: down the Merkle trees of both, into the parts of the ring whose
// digests differ, there map by map, and then field by field. Equal copies take
// one question and a short answer.
//
// With give false only what is newer at the other is taken over.
func (m *Member) compare(other Ref, class Class, from, to ID, give bool, done func(comparison)) {
	c := &comparing{
		m: m, other: other, class: class, from: from, to: to, give: give,
		done: done,
	}
	c.parts(from, to, func() {
		c.result.ok = true
		done(c.result)
	})
}

// comparing is a comparison under way. Its steps end with a call of what comes
// after them, or of done if something failed.
type comparing struct {
	m        *Member
	other    Ref
	class    Class
	from, to ID
	give     bool
	result   comparison
	purged   Stamp // the other's
	done     func(comparison)
}

// ask gets the other's summary of an arc.
func (c *comparing) ask(after, end ID, list bool, then func(Summary)) {
	q := Summarize{Class: c.class, From: c.from, To: c.to, After: after, End: end, List: list}
	q.Digest, _ = c.m.cfg.Store.Digest(c.class, after, end) // what is damaged here is not held
	c.m.call(c.other, storeTimeout, q, func(b Body, err error) {
		s, ok := b.(Summary)
		if !ok || s.Code != CodeOK {
			c.done(c.result)
			return
		}
		c.purged = s.Purged
		if !c.result.answered {
			c.result.claim, c.result.claims, c.result.answered = s.Claim, s.claims(c.from, c.to), true
		}
		then(s)
	})
}

// parts compares an arc by the digests of its parts.
func (c *comparing) parts(after, end ID, then func()) {
	c.ask(after, end, false, func(theirs Summary) {
		if theirs.Equal {
			then()
			return
		}
		ends := parts(after, end)
		if len(theirs.Parts) != len(ends) {
			c.done(c.result) // not as it was asked
			return
		}
		i := 0
		var next func()
		next = func() {
			for i < len(ends) {
				from, part := after, theirs.Parts[i]
				if i > 0 {
					from = ends[i-1]
				}
				to := ends[i]
				i++
				// What is damaged here is not held, and comes from the other.
				mine, err := c.m.cfg.Store.Digest(c.class, from, to)
				switch {
				case err == nil && mine == part:
					continue
				case max(mine.Maps, part.Maps) <= listAtMost || len(ends) == 1:
					c.list(from, to, part.Maps == 0, next)
				default:
					c.parts(from, to, next)
				}
				return
			}
			then()
		}
		next()
	})
}

// parts gives the ends of the equal parts that an arc is divided into for a
// summary: 16, or 1 if it is too short for that.
func parts(after, end ID) []ID {
	step := sixteenth(Distance(after, end))
	if step == (ID{}) {
		return []ID{end}
	}
	ends := make([]ID, 16)
	for i := range ends {
		after = plus(after, step)
		ends[i] = after
	}
	ends[15] = end
	return ends
}

// list compares an arc map by map, page by page. The other may be known to
// hold nothing of it.
func (c *comparing) list(after, end ID, nothing bool, then func()) {
	page := func(theirs Summary) {
		mine := c.m.listMaps(c.class, after, end)
		stop, more := theirs.End, theirs.More
		// The page ends where the shorter of both ends.
		if mine.More && (!more || Distance(after, mine.End).Compare(Distance(after, stop)) < 0) {
			stop, more = mine.End, true
		}
		keys := differing(mine.Keys, theirs.Keys, func(k Key) bool { return !more || InArc(after, HashKey(k), stop) })
		c.m.mend(c, keys, func(ok bool) {
			switch {
			case !ok:
				c.done(c.result)
			case more:
				c.list(stop, end, nothing, then)
			default:
				then()
			}
		})
	}
	if nothing {
		page(Summary{End: end})
		return
	}
	c.ask(after, end, true, page)
}

// differing gives the keys within the page whose digests are not equal.
func differing(mine, theirs []KeyDigest, within func(Key) bool) []Key {
	digests := map[Key]Digest{}
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

// summary answers Summarize.
func (m *Member) summary(q Summarize) Summary {
	var s Summary
	whole, err := m.cfg.Store.Digest(q.Class, q.After, q.End)
	switch {
	case q.List:
		s = m.listMaps(q.Class, q.After, q.End)
	case err == nil && whole == q.Digest:
		s.Equal = true
	default:
		after := q.After
		for _, end := range parts(q.After, q.End) {
			d, err := m.cfg.Store.Digest(q.Class, after, end)
			if err != nil {
				s.Code = CodeNotReady
			}
			s.Parts = append(s.Parts, d)
			after = end
		}
	}
	if s.Code == CodeOK {
		s.Claim, s.Claims = m.claims.over(q.From, q.To), m.claims.pieces(q.From, q.To)
	}
	s.Purged = m.purged
	s.Code = CodeOK // what is damaged is not held: that is an answer, but vouches for nothing
	return s
}

// listMaps gives a page of the digests of the single maps in (after, end].
// With CodeNotReady something in it is damaged, and counts as not held.
func (m *Member) listMaps(class Class, after, end ID) Summary {
	s, read := Summary{End: end}, 0
	err := m.cfg.Store.Keys(class, after, end, func(k Key) bool {
		if len(s.Keys) == maxSummary || read > maxSummaryReads {
			s.More = true
			s.End = HashKey(s.Keys[len(s.Keys)-1].Key)
			return false
		}
		d, size, err := digestMap(m.cfg.Store, k)
		read += size
		if err != nil {
			s.Code = CodeNotReady
		}
		s.Keys = append(s.Keys, KeyDigest{Key: k, Digest: d})
		return true
	})
	if err != nil {
		s.Code = CodeNotReady
	}
	return s
}
