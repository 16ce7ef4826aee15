package chord

// passage is a request by its sender and number.
type passage struct {
	from ID
	seq  uint64
}

// maxPassages is how many puts are remembered: those of some seconds.
const maxPassages = 1024

// passages remembers the last puts that were passed on to this member, so that one
// that the network has doubled is carried out once: its second stamp would be
// above what was acknowledged in between.
type passages struct {
	seen  map[passage]bool
	order []passage // the oldest at next, once it is full
	next  int
}

// again reports whether a request was here before, and remembers it.
func (p *passages) again(from ID, seq uint64) bool {
	this := passage{from, seq}
	if p.seen[this] {
		return true
	}
	if p.seen == nil {
		p.seen = map[passage]bool{}
	}
	p.seen[this] = true
	if len(p.order) < maxPassages {
		p.order = append(p.order, this)
		return false
	}
	delete(p.seen, p.order[p.next])
	p.order[p.next] = this
	p.next = (p.next + 1) % maxPassages
	return false
}
