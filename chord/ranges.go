package chord

// underReplicated tells how many owned hard maps lack a copy, and how many
// ranges this member has not completed.
func (m *Member) underReplicated() (maps, ranges int) {
	r := &m.repair
	if !r.complete {
		ranges++
	}
	if r.straying {
		ranges += max(1, len(r.strays)+r.lacking)
	}
	if r.settled && r.complete {
		return 0, ranges
	}
	owned, _ := m.cfg.Store.Digest(Hard, m.pred.ID, m.self.ID) // what is damaged is not held by enough either
	return owned.Maps, ranges
}

// ranges lists how this member stands to each range it holds.
func (m *Member) ranges() []Range {
	if m.phase != member && m.phase != leaving {
		return nil
	}
	r := &m.repair
	own := Range{From: m.pred.ID, To: m.self.ID, State: Incomplete, Own: true, Epoch: r.epoch}
	switch {
	case m.phase == leaving:
		own.State = Handing
	case r.complete:
		own.State = Complete
	}
	list := []Range{own}
	claims := m.claims.without(own.From, own.To)
	for _, a := range r.strays {
		claims = claims.without(a.From, a.To)
	}
	for _, a := range claims {
		list = append(list, Range{From: a.From, To: a.To, State: Complete, Epoch: a.Epoch})
	}
	for _, a := range r.strays {
		list = append(list, Range{From: a.From, To: a.To, State: Stray})
	}
	for i := range list {
		d, _ := m.cfg.Store.Digest(Hard, list[i].From, list[i].To) // what is damaged does not count
		list[i].Maps = d.Maps
	}
	return list
}

func (m *Member) eachOwned(f func(Key)) {
	_ = m.cfg.Store.Keys(Hard, m.pred.ID, m.self.ID, func(k Key) bool { f(k); return true })
}
