package chord

import "slices"

// page is what the answers together say of one page of a map.
type page struct {
	names   []string
	best    map[string]FieldStamp
	holder  map[string]ID // who has the best; this member if it does
	lagging map[ID][]string
	more    bool
}

// merged lays the answers on top of each other.
func (m *Member) merged(r *reading) page {
	p := page{best: map[string]FieldStamp{}, holder: map[string]ID{}, lagging: map[ID][]string{}}
	ids := make([]ID, 0, len(r.answers))
	for id := range r.answers {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, ID.Compare)
	// Nobody has vouched for names behind the end of a page that was cut off.
	horizon, cut := "", false
	for _, id := range ids {
		if a := r.answers[id]; a.More && len(a.Items) > 0 {
			if last := a.Items[len(a.Items)-1].Name; !cut || last < horizon {
				horizon, cut = last, true
			}
		}
	}
	p.more = cut
	for _, id := range ids {
		for _, item := range r.answers[id].Items {
			if cut && item.Name > horizon {
				break
			}
			best, known := p.best[item.Name]
			if !known {
				p.names = append(p.names, item.Name)
			}
			if !known || newer(item, best) || (id == m.self.ID && !newer(best, item)) {
				p.best[item.Name], p.holder[item.Name] = item, id
			}
		}
	}
	slices.Sort(p.names)
	for _, id := range ids {
		held := map[string]FieldStamp{}
		for _, item := range r.answers[id].Items {
			held[item.Name] = item
		}
		for _, name := range p.names {
			if item, ok := held[name]; !ok || newer(p.best[name], item) {
				p.lagging[id] = append(p.lagging[id], name)
			}
		}
	}
	return p
}

// answer makes the reply out of a page.
func (m *Member) answer(r *reading, p page, values map[string]Field, unconfirmed bool) {
	var alive []string
	for _, name := range p.names {
		if s := p.best[name]; m.live(Entry{Deleted: s.Deleted, Expires: s.Expires}) {
			alive = append(alive, name)
		}
	}
	reply := GetReply{Total: len(alive), More: p.more, Unconfirmed: unconfirmed}
	if len(alive) == 0 && !p.more && r.op.After == "" {
		reply.Code = CodeNotFound
		r.done(reply)
		return
	}
	if n := r.op.Sample; n > 0 && n < len(alive) {
		m.cfg.Rand.Shuffle(len(alive), func(i, j int) { alive[i], alive[j] = alive[j], alive[i] })
		alive = alive[:n]
		slices.Sort(alive)
	}
	limit := r.op.Limit
	if limit == 0 || limit > MaxGetBytes {
		limit = MaxGetBytes
	}
	size := 0
	for _, name := range alive {
		f, ok := values[name]
		if !ok {
			f, ok = m.field(r.op.Key, name)
		}
		if f.Stamp != p.best[name].Stamp && !unconfirmed && r.op.Key.Class() == Hard {
			// Written since the stamps were read, and nothing is known yet of who has
			// that; or damaged.
			if m.now < r.patience {
				m.readRound(r)
				return
			}
			reply.Unconfirmed = true
		}
		if !ok || !m.live(f.Entry) {
			continue // deleted since the stamps were read
		}
		size += len(f.Name) + len(f.Value)
		if size > limit && len(reply.Fields) > 0 {
			reply.More = true
			break
		}
		reply.Fields = append(reply.Fields, f)
	}
	// A page of nothing but tombstones: the next one is behind them, which the
	// caller cannot know. Go on here.
	if len(reply.Fields) == 0 && p.more {
		next := r.op
		next.After = p.names[len(p.names)-1]
		m.coordinateGet(next, r.deadline, r.done)
		return
	}
	r.done(reply)
}

// unconfirmed ends a read that found no quorum: what is there is given, marked;
// nothing there is not proof that there is nothing.
func (m *Member) unconfirmed(r *reading) {
	r.decided = true
	p := m.merged(r)
	m.collect(r, p, func(values map[string]Field, _ bool) {
		m.answer(&reading{op: r.op, deadline: r.deadline, done: func(reply GetReply) {
			if reply.Code == CodeNotFound && m.keeps(notReady) {
				reply = GetReply{Code: CodeNotReady}
			}
			r.done(reply)
		}}, p, values, true)
	})
}
