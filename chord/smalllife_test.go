package chord

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// life is one Member that is led along a path.
type life struct {
	a     *automaton
	m     *Member
	waits [maxSlots]waiting
}

// waiting is a request under way: its number at the Member, and its origin.
type waiting struct {
	seq    uint64
	origin string
}

func (a *automaton) newLife() *life {
	cfg := Config{Self: a.all.refs[a.self], Rand: rand.New(rand.NewPCG(1, 1)), Store: emptyStore, listLength: a.limit, JoinWindow: 1}
	if a.all.config != nil {
		a.all.config(&cfg)
	}
	m, err := New(cfg)
	if err != nil {
		a.t.Fatal(err)
	}
	m.now = simEpoch
	return &life{a: a, m: m}
}

// emptyStore is every explored member's: they hold no data.
var emptyStore = NewMemStore()

// apply has the Member do what an input says. Its clock stands still: timers
// are run when the exploration chooses to.
func (l *life) apply(x input) step {
	m, all := l.m, l.a.all
	if !all.recalls {
		m.maintenance.heard = heard{} // so that everything is sent, and fewer states differ
	}
	before := l.look()
	now := m.now
	seq := uint64(0) // of the Member's own request
	if x.kind == inReply || x.kind == inRefused || x.kind == inExpired {
		seq = l.waits[x.slot].seq
	}
	switch x.kind {
	case inPlace:
		ring := all.members(x.mask)
		i := slices.Index(ring, m.self)
		behind := append(slices.Clone(ring[i+1:]), ring[:i]...)
		pred := m.self
		if len(behind) > 0 {
			pred = behind[len(behind)-1]
		}
		if x.slot == 1 {
			m.View(now, ring)
		}
		m.becomeMember(pred, behind)
	case inStart:
		m.View(now, all.members(x.mask))
		m.Start(now)
	case inHear:
		m.View(now, all.members(x.mask))
	case inRequest:
		seq := uint64(x.slot) + 1
		m.Receive(now, Envelope{From: all.refs[x.who], To: m.self, Seq: seq, Body: all.bodies[x.body]})
	case inReply:
		m.Receive(now, Envelope{From: all.refs[x.who], To: m.self, Seq: seq, Reply: true, Body: all.bodies[x.body]})
	case inRefused:
		m.Unreachable(now, m.requests[seq].to, seq, false)
	case inExpired:
		m.fire(m.requests[seq].timeout)
	case inRound:
		m.fire(m.maintenance.timer)
	case inRetry:
		m.fire(m.maintenance.retry)
	case inWindow:
		m.fire(m.maintenance.window)
	case inForget:
		delete(m.maintenance.suspect, all.refs[x.who].ID)
	case inDepart:
		m.phase = leaving
		m.sayGoodbye()
	}
	return l.settle(before, x)
}

func running(t timer) bool { return t != nil && t.index >= 0 }

// fire runs a timer now.
func (m *Member) fire(t timer) {
	m.timers.stop(t)
	t.run()
}

// settle takes the output and keeps the slots up to date.
func (l *life) settle(before look, x input) (st step) {
	m, a := l.m, l.a
	// The continuation of what ended made the next requests.
	var ended []waiting
	for k, w := range l.waits {
		if w.seq != 0 && m.requests[w.seq] == nil {
			st.closed |= 1 << k
			ended = append(ended, w)
			l.waits[k] = waiting{}
		}
	}
	if len(m.succ) > 0 && x.kind != inPlace && !slices.Contains(before.succ, m.succ[0]) &&
		!(x.kind == inReply && x.who == a.all.index(m.succ[0])) &&
		!(before.phase == joining && m.succ[0] == m.pred) { // whose answer the joiner goes by
		st.fault = fmt.Sprintf("liveness before adoption: %s becomes first successor of %s without having answered", m.succ[0].Addr, m.self.Addr)
	}
	slices.SortFunc(ended, func(v, w waiting) int { return int(int64(v.seq - w.seq)) })
	for i, env := range m.Take().Send {
		if !ofRing(env.Body) {
			if !env.Reply {
				delete(m.requests, env.Seq) // of data or clocks: no answer ever comes
			}
			continue
		}
		if env.To == m.self {
			st.fault = fmt.Sprintf("not to itself: %s sends itself %T", m.self.Addr, env.Body)
		}
		s := sent{to: a.all.index(env.To), smallMessage: smallMessage{body: a.all.body(env.Body), reply: env.Reply}}
		switch {
		case env.Reply && env.Seq == noSlot+1:
			continue // nobody waits for it
		case env.Reply:
			s.slot = uint8(env.Seq - 1)
		case m.requests[env.Seq] == nil:
			s.slot = noSlot
		default:
			s.slot = uint8(slices.IndexFunc(l.waits[:], func(w waiting) bool { return w.seq == 0 }))
			l.waits[s.slot] = waiting{seq: env.Seq, origin: fmt.Sprint(i, l.origin(before, x, ended, env.Body))}
		}
		st.sends = append(st.sends, s)
	}
	return st
}

