package chord

import (
	"fmt"
	"slices"
	"testing"
)

// maxSmall is the largest number of members of an explored ring.
const maxSmall = 5

// How many other ways to a member's state are tried. Few are a spot check; many
// have found it when the form was made to lack something.
const (
	fewTwins  = 4
	manyTwins = 40
)

// Slots name the requests of a member that wait for an answer: the lowest free
// one is taken. noSlot is a request that nobody waits for any more.
const (
	maxSlots = 6
	noSlot   = 255
)

// inputKind is what can happen to a single member.
type inputKind uint8

const (
	inPlace   inputKind = iota // it is a member of the ideal ring of mask; with slot 1 it sees it
	inStart                    // it starts and has heard of mask
	inRequest                  // a request arrives
	inReply                    // an answer arrives
	inRefused                  // a request could not be delivered
	inExpired                  // the time-out of a request
	inRound                    // the timer of the maintenance round
	inRetry                    // the timer that tries to join again
	inWindow                   // the end of the join window
	inHear                     // gossip: the members are mask
	inForget                   // the suspicion of who ends
	inDepart                   // it leaves, its data handed over
)

// input is one thing that happens to a member, by small numbers, so that it
// can be the key of a table.
type input struct {
	kind inputKind
	who  uint8  // the sender; with inForget the suspect
	slot uint8  // of the request that it is, answers or ends
	body uint16 // of the message
	mask uint8  // of members
}

// smallMessage is a message on its way; the link says from whom to whom.
type smallMessage struct {
	body  uint16
	slot  uint8 // at the one who asks
	reply bool
}

// sent is a message that a step sends.
type sent struct {
	to uint8
	smallMessage
}

// step is what a member does with an input.
type step struct {
	to     uint32 // the state it is in afterwards
	closed uint8  // mask of slots whose requests have ended
	sends  []sent
	fault  string // a rule that the step itself breaks
}

// memberState is a state of one member, in the terms of the exploration.
type memberState struct {
	form     string // all that its future depends on
	path     []input
	twins    [][]input // other ways here: all must go on alike
	next     map[input]step
	phase    phase
	pred     uint8
	succ     []uint8
	view     uint8
	suspects uint8
	waits    [maxSlots]uint8 // for whose answer; noSlot: free
	round    bool            // which timers run
	retry    bool
	window   bool
}

// automaton is the transition table of one member. Each entry is made by the
// code itself: a fresh Member is led along the inputs of a known path, then
// given the new input. Only what it says to the network counts, and its form.
//
// The form is what the future depends on: the fields of the ring and, for each
// request under way, where its continuation comes from (see origin). That
// nothing is missing is checked: of two ways that lead to the same form, both
// must answer every input alike.
type automaton struct {
	t      *testing.T
	all    *smallIDs
	self   uint8
	limit  int // L
	states []*memberState
	byForm map[string]uint32
	steps  int
}

// smallIDs is what the automata of one ring have in common: the members' places
// and the messages that were ever sent.
type smallIDs struct {
	refs    []Ref
	bodies  []Body
	byText  map[string]uint16
	config  func(*Config)
	twins   int  // ways to a state that are compared
	recalls bool // members leave out of an answer what the asker has already
}

func newSmallIDs(n int) *smallIDs {
	all := &smallIDs{byText: map[string]uint16{}, twins: fewTwins}
	for i := range n {
		all.refs = append(all.refs, Ref{ID: ID{byte(16 * (i + 1))}, Addr: string(rune('a' + i))})
	}
	return all
}

// mask is a set of members by their letters.
func mask(letters string) (m uint8) {
	for _, c := range letters {
		m |= 1 << (c - 'a')
	}
	return m
}

func (all *smallIDs) index(r Ref) uint8 {
	if r.IsZero() {
		return noSlot
	}
	return r.Addr[0] - 'a'
}

func (all *smallIDs) members(mask uint8) (refs []Ref) {
	for i, r := range all.refs {
		if mask&(1<<i) != 0 {
			refs = append(refs, r)
		}
	}
	return refs
}

func (all *smallIDs) body(b Body) uint16 {
	text := fmt.Sprintf("%T%v", b, b)
	n, ok := all.byText[text]
	if !ok {
		n = uint16(len(all.bodies))
		b, _ = copyBody(b, nil)
		all.bodies = append(all.bodies, b)
		all.byText[text] = n
	}
	return n
}

func newAutomaton(t *testing.T, all *smallIDs, self uint8, limit int) *automaton {
	a := &automaton{t: t, all: all, self: self, limit: limit, byForm: map[string]uint32{}}
	a.state(a.newLife(), nil) // number 0: not started
	return a
}

// step gives what the member does with an input in a state.
func (a *automaton) step(from uint32, x input) step {
	s := a.states[from]
	if known, ok := s.next[x]; ok {
		return known
	}
	made := a.make(s.path, x)
	for _, twin := range s.twins {
		a.compare(s, twin, x, made, a.make(twin, x))
	}
	s.next[x] = made
	return made
}

func (a *automaton) make(path []input, x input) step {
	a.steps++
	l := a.newLife()
	for _, p := range path {
		l.apply(p)
	}
	st := l.apply(x)
	path = append(slices.Clone(path), x)
	st.to = a.state(l, path)
	if to := a.states[st.to]; len(to.twins) < a.all.twins && !slices.Equal(to.path, path) {
		to.twins = append(to.twins, path)
		for y, known := range to.next {
			a.compare(to, path, y, known, a.make(path, y))
		}
	}
	return st
}

func (a *automaton) compare(s *memberState, twin []input, x input, one, two step) {
	if one.to != two.to || one.closed != two.closed || !slices.Equal(one.sends, two.sends) {
		a.t.Fatalf("the form lacks something that matters: %s\nafter %v and after %v\ndoes not answer %+v alike: %+v, %+v\n%s\n%s",
			s.form, s.path, twin, x, one, two, a.states[one.to].form, a.states[two.to].form)
	}
}

// state gives the number of the state that a life is in.
func (a *automaton) state(l *life, path []input) uint32 {
	form := l.form()
	if n, ok := a.byForm[form]; ok {
		return n
	}
	m := l.m
	s := &memberState{form: form, path: path, next: map[input]step{}, phase: m.phase, pred: a.all.index(m.pred), suspects: l.suspects()}
	for _, r := range m.succ {
		s.succ = append(s.succ, a.all.index(r))
	}
	for _, r := range m.view {
		s.view |= 1 << a.all.index(r)
	}
	for k := range s.waits {
		s.waits[k] = noSlot
		if w := l.waits[k]; w.seq != 0 {
			s.waits[k] = a.all.index(m.requests[w.seq].to)
		}
	}
	s.round, s.window, s.retry = running(m.maintenance.timer), running(m.maintenance.window), running(m.maintenance.retry)
	n := uint32(len(a.states))
	a.states = append(a.states, s)
	a.byForm[form] = n
	return n
}
