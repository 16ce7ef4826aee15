package picker

import (
	"container/heap"
	"time"
)

// fluid is a network in virtual time whose links are pipes: every host has an uplink
// and a downlink, every flow gets its max-min fair part of both, and what is in a
// flow's queue arrives in order. There are no packets, no losses, no round trips.
type fluid struct {
	now    time.Duration
	order  uint64
	events fluidEvents
	flows  []*flow // those that move something
	dirty  bool    // they have changed since their rates were set
}

// settleTime is how long new rates take to be set, as TCP takes some round trips.
const settleTime = 20 * time.Millisecond

// pipe is one direction of a host's link.
type pipe struct {
	capacity float64 // bytes per second
	left     float64 // while rates are set
	flows    int
}

// flow goes from an uplink to a downlink.
type flow struct {
	up, down *pipe
	rate     float64
	queue    []float64 // bytes of what is still to come, the first one's rest first
	since    time.Duration
	at       int // in fluid.flows, -1: idle
	version  int // of the event for its next arrival
	arrived  func()
}

type fluidEvent struct {
	at    time.Duration
	order uint64
	run   func()
}

type fluidEvents []fluidEvent

func (h fluidEvents) Len() int { return len(h) }
func (h fluidEvents) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}
func (h fluidEvents) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *fluidEvents) Push(x any)   { *h = append(*h, x.(fluidEvent)) }
func (h *fluidEvents) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = fluidEvent{}
	*h = old[:len(old)-1]
	return e
}

func (n *fluid) in(d time.Duration, run func()) {
	n.order++
	heap.Push(&n.events, fluidEvent{n.now + d, n.order, run})
}

// run lets it live until then, or until nothing happens any more.
func (n *fluid) run(until time.Duration) {
	for len(n.events) > 0 && n.events[0].at <= until {
		e := heap.Pop(&n.events).(fluidEvent)
		n.now = e.at
		e.run()
	}
	n.now = until
}

// push puts something into a flow.
func (n *fluid) push(f *flow, bytes float64) {
	f.queue = append(f.queue, bytes)
	if len(f.queue) == 1 {
		f.since = n.now
		f.at = len(n.flows)
		f.rate = 0
		n.flows = append(n.flows, f)
		n.changed()
	}
}

// stop empties a flow; nothing of it arrives.
func (n *fluid) stop(f *flow) {
	f.queue = nil
	f.version++
	n.idle(f)
}

func (n *fluid) idle(f *flow) {
	if f.at < 0 {
		return
	}
	last := n.flows[len(n.flows)-1]
	n.flows[f.at], last.at = last, f.at
	n.flows = n.flows[:len(n.flows)-1]
	f.at = -1
	n.changed()
}

func (n *fluid) changed() {
	if !n.dirty {
		n.dirty = true
		n.in(settleTime, n.share)
	}
}

// advance takes off the first in the queue what has passed at the present rate.
func (n *fluid) advance(f *flow) {
	f.queue[0] = max(f.queue[0]-f.rate*(n.now-f.since).Seconds(), 0)
	f.since = n.now
}

// await schedules the next arrival.
func (n *fluid) await(f *flow) {
	f.version++
	if f.rate <= 0 {
		return
	}
	version := f.version
	n.in(time.Duration(f.queue[0]/f.rate*float64(time.Second))+1, func() {
		if f.version != version {
			return
		}
		f.since = n.now
		f.queue = f.queue[1:]
		if len(f.queue) == 0 {
			n.idle(f)
		} else {
			n.await(f)
		}
		f.arrived()
	})
}

// share sets all rates: again and again the pipe with the least for each of its
// flows is shared out among them.
func (n *fluid) share() {
	n.dirty = false
	var pipes []*pipe
	seen := map[*pipe]bool{}
	for _, f := range n.flows {
		for _, p := range []*pipe{f.up, f.down} {
			if !seen[p] {
				seen[p] = true
				p.left, p.flows = p.capacity, 0
				pipes = append(pipes, p)
			}
			p.flows++
		}
	}
	open := append([]*flow(nil), n.flows...)
	for len(open) > 0 {
		var tight *pipe
		for _, p := range pipes {
			if p.flows > 0 && (tight == nil || p.left/float64(p.flows) < tight.left/float64(tight.flows)) {
				tight = p
			}
		}
		each := tight.left / float64(tight.flows)
		kept := open[:0]
		for _, f := range open {
			if f.up != tight && f.down != tight {
				kept = append(kept, f)
				continue
			}
			for _, p := range []*pipe{f.up, f.down} {
				p.left = max(p.left-each, 0)
				p.flows--
			}
			n.set(f, each)
		}
		open = kept
	}
}

func (n *fluid) set(f *flow, rate float64) {
	if f.rate == rate {
		return
	}
	n.advance(f)
	f.rate = rate
	n.await(f)
}
