package chord

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// choiceKind is what can happen next in a small ring.
type choiceKind uint8

const (
	deliver  choiceKind = iota // the next message from a to b; to a dead member: refused
	runs                       // a's round timer
	retries                    // a's timer that tries to join again
	window                     // the end of a's join window
	hears                      // gossip tells a what is true of b
	forgets                    // a's suspicion of b ends
	expires                    // the time-out of a's slot b
	joins                      // a starts and has heard of b
	crashes                    // a
	cuts                       // what is on its way from the dead a to b is lost
	departs                    // a leaves in order
	loses                      // the next message from a to b
	lies                       // gossip tells a that b is dead, which lives
	compares                   // a begins to compare its range with b's copy
)

// choice is one thing that happens next.
type choice struct {
	kind choiceKind
	a, b uint8
}

// apply has a choice happen.
func (n *network) apply(w *world, c choice) {
	switch c.kind {
	case deliver:
		f := w.pop(c.a, c.b, 0)
		switch {
		case w.dead&(1<<c.b) == 0:
			kind := inRequest
			if f.reply {
				kind = inReply
			}
			n.do(w, c.b, input{kind: kind, who: c.a, slot: f.slot, body: f.body})
		case !f.reply && f.slot != noSlot && w.dead&(1<<c.a) == 0:
			n.do(w, c.a, input{kind: inRefused, slot: f.slot})
		}
	case runs:
		n.do(w, c.a, input{kind: inRound})
	case retries:
		n.do(w, c.a, input{kind: inRetry})
	case window:
		n.do(w, c.a, input{kind: inWindow})
	case hears:
		n.do(w, c.a, input{kind: inHear, mask: n.state(w, c.a).view ^ 1<<c.b})
	case forgets:
		n.do(w, c.a, input{kind: inForget, who: c.b})
	case expires:
		n.do(w, c.a, input{kind: inExpired, slot: c.b})
	case joins:
		w.started |= 1 << c.a
		w.dead &^= 1 << c.a
		heard := uint8(1)<<c.a | 1<<c.b
		if n.rules.gossip && c.a != c.b {
			heard |= n.state(w, c.b).view // gossip begins by telling all it knows
		}
		n.do(w, c.a, input{kind: inStart, mask: heard})
	case crashes:
		n.die(w, c.a)
	case loses:
		w.lost++
		w.pop(c.a, c.b, 0)
	case lies:
		w.lied++
		n.do(w, c.a, input{kind: inHear, mask: n.state(w, c.a).view &^ (1 << c.b)})
	case compares:
		n.push(w, c.a, c.b, n.comparison(c.a))
	case departs:
		w.crashed |= 1 << c.a
		n.do(w, c.a, input{kind: inDepart})
	case cuts:
		for w.count[c.a][c.b] > 0 {
			w.pop(c.a, c.b, 0)
		}
	}
	n.judge(w, c.kind == crashes || c.kind == departs || c.kind == lies)
}

// judge says what can be asked for from now on. A death, or the belief in one,
// may leave somebody without a live entry, or too few principals: Zave's assumption is that it
// does not. Then nothing is promised but that the ring comes back; once it has,
// it has to stay.
func (n *network) judge(w *world, death bool) {
	if n.rules.separate {
		return
	}
	ready := n.ready(w)
	switch {
	case ready&(ready-1) == 0:
		w.linked = ready != 0 && len(n.state(w, uint8(bits.TrailingZeros8(ready))).succ) == 0
	case death || !w.linked:
		w.linked = n.chains(w) == nil
	}
	if death {
		w.base = w.base && n.principals(w) > n.rules.limit
	}
}

// choices gives all that can happen next.
func (n *network) choices(w *world, list []choice) []choice {
	r := n.rules
	alive := w.started &^ w.dead
	for i := range uint8(len(n.members)) {
		for j := range uint8(len(n.members)) {
			if w.count[i][j] == 0 {
				continue
			}
			list = append(list, choice{deliver, i, j})
			if w.dead&(1<<i) != 0 {
				list = append(list, choice{cuts, i, j})
			}
			if w.lost < r.losses && alive&(1<<i) != 0 && alive&(1<<j) != 0 {
				list = append(list, choice{loses, i, j})
			}
		}
		if alive&(1<<i) == 0 {
			if (r.joiners&(1<<i) != 0 && w.started&(1<<i) == 0) || (r.rejoin && w.dead&(1<<i) != 0) {
				// Without gossip it has to be told of somebody who is on the ring.
				for j := range uint8(len(n.members)) {
					if j != i && alive&(1<<j) != 0 && (r.gossip || n.state(w, j).phase == member) {
						list = append(list, choice{joins, i, j})
					}
				}
				if r.separate {
					list = append(list, choice{joins, i, i})
				}
			}
			continue
		}
		list = n.ownChoices(w, i, list)
		for j := range uint8(len(n.members)) {
			if w.lied < r.lies && j != i && alive&n.state(w, i).view&(1<<j) != 0 {
				list = append(list, choice{lies, i, j})
			}
		}
		if w.crashed == 0 && r.crash&(1<<i) != 0 {
			list = append(list, choice{crashes, i, 0})
		}
		if w.crashed == 0 && r.depart&(1<<i) != 0 && n.state(w, i).phase == member {
			list = append(list, choice{departs, i, 0})
		}
	}
	return list
}

