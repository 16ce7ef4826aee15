package chord

// rule is one of the rules that the ring's correctness stands on. Tests take
// single ones from a member, to see that what checks the ring notices it.
type rule uint8

const (
	neverSelf  rule = 1 << iota // a member is not in its own successor list
	liveFirst                   // nobody becomes a first successor who has not just answered
	wholeList                   // with a first successor its whole list is taken over
	predAtJoin                  // a joiner has a predecessor from the beginning
)

// keeps reports whether the member goes by a rule: always, outside of tests.
func (m *Member) keeps(r rule) bool { return m.cfg.without&r == 0 }
