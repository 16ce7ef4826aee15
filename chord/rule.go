package chord

// rule is one of the rules that the ring's correctness stands on. Tests take
// single ones from a member, to see that what checks the ring notices it.
type rule uint16

const (
	neverSelf  rule = 1 << iota // a member is not in its own successor list
	liveFirst                   // nobody becomes a first successor who has not just answered
	wholeList                   // with a first successor its whole list is taken over
	predAtJoin                  // a joiner has a predecessor from the beginning

	ackAtW         // a write is acknowledged when W of those that count have it
	ackDurable     // and have it on their disks
	notReady       // without a quorum nobody says that something is not there
	fillFirst      // an owner counts for nothing before it has heard a quorum
	writeBack      // before a read is answered, those who lag have what it found
	aboveHeld      // a write is stamped above what is held of its field
	byMajority     // a minority grants nothing, however whole it looks to itself
	oldFirst       // newcomers count when those who count so far know of it
	keepStrays     // a copy that belongs elsewhere is kept until others have it
	keepTombstones // what is deleted is remembered
)

// keeps reports whether the member goes by a rule: always, outside of tests.
func (m *Member) keeps(r rule) bool { return m.cfg.without&r == 0 }
