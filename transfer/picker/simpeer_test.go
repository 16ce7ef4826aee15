package picker

import (
	"math/rand/v2"
	"slices"
	"time"

	"chordtorrent/transfer/wire"
)

// simPeer is a peer of it.
type simPeer struct {
	w        *simSwarm
	id       PeerID
	up, down pipe
	pick     *Picker
	first    *FirstCopies
	have     *wire.Bits
	links    []*simLink // one for each neighbour
	came     time.Duration
	done     time.Duration // 0: not yet
	moved    time.Duration // when something came last
	gap      time.Duration // the longest time without
	gone     bool
}

// simLink is one direction of a connection: what from sends to.
type simLink struct {
	from, to *simPeer
	back     *simLink
	flow     flow
	asked    []Block // in the order of the flow
	choked   bool
	called   bool          // by from
	stands   time.Duration // since when
	lead     int           // how many more from had than to, then
	since    time.Time
	refused  map[int]time.Duration
	sent     float64
	before   float64 // sent, at the last look of the choker
	rate     float64
}

func (w *simSwarm) join(seed bool) {
	p := &simPeer{w: w, id: PeerID(len(w.all)), have: wire.NewBits(w.geo.Pieces), came: w.now, moved: w.now}
	rate := w.opt.rate
	if len(w.opt.slower) > 0 && !seed {
		rate *= w.opt.slower[w.rnd.IntN(len(w.opt.slower))]
	}
	p.up.capacity, p.down.capacity = rate, rate
	if seed {
		p.have.SetAll()
		p.done = 1
	}
	p.pick = New(w.geo, p.have, rand.New(rand.NewPCG(w.rnd.Uint64(), 1)))
	w.all = append(w.all, p)
	others := slices.Clone(w.peers)
	w.rnd.Shuffle(len(others), func(a, b int) { others[a], others[b] = others[b], others[a] })
	w.peers = append(w.peers, p)
	for _, o := range others[:min(len(others), w.opt.neighbors)] {
		w.connect(p, o)
	}
	w.in(200*time.Millisecond, p.callMore)
	var choose func()
	choose = func() {
		if !p.gone {
			p.rechoke()
			p.lookAround()
			w.in(10*time.Second, choose)
		}
	}
	choose()
}

func (w *simSwarm) connect(a, b *simPeer) {
	ab, ba := &simLink{from: a, to: b, called: true}, &simLink{from: b, to: a}
	ab.back, ba.back = ba, ab
	for _, l := range []*simLink{ab, ba} {
		l.flow = flow{up: &l.from.up, down: &l.to.down, at: -1, arrived: l.arrived}
		l.refused = map[int]time.Duration{}
		l.choked = true
		l.stands, l.lead = w.now, l.from.have.Count()-l.to.have.Count()
		l.from.links = append(l.from.links, l)
		l.to.pick.AddPeer(l.from.id)
		l.to.pick.PeerBits(l.from.id, l.from.have.Clone())
	}
	a.serveInterested(ab)
	b.serveInterested(ba)
}

// serveInterested gives who is interested a slot at once when there is one, as the
// engine does.
func (p *simPeer) serveInterested(l *simLink) {
	served := 0
	for _, o := range p.links {
		if !o.choked {
			served++
		}
	}
	if served < p.w.opt.slots && l.to.done == 0 && l.to.pick.Interesting(p.id) {
		l.unchoke()
	}
}

func (l *simLink) unchoke() {
	l.choked, l.since = false, l.from.w.clock()
	l.from.guide(l)
	l.fill()
}

func (p *simPeer) rechoke() {
	var askers []Asker
	for _, l := range p.links {
		l.rate, l.before = (l.sent-l.before)/10, l.sent
		if l.to.done == 0 && l.to.pick.Interesting(p.id) {
			askers = append(askers, Asker{ID: l.to.id, Served: !l.choked, Since: l.since, Takes: l.rate, Gives: l.back.rate})
		}
	}
	serve := Unchoke(askers, p.w.opt.slots)
	for _, l := range p.links {
		switch {
		case l.choked && serve[l.to.id]:
			l.unchoke()
		case !l.choked && !serve[l.to.id]:
			l.choked, l.since = true, p.w.clock()
			if p.first != nil {
				p.first.Gone(l.to.id)
			}
			l.takeBack()
		}
	}
}