// ownChoices gives what can happen at one member without a message.
func (n *network) ownChoices(w *world, i uint8, list []choice) []choice {
	s := n.state(w, i)
	news := s.view ^ w.started&^w.dead
	switch {
	case n.rules.gossip:
	case s.phase == joining:
		news &^= s.view // it goes on looking for members, even where nobody gossips
	default:
		news = 0
	}
	for j := range uint8(len(n.members)) {
		if news&(1<<j) != 0 {
			list = append(list, choice{hears, i, j})
		}
	}
	if s.round {
		list = append(list, choice{runs, i, 0})
	}
	if s.retry {
		list = append(list, choice{retries, i, 0})
	}
	if s.window {
		list = append(list, choice{window, i, 0})
	}
	if n.rules.compares && s.phase == member {
		asks := n.comparison(i)
		for _, j := range s.succ {
			if !slices.Contains(w.flying[i][j][:w.count[i][j]], asks) {
				list = append(list, choice{compares, i, j})
			}
		}
	}
	if n.rules.forgets {
		for j := range uint8(len(n.members)) {
			if s.suspects&(1<<j) != 0 {
				list = append(list, choice{forgets, i, j})
			}
		}
	}
	for k, to := range s.waits {
		if to != noSlot && (w.crashed&(1<<to) != 0 || w.lost > 0) && w.unanswered(i, to, uint8(k)) {
			list = append(list, choice{expires, i, uint8(k)})
		}
	}
	return list
}

// comparison is the request that begins a comparison of a member's range; its
// answer is of no interest here, but the asked one gives up what it owned of it.
func (n *network) comparison(i uint8) smallMessage {
	return smallMessage{slot: noSlot, body: n.ids.body(Summarize{Class: Hard, To: n.ids.refs[i].ID})}
}

// unanswered reports whether nothing is on its way that would end a request.
func (w *world) unanswered(i, to, slot uint8) bool {
	for k := range w.count[i][to] {
		if f := w.flying[i][to][k]; !f.reply && f.slot == slot {
			return false
		}
	}
	for k := range w.count[to][i] {
		if f := w.flying[to][i][k]; f.reply && f.slot == slot {
			return false
		}
	}
	return true
}

// tell describes a choice to people.
func (n *network) tell(w *world, c choice) string {
	a, b := n.ids.refs[c.a].Addr, ""
	if int(c.b) < len(n.ids.refs) {
		b = n.ids.refs[c.b].Addr
	}
	switch c.kind {
	case deliver:
		f := w.flying[c.a][c.b][0]
		text := strings.TrimPrefix(fmt.Sprintf("%T", n.ids.bodies[f.body]), "chord.")
		if nb, ok := n.ids.bodies[f.body].(Neighbors); ok {
			text = fmt.Sprintf("Neighbors(joined %v, predecessor %s, successors %s)", nb.Joined, nb.Pred.Addr, names(nb.Succ))
		}
		if w.dead&(1<<c.b) != 0 {
			return fmt.Sprintf("%s of %s is refused, %s is dead", text, a, b)
		}
		return fmt.Sprintf("%s hears from %s: %s", b, a, text)
	case hears:
		return fmt.Sprintf("gossip tells %s that %s lives: %v", a, b, w.dead&(1<<c.b) == 0)
	case expires:
		return fmt.Sprintf("%s waits no longer for %s", a, n.ids.refs[n.state(w, c.a).waits[c.b]].Addr)
	}
	return strings.TrimSpace(fmt.Sprint(a, " ", [...]string{
		runs: "begins a round", retries: "tries again to join", window: "ends its join window", forgets: "no longer suspects " + b,
		joins: "starts and has heard of " + b, crashes: "crashes", cuts: "is dead: what it has sent to " + b + " is lost", departs: "leaves",
		loses: "has sent " + b + " something that is lost", lies: "is told by gossip that " + b + " is dead, which it is not",
		compares: "compares its range with the copy of " + b,
	}[c.kind]))
}

func names(refs []Ref) string {
	var b strings.Builder
	for _, r := range refs {
		b.WriteString(r.Addr)
	}
	return b.String()
}
