package picker

import (
	"math/rand/v2"
	"time"
)

// A seed's upload is what bounds a swarm that begins: whatever it sends twice, before
// each piece has left once, everybody waits for. Left to themselves, peers that know
// of nobody but the seed ask for the same pieces now and then, as none sees what the
// others have asked for. So the seed gives different pieces to different peers, for
// as long as there are pieces that nobody else has: to those that follow, it suggests
// what it would like to give, and rejects what another is getting (BEP 6).

const (
	// mostAhead is how many pieces are set aside for a peer beyond those that it has
	// asked for.
	mostAhead = 3
	// onItsWay is for how long a piece that one peer has asked for is kept from the
	// others when there is nothing else to give: they will have it from that one.
	onItsWay = time.Second
	// followWithin is how long a peer that gets nothing, and mostRefused how often, may
	// ask for other pieces than those suggested. One that follows does so too, for
	// pieces of which others have given it a part.
	followWithin = 2 * time.Second
	mostRefused  = 8
)

// gift is a piece that no peer has yet and one was given.
type gift struct {
	to    *follower
	asked time.Time // by to; zero: not yet
}

// follower is a peer that does as suggested, as far as one can tell.
type follower struct {
	id       PeerID
	ahead    int       // gifts that it has not asked for
	coming   int       // gifts that it has asked for and not got
	guided   time.Time // when it was last suggested one
	refused  int       // requests since it asked for a gift
	stubborn bool      // it does not follow
}

// FirstCopies is what a seed knows of pieces that have not left it. Like a Picker,
// whose peers it is about, it belongs to one goroutine and has no clock.
type FirstCopies struct {
	pick      *Picker
	rnd       *rand.Rand
	fresh     []int32 // pieces to give; some may be given or had by now
	given     map[int]*gift
	followers map[PeerID]*follower
	stale     bool // somebody has left, and with it perhaps what only it had
}

// NewFirstCopies returns the first copies of a seed that knows its peers by pick. It
// draws from rnd, which nobody else may use meanwhile.
func NewFirstCopies(pick *Picker, rnd *rand.Rand) *FirstCopies {
	return &FirstCopies{pick: pick, rnd: rnd, given: make(map[int]*gift), followers: make(map[PeerID]*follower), stale: true}
}

func (f *FirstCopies) follower(p PeerID) *follower {
	w := f.followers[p]
	if w == nil {
		w = &follower{id: p}
		f.followers[p] = w
	}
	return w
}

// look finds the pieces that nobody connected has and nobody was given.
func (f *FirstCopies) look() {
	if !f.stale {
		return
	}
	f.stale = false
	f.fresh = f.fresh[:0]
	for i := range f.pick.geo.Pieces {
		if f.pick.Availability(i) == 0 && f.given[i] == nil {
			f.fresh = append(f.fresh, int32(i))
		}
	}
	f.rnd.Shuffle(len(f.fresh), func(a, b int) { f.fresh[a], f.fresh[b] = f.fresh[b], f.fresh[a] })
}

// next is a piece that nobody has and nobody was given; false for none.
func (f *FirstCopies) next() (piece int, ok bool) {
	f.look()
	for len(f.fresh) > 0 {
		i := int(f.fresh[len(f.fresh)-1])
		if f.pick.Availability(i) == 0 && f.given[i] == nil {
			return i, true
		}
		f.fresh = f.fresh[:len(f.fresh)-1]
	}
	return 0, false
}

// Guide sets pieces aside for a peer and appends to out those that it is to be
// suggested. fetching is how many peers share: of a few pieces for many each gets
// fewer, as what is set aside for one that is slow the others wait for.
func (f *FirstCopies) Guide(p PeerID, fetching int, now time.Time, out []int) []int {
	w := f.follower(p)
	if w.stubborn {
		return out
	}
	f.look()
	ahead := min(max(len(f.fresh)/(4*max(fetching, 1)), 1), mostAhead)
	for w.ahead < ahead {
		i, ok := f.next()
		if !ok {
			break
		}
		f.given[i] = &gift{to: w}
		w.ahead++
		w.guided = now
		out = append(out, i)
	}
	return out
}

// MayServe reports whether a peer is to be given what it asks for now. If not, there
// is something else to suggest to it, or it will have the piece from another in a
// moment.
func (f *FirstCopies) MayServe(p PeerID, piece int, now time.Time) bool {
	w := f.follower(p)
	if w.stubborn || f.Asked(p, piece, now) {
		return true
	}
	// Another is getting it, or has it.
	g := f.given[piece]
	if w.ahead > 0 && w.coming == 0 && w.refused >= mostRefused && now.Sub(w.guided) > followWithin {
		f.Gone(p)
		f.follower(p).stubborn = true // it must not wait for ever
		return true
	}
	if _, more := f.next(); more {
		w.refused++
		return false
	}
	return g == nil || g.asked.IsZero() || now.Sub(g.asked) >= onItsWay
}

// Asked notes what a peer asks for, and reports whether it was set aside for it, or for
// nobody: then it is now.
func (f *FirstCopies) Asked(p PeerID, piece int, now time.Time) bool {
	w, g := f.follower(p), f.given[piece]
	switch {
	case g == nil && f.pick.Availability(piece) == 0:
		g = &gift{to: w}
		f.given[piece] = g
		w.ahead++
	case g == nil || g.to != w:
		return false
	}
	if g.asked.IsZero() {
		g.asked = now
		w.ahead--
		w.coming++
		w.refused = 0
	}
	return true
}

// More reports whether there are pieces that nobody has, and nobody was given.
func (f *FirstCopies) More() bool {
	_, more := f.next()
	return more
}

// Over reports whether every piece has left: there is nothing to decide.
func (f *FirstCopies) Over() bool { return len(f.given) == 0 && !f.More() }

// Arrived notes that a peer has a piece: it has left.
func (f *FirstCopies) Arrived(piece int) {
	if g := f.given[piece]; g != nil {
		f.forget(piece, g)
	}
}

func (f *FirstCopies) forget(piece int, g *gift) {
	delete(f.given, piece)
	if g.asked.IsZero() {
		g.to.ahead--
	} else {
		g.to.coming--
	}
}

// Gone frees what a peer was given and has not got: it has left, or is choked.
func (f *FirstCopies) Gone(p PeerID) {
	w := f.followers[p]
	if w == nil {
		return
	}
	for i, g := range f.given {
		if g.to == w {
			f.forget(i, g)
		}
	}
	delete(f.followers, p)
	f.stale = true
}
