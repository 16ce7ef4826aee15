package sim

import "chordtorrent/chord"

// event is something that will happen to a host: the arrival of a message or its
// wish to be called; or to the world itself. It holds no pointers, which the
// garbage collector would follow.
type event struct {
	at    chord.Time
	order uint64 // breaks ties, so that the order is always the same
	host  int32  // or, of a call, its place in World.calls
	life  int32  // of the host; an event of an earlier one is dropped
	env   int32  // in World.mail, or aTick or aCall
}

const (
	aTick int32 = -1
	aCall int32 = -2
)

func (e *event) before(o *event) bool {
	return e.at < o.at || (e.at == o.at && e.order < o.order)
}

// queue is a heap of events, four children to a node: shallower than two, and
// its nodes' children share cache lines.
type queue struct {
	events []event
	order  uint64
}

func (q *queue) push(e event) {
	q.order++
	e.order = q.order
	q.events = append(q.events, e)
	i := len(q.events) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&q.events[parent]) {
			break
		}
		q.events[i] = q.events[parent]
		i = parent
	}
	q.events[i] = e
}

// pop gives the earliest event up to limit.
func (q *queue) pop(limit chord.Time) (first event, ok bool) {
	if len(q.events) == 0 || q.events[0].at > limit {
		return event{}, false
	}
	first = q.events[0]
	n := len(q.events) - 1
	last := q.events[n]
	q.events[n] = event{}
	q.events = q.events[:n]
	if n == 0 {
		return first, true
	}
	i := 0
	for {
		best := 4*i + 1
		if best >= n {
			break
		}
		for c := best + 1; c < min(best+4, n); c++ {
			if q.events[c].before(&q.events[best]) {
				best = c
			}
		}
		if !q.events[best].before(&last) {
			break
		}
		q.events[i] = q.events[best]
		i = best
	}
	q.events[i] = last
	return first, true
}
