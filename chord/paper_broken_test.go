package chord

import "testing"

// The ring maintenance of the Chord papers of 2001 to 2003 can break for good;
// Zave, "Using lightweight modeling to understand Chord" (2012) and the later
// papers show how. Here are its ways, each with what this ring does instead. The
// invariant is checked at every step, by play.do.

// A joiner that knew one successor only was cut off if that one failed before
// the first stabilization: an appendage that leads nowhere. It has a list here.
func TestPaperBrokenJoinThenFail(t *testing.T) {
	p := newPlay(t, "acd", "b")
	p.starts("b", "a")
	p.passes("ba", "ab", "bc", "cb")
	p.wants("a<b>cd")
	p.crash("c")
	p.rounds("b")
	p.wants("a<b>da", "b<d>ac")
	p.becomesIdeal()
	p.wants("d<a>bd", "a<b>da", "b<d>ab")
}

// The same in a ring of two, where the list of the predecessor is one member
// long: the predecessor itself closes it.
func TestPaperBrokenJoinThenFailInARingOfTwo(t *testing.T) {
	p := newPlay(t, "ac", "b")
	p.starts("b", "a")
	p.passes("ba", "ab", "bc", "cb")
	p.wants("a<b>ca")
	p.crash("c")
	p.becomesIdeal()
	p.wants("b<a>b", "a<b>a")
}

// Two appendages: b and c join before d while neither knows of the other, and d,
// where both lead, fails. Nobody adopts the dead d again from the other's list.
func TestPaperBrokenTwoAppendages(t *testing.T) {
	p := newPlay(t, "ade", "bc")
	p.starts("b", "a")
	p.starts("c", "a")
	p.passes("ba", "ca", "ab", "ac", "bd", "cd", "db", "dc")
	p.wants("a<b>de", "a<c>de")
	p.crash("d")
	p.rounds("bc")
	p.becomesIdeal()
	p.wants("e<a>bc", "a<b>ce", "b<c>ea", "c<e>ab")
}

// A list with the member itself in it could make it its own successor, a ring
// of its own, when the others in the list had died. In a ring no larger than
// its lists each list leads around to the member itself.
func TestPaperBrokenSelfInTheList(t *testing.T) {
	p := newPlay(t, "abc", "")
	p.wants("c<a>bc", "a<b>ca", "b<c>ab")
	p.rounds("abcabc")
	p.wants("c<a>bc", "a<b>ca", "b<c>ab")
	p.crash("b")
	p.rounds("ac")
	p.wants("c<a>c", "a<c>a")
	p.rounds("ac")
	p.wants("c<a>c", "a<c>a")
}

// Without a predecessor, after the one it had was found dead, a member took
// whoever told it of itself next, be it one that lies too far away: the ring
// lost its order. A predecessor is never given up for nobody.
func TestPaperBrokenNoPredecessor(t *testing.T) {
	p := newPlay(t, "abcd", "")
	p.crash("b")
	p.wants("b<c>da")
	p.rounds("dc")
	p.wants("b<c>da") // nobody who lies before it has told it of itself
	p.rounds("a")
	p.wants("a<c>da")
}

// A member that failed and came back under its identifier was still named by
// the others, with what they knew of its former life. It begins with nothing,
// and joins as anybody does.
func TestPaperBrokenReturn(t *testing.T) {
	p := newPlay(t, "abcd", "")
	p.rules.rejoin = true
	p.begins("c")
	p.passes("cd", "dc") // c's Rectify is on its way
	p.crash("c")
	p.starts("c", "a")
	p.passes("cd") // and arrives now that c is not on the ring
	p.wants("c<d>ab")
	p.becomesIdeal()
	p.wants("d<a>bc", "a<b>cd", "b<c>da", "c<d>ab")
}

// While a list was put together from two members' answers of different age, it
// could skip members. Here b's list changes between the two questions of a.
func TestPaperBrokenMixedLists(t *testing.T) {
	p := newPlay(t, "ade", "bc")
	p.starts("b", "a")
	p.arrives()
	p.begins("a")
	p.passes("ad", "da") // d has named b
	p.starts("c", "b")
	p.passes("cb")
	p.passes("ab", "bc", "cd", "dc") // c is on the ring, and b does not know it
	p.passes("ba")
	p.wants("e<a>bd")
	if got := p.principals(p.w); got < 3 {
		t.Errorf("%d principals\n%s", got, p.picture(p.w))
	}
	p.becomesIdeal()
	p.wants("e<a>bc", "a<b>cd", "b<c>de", "c<d>ea", "d<e>ab")
}