// ofRing reports whether a message is one of ring maintenance.
func ofRing(b Body) bool {
	switch b.(type) {
	case GetNeighbors, Neighbors, Rectify, Rectified, Departing:
		return true
	}
	return false
}

// look is what a Member looked like before a step.
type look struct {
	text    string
	phase   phase
	running bool
	again   bool
	succ    []Ref
}

func (l *life) look() look {
	return look{l.visible(), l.m.phase, l.m.maintenance.running, l.m.maintenance.again, l.m.succ}
}

// origin stands for what the continuation of a request has captured. To say too
// much only makes more states; to say too little is found out by compare.
func (l *life) origin(before look, x input, ended []waiting, body Body) string {
	m := l.m
	chain := ""
	for _, w := range ended {
		chain += "(" + w.origin + ")"
	}
	text := fmt.Sprint(x.kind, x.who, x.body, x.mask)
	_, rectify := body.(Rectify)
	afresh := len(ended) == 0 || before.phase == joining || (before.again && !m.maintenance.again)
	switch {
	case rectify && x.kind == inExpired:
		return "rectify again" + chain
	case rectify:
		return "rectify" // it captures nothing
	case m.phase == joining || m.phase == left:
		return before.text + text + chain
	case !afresh:
		return text + chain
	}
	// The beginning of a round captures whom it will ask; what a request of
	// another member sets off, who that was.
	if x.kind != inRequest {
		text = ""
	}
	if !before.running || before.again {
		text += names(m.heads())
	}
	return "round" + text
}

func (l *life) suspects() (mask uint8) {
	for i, r := range l.a.all.refs {
		if l.m.isSuspect(r.ID) {
			mask |= 1 << i
		}
	}
	return mask
}

// visible is what a continuation may have looked at.
func (l *life) visible() string {
	var b strings.Builder
	name := func(r Ref) {
		if r.IsZero() {
			b.WriteByte('-')
		}
		b.WriteString(r.Addr)
	}
	b.WriteByte('0' + byte(l.m.phase))
	name(l.m.pred)
	b.WriteByte('>')
	for _, r := range l.m.succ {
		name(r)
	}
	b.WriteByte('v')
	for _, r := range l.m.view {
		name(r)
	}
	b.WriteByte('!')
	b.WriteByte('0' + l.suspects())
	return b.String()
}

// form is all that the Member's future depends on. Fingers are left out, as
// maintenance does not look at them in a ring that gossip knows whole, and so
// is all that belongs to data.
func (l *life) form() string {
	ms := l.m.maintenance
	var b strings.Builder
	b.WriteString(l.visible())
	for _, flag := range []bool{ms.running, ms.again, ms.checks, running(ms.timer), running(ms.window), running(ms.retry), l.m.viewWhole} {
		if flag {
			b.WriteByte('1')
		} else {
			b.WriteByte('0')
		}
	}
	if l.a.all.recalls {
		fmt.Fprintf(&b, " %x", ms.heard.hash)
	}
	for k, w := range l.waits {
		if w.seq != 0 {
			fmt.Fprintf(&b, " %d%s[%s]", k, l.m.requests[w.seq].to.Addr, w.origin)
		}
	}
	return b.String()
}