// takeBack frees what is still to come by a link.
func (l *simLink) takeBack() {
	for _, b := range l.asked {
		l.to.pick.Release(l.from.id, b)
	}
	l.asked = nil
	l.from.w.stop(&l.flow)
	l.to.fillAll()
}

func (p *simPeer) fillAll() {
	if p.done > 0 || p.gone {
		return
	}
	for _, l := range p.links {
		l.back.fill()
	}
}

// fill asks for as much as the engine would have under way.
func (l *simLink) fill() {
	p, w := l.to, l.from.w
	if l.choked || p.done > 0 || p.gone {
		return
	}
	target := max(int(l.flow.rate/10)/int(w.geo.BlockLen), 2)
	for tries := 0; len(l.asked) < target && tries < 8; tries++ {
		blocks := p.pick.Pick(l.from.id, target-len(l.asked), nil)
		if len(blocks) == 0 {
			return
		}
		for _, b := range blocks {
			if !l.from.mayServe(l, b.Piece) {
				p.pick.Release(l.from.id, b)
				l.refuse(b.Piece)
				continue
			}
			l.asked = append(l.asked, b)
			w.push(&l.flow, float64(b.Length))
		}
	}
}

// refuse has the asker leave a piece out for two seconds.
func (l *simLink) refuse(piece int) {
	p, w := l.to, l.from.w
	if _, known := l.refused[piece]; known || !l.from.have.Get(piece) {
		return
	}
	until := w.now + 2*time.Second
	l.refused[piece] = until
	p.pick.PeerLacks(l.from.id, piece)
	w.in(2*time.Second, func() {
		if l.refused[piece] == until && !p.gone && !l.from.gone {
			l.forgive(piece)
			l.fill()
		}
	})
}

func (l *simLink) forgive(piece int) {
	delete(l.refused, piece)
	l.to.pick.PeerHas(l.from.id, piece)
}

// steers is what the engine goes by.
func (p *simPeer) steers() bool {
	if p.done == 0 || p.w.opt.unsteered {
		return false
	}
	if p.first == nil {
		p.first = NewFirstCopies(p.pick, p.w.rnd)
	}
	return p.fetching() >= 2 && !p.first.Over()
}

func (p *simPeer) fetching() (n int) {
	for _, l := range p.links {
		if l.to.done == 0 {
			n++
		}
	}
	return n
}

func (p *simPeer) guide(l *simLink) {
	if l.choked || !p.steers() {
		return
	}
	for _, i := range p.first.Guide(l.to.id, p.fetching(), p.w.clock(), nil) {
		if _, known := l.refused[i]; known {
			l.forgive(i)
		}
		l.to.pick.Suggest(p.id, i)
	}
}

func (p *simPeer) mayServe(l *simLink, piece int) bool {
	if !p.steers() {
		return true
	}
	may := p.first.MayServe(l.to.id, piece, p.w.clock())
	p.guide(l)
	return may
}

// arrived takes the next block of a link.
func (l *simLink) arrived() {
	p, w := l.to, l.from.w
	b := l.asked[0]
	l.asked = l.asked[1:]
	l.sent += float64(b.Length)
	if l.from == w.all[0] {
		w.sent += float64(b.Length)
	}
	p.gap = max(p.gap, w.now-p.moved)
	p.moved = w.now
	_, cancel := p.pick.Received(l.from.id, b)
	for _, id := range cancel {
		for _, o := range p.links {
			if o.to.id == id {
				o.back.cancel(b)
			}
		}
	}
	if p.pick.Complete(b.Piece) {
		p.pick.Verified(b.Piece)
		p.have.Set(b.Piece)
		for _, o := range p.links {
			o.to.pick.PeerHas(p.id, b.Piece)
			if o.to.first != nil {
				o.to.first.Arrived(b.Piece)
			}
			if o.choked {
				p.serveInterested(o) // it may just have become interested
			}
			o.fill()
		}
		if p.pick.Left() == 0 {
			p.finish()
			return
		}
	}
	l.fill()
}

// cancel takes back what has come from another; what is being sent comes all the same.
func (l *simLink) cancel(b Block) {
	for n, a := range l.asked {
		if a == b && n > 0 {
			l.asked = slices.Delete(l.asked, n, n+1)
			l.flow.queue = slices.Delete(l.flow.queue, n, n+1)
			return
		}
	}
}

