package chord

import (
	"slices"
	"strings"
	"testing"
)

// These tests walk through Zave, "Reasoning about identifier spaces: How to make
// Chord correct" (2017): her operations one by one, her invariant, and the ways
// in which the ring of the papers before hers breaks. Members are a, b, c …, in
// the order of their identifiers; TestSmallRings takes the same ring through all
// other orders of events.

// play is a small ring that does what the test says, and nothing else.
type play struct {
	*network
	t *testing.T
	w *world
}

// newPlay begins with an ideal ring, with lists of two and without gossip.
func newPlay(t *testing.T, ring, joiners string) *play {
	p := &play{t: t, network: newNetwork(t, smallRules{ring: mask(ring), joiners: mask(joiners), limit: 2, crash: mask(ring + joiners)}, nil)}
	p.w = p.begin()
	p.drain(p.w)
	return p
}

// do has something happen; the invariant holds after it.
func (p *play) do(c choice) {
	p.t.Helper()
	if !slices.Contains(p.choices(p.w, nil), c) {
		p.t.Fatalf("this cannot happen: %+v\n%s", c, p.picture(p.w))
	}
	told := p.tell(p.w, c)
	p.apply(p.w, c)
	if err := p.check(p.w); err != nil {
		p.t.Fatalf("after %q: %v\n%s", told, err, p.picture(p.w))
	}
}

func placeOf(letter byte) uint8 { return letter - 'a' }

// passes delivers, for each pair of letters, the next message from the first
// to the second.
func (p *play) passes(links ...string) {
	p.t.Helper()
	for _, l := range links {
		from, to := placeOf(l[0]), placeOf(l[1])
		if p.w.count[from][to] == 0 {
			p.t.Fatalf("nothing is on its way from %c to %c\n%s", l[0], l[1], p.picture(p.w))
		}
		p.do(choice{deliver, from, to})
	}
}

// arrives delivers all that is on its way, and what comes of it.
func (p *play) arrives() {
	p.t.Helper()
	for moved := true; moved; {
		moved = false
		for _, c := range p.choices(p.w, nil) {
			if c.kind == deliver {
				p.do(c)
				moved = true
				break
			}
		}
	}
}

func (p *play) starts(joiner, contact string) {
	p.t.Helper()
	p.do(choice{joins, placeOf(joiner[0]), placeOf(contact[0])})
}

// begins has members begin a round of stabilization.
func (p *play) begins(members string) {
	p.t.Helper()
	for i := range len(members) {
		p.do(choice{runs, placeOf(members[i]), 0})
	}
}

// rounds has members go through whole rounds, one after the other, when all
// that was on its way has arrived.
func (p *play) rounds(members string) {
	p.t.Helper()
	for i := range len(members) {
		p.arrives()
		p.begins(members[i : i+1])
		p.arrives()
	}
}

func (p *play) crash(member string) {
	p.t.Helper()
	p.do(choice{crashes, placeOf(member[0]), 0})
}

// wants checks a member's place: "a<b>cd" is b with the predecessor a and the
// successors c and d.
func (p *play) wants(places ...string) {
	p.t.Helper()
	for _, place := range places {
		i := placeOf(place[strings.IndexByte(place, '<')+1])
		s := p.state(p.w, i)
		pred := "-"
		if s.pred != noSlot {
			pred = string(rune('a' + s.pred))
		}
		if got := pred + "<" + p.ids.refs[i].Addr + ">" + letters(s.succ); got != place {
			p.t.Errorf("want %s, have %s\n%s", place, got, p.picture(p.w))
		}
	}
}

// becomesIdeal lets everybody go on until the ring is what it should be.
func (p *play) becomesIdeal() {
	p.t.Helper()
	p.arrives()
	for range 10 {
		if p.ideal(p.w) == nil {
			return
		}
		p.turn(p.w)
	}
	p.t.Fatalf("the ring does not become ideal: %v\n%s", p.ideal(p.w), p.picture(p.w))
}

// Join: the whole list of the predecessor, the predecessor itself, and neither
// before the new successor has answered. Nobody else changes.
func TestPaperZaveJoin(t *testing.T) {
	p := newPlay(t, "acd", "b")
	p.starts("b", "a")
	p.passes("ba", "ab", "bc")
	if got := p.state(p.w, placeOf('b')).phase; got != joining {
		t.Fatalf("b is %s before its successor has answered", got)
	}
	p.passes("cb")
	p.wants("a<b>cd", "d<a>cd", "a<c>da", "c<d>ac")
}

// Join behind a successor that has died: the next of the list takes its place,
// when it has answered.
func TestPaperZaveJoinBehindTheDead(t *testing.T) {
	p := newPlay(t, "acd", "b")
	p.starts("b", "a")
	p.passes("ba", "ab")
	p.crash("c")
	p.passes("bc", "bd", "db")
	p.wants("a<b>da")
	p.becomesIdeal()
}

// Join through somebody far away: b is told to ask those that lie nearer.
func TestPaperZaveJoinFromAfar(t *testing.T) {
	p := newPlay(t, "acd", "b")
	p.starts("b", "c")
	p.arrives()
	p.wants("a<b>cd")
}

// Stabilize: a learns of b from c, asks b itself, and takes b's list whole.
func TestPaperZaveStabilize(t *testing.T) {
	p := newPlay(t, "acd", "b")
	p.starts("b", "a")
	p.arrives()
	p.wants("d<a>cd", "b<c>da")
	p.begins("a")
	p.passes("ac", "ca", "ab")
	p.wants("d<a>cd")
	p.passes("ba")
	p.wants("d<a>bc")
}

// Stabilize with a predecessor of the successor that is dead: what the successor
// itself has said is taken, and the dead one is not adopted. In the first Chord
// it was, without being asked.
func TestPaperZaveStabilizeAsksFirst(t *testing.T) {
	p := newPlay(t, "acd", "b")
	p.starts("b", "a")
	p.arrives()
	p.wants("b<c>da")
	p.crash("b")
	p.begins("a")
	p.passes("ac", "ca", "ab")
	p.wants("d<a>cd")
	p.becomesIdeal()
}

// Update: a dead first successor is passed over, and the list is that of the
// next, whole. The others learn it round by round.
func TestPaperZaveUpdateAfterFailure(t *testing.T) {
	p := newPlay(t, "abcd", "")
	p.wants("d<a>bc", "c<d>ab")
	p.crash("b")
	p.rounds("a")
	p.wants("d<a>cd", "a<c>da", "c<d>ab")
	p.rounds("d")
	p.wants("c<d>ac")
	if err := p.ideal(p.w); err != nil {
		t.Error(err)
	}
}

// Rectify: c takes whoever lies nearer, and one that lies farther only when its
// predecessor is dead, which c finds out by asking. It is never without.
func TestPaperZaveRectify(t *testing.T) {
	p := newPlay(t, "acd", "b")
	// a is about to tell c of itself, and b is faster.
	p.begins("a")
	p.passes("ac", "ca")
	p.starts("b", "a")
	p.passes("ba", "ab", "bc")
	p.passes("ac") // a's Rectify: c knows it
	p.wants("a<c>da")
	p.passes("cb", "bc", "cb", "bc")
	p.wants("b<c>da")
	p.arrives()
	// a does not know of b, and tells c of itself once more.
	p.crash("b")
	p.wants("b<c>da")
	p.rounds("a")
	p.wants("a<c>da")
}

// Rectify by one that lies farther, while the predecessor lives: it stays.
func TestPaperZaveRectifyAsksTheOldOne(t *testing.T) {
	p := newPlay(t, "acd", "b")
	p.starts("b", "a")
	p.passes("ba", "ab", "bc", "cb")
	p.begins("a")
	p.passes("ac", "ca") // c has not heard of b: a goes on with c
	p.passes("bc", "cb", "bc")
	p.wants("b<c>da")
	p.passes("ac") // a's Rectify comes later than b's
	p.arrives()
	p.wants("b<c>da")
}

// The invariant: more than L principals, members that no list skips. One that
// has just joined is none until its predecessors know it, but makes none of the
// others less of one.
func TestPaperZavePrincipals(t *testing.T) {
	p := newPlay(t, "acd", "b")
	count := func(want int) {
		t.Helper()
		if got := p.principals(p.w); got != want {
			t.Errorf("%d principals, want %d\n%s", got, want, p.picture(p.w))
		}
	}
	count(3)
	p.starts("b", "a")
	p.arrives()
	count(3) // a and d skip b
	p.rounds("a")
	count(3) // d still does
	p.rounds("d")
	count(4)
}

// Initialization: the paper begins with L+1 members. Here a ring begins with one,
// whose lists are as long as the ring is, until it is larger than they are.
func TestPaperZaveInitialization(t *testing.T) {
	p := newPlay(t, "a", "bcd")
	p.wants("a<a>")
	for _, c := range []struct {
		joiner string
		then   []string
	}{
		{"b", []string{"b<a>b", "a<b>a"}},
		{"c", []string{"c<a>bc", "a<b>ca", "b<c>ab"}},
		{"d", []string{"d<a>bc", "a<b>cd", "b<c>da", "c<d>ab"}},
	} {
		p.starts(c.joiner, "a")
		p.becomesIdeal()
		p.wants(c.then...)
	}
}