func (p *simPeer) finish() {
	w := p.w
	p.done = w.now
	for _, l := range p.links {
		l.back.asked = nil
		w.stop(&l.back.flow)
	}
	if w.opt.stays > 0 {
		w.in(time.Duration(w.rnd.ExpFloat64()*float64(w.opt.stays)), p.leave)
		return
	}
	p.leave()
}

func (p *simPeer) leave() {
	w := p.w
	p.gone = true
	w.peers = slices.DeleteFunc(w.peers, func(o *simPeer) bool { return o == p })
	for _, l := range p.links {
		o := l.to
		w.stop(&l.flow)
		w.stop(&l.back.flow)
		o.links = slices.DeleteFunc(o.links, func(x *simLink) bool { return x.to == p })
		o.pick.RemovePeer(p.id)
		if o.first != nil {
			o.first.Gone(p.id)
		}
	}
	for _, l := range p.links {
		l.to.refresh()
		l.to.fillAll()
	}
}

// lookAround tries one more neighbour, much as the engine does: there may be better ones. Of
// too many whom it called, the one that gives least goes.
func (p *simPeer) lookAround() {
	if p.done > 0 || p.gone {
		return
	}
	called, complete := 0, 0
	var least *simLink
	for _, l := range p.links {
		if l.to.done > 0 {
			complete++
		}
	}
	for _, l := range p.links {
		if !l.called {
			continue
		}
		called++
		if l.to.done > 0 && complete == 1 {
			continue
		}
		if p.w.now-l.stands >= 5*time.Second && (least == nil || l.back.rate < least.back.rate) {
			least = l
		}
	}
	if called > p.w.opt.neighbors && len(p.links) > 2*p.w.opt.neighbors && least != nil {
		p.part(least)
	}
	if called >= p.w.opt.neighbors {
		p.callOne()
	}
}

// callMore has whoever few have called call more, one at a time, and more still whoever
// others get ahead of.
func (p *simPeer) callMore() {
	if p.done > 0 || p.gone {
		return
	}
	enough := 2 * p.w.opt.neighbors
	if p.behind() && !p.w.opt.uncaring {
		enough *= 2
	}
	if len(p.links) < enough {
		p.callOne()
	}
	p.w.in(200*time.Millisecond, p.callMore)
}

// behind tells, as the engine does, whether more than an eighth of those that had as much
// to get when they were met have got more since than the peer has.
func (p *simPeer) behind() bool {
	n, ahead, level := 0, 0, p.have.Count()+max(p.w.geo.Pieces/100, 2)
	for _, l := range p.links {
		if p.w.geo.Pieces-l.back.lead <= level {
			continue
		}
		n++
		if l.to.have.Count()-l.back.lead > level {
			ahead++
		}
	}
	return 8*ahead > n
}

// callOne connects to one more.
func (p *simPeer) callOne() {
	others := slices.Clone(p.w.peers)
	p.w.rnd.Shuffle(len(others), func(a, b int) { others[a], others[b] = others[b], others[a] })
	for _, o := range others {
		if o != p && !slices.ContainsFunc(p.links, func(l *simLink) bool { return l.to == o }) {
			p.w.connect(p, o)
			return
		}
	}
}

// part ends a connection.
func (p *simPeer) part(l *simLink) {
	o := l.to
	for _, x := range []*simLink{l, l.back} {
		p.w.stop(&x.flow)
		x.asked = nil
		x.from.links = slices.DeleteFunc(x.from.links, func(y *simLink) bool { return y == x })
		x.to.pick.RemovePeer(x.from.id)
		if x.from.first != nil {
			x.from.first.Gone(x.to.id)
		}
	}
	p.fillAll()
	o.fillAll()
}

// refresh connects to others when there are too few neighbours.
func (p *simPeer) refresh() {
	if p.done > 0 || p.gone {
		return
	}
	others := slices.Clone(p.w.peers)
	p.w.rnd.Shuffle(len(others), func(a, b int) { others[a], others[b] = others[b], others[a] })
	for _, o := range others {
		if len(p.links) >= p.w.opt.neighbors {
			return
		}
		known := o == p || slices.ContainsFunc(p.links, func(l *simLink) bool { return l.to == o })
		if !known {
			p.w.connect(p, o)
		}
	}
}
