package chord

import (
	"container/heap"
	"errors"
	"time"
)

// Why a request ended without an answer.
var (
	errUnreachable = errors.New("unreachable") // it was not asked
	// It may have done what it was asked, or do it yet.
	errBroken  = errors.New("connection ended before the answer")
	errGone    = errors.New("declared dead")
	errTimeout = errors.New("no answer in time")
)

// request is a message that waits for its answer.
type request struct {
	to      Ref
	sent    Time
	timeout timer
	done    func(Body, error)
}

// call sends a request and has done called exactly once: with the answer, or
// with errUnreachable, errBroken, errGone or errTimeout.
func (m *Member) call(to Ref, timeout time.Duration, body Body, done func(Body, error)) {
	m.serial++
	seq := m.serial
	r := &request{to: to, sent: m.now, done: done}
	r.timeout = m.after(timeout, func() { m.finish(seq, nil, errTimeout) })
	m.requests[seq] = r
	m.out.Send = append(m.out.Send, Envelope{From: m.self, To: to, Seq: seq, Body: body})
}

// askTries is how often a question is put before its silence counts: a busy
// machine answers late, and passing over a live member costs more than waiting.
const askTries = 3

// askOnce is call with the member's own time-out, for where another candidate
// stands by.
func (m *Member) askOnce(to Ref, body Body, done func(Body, error)) {
	m.call(to, m.rto(to), body, done)
}

// ask is call with the member's own retransmission time-out, for what is
// answered from memory. A lost or late answer is asked for again, twice, each
// time with twice the patience; a connection that is refused or ends is believed at
// once.
func (m *Member) ask(to Ref, body Body, done func(Body, error)) {
	var try func(n int)
	try = func(n int) {
		m.call(to, min(m.rto(to)<<n, m.cfg.MaxRTO), body, func(b Body, err error) {
			if errors.Is(err, errTimeout) && n+1 < askTries {
				try(n + 1)
				return
			}
			done(b, err)
		})
	}
	try(0)
}

// askPatient is call for what may take the other a while and may be asked twice. It
// is, after half of readPatience: a question or its answer can get lost with one of a
// pair's connections, unnoticed as the other stands.
func (m *Member) askPatient(to Ref, timeout time.Duration, body Body, done func(Body, error)) {
	waiting := 1
	var second timer
	end := func(b Body, err error) {
		waiting--
		if done == nil || (err != nil && waiting > 0) {
			return
		}
		m.timers.stop(second)
		finish := done
		done = nil
		finish(b, err)
	}
	if wait := readPatience / 2; wait < timeout {
		second = m.after(wait, func() {
			waiting++
			m.call(to, timeout-wait, body, end)
		})
	}
	m.call(to, timeout, body, end)
}

// maxRTTs bounds of how many members the round trip is remembered.
const maxRTTs = 256

// roundTrip is what a member's answers tell of the way to it.
type roundTrip struct {
	smoothed time.Duration
	last     Time // when it was heard last
}

// smoothed is the round trip to a member as far as it is known.
func (m *Member) smoothed(to Ref) time.Duration {
	if t, ok := m.rtt[to.ID]; ok {
		return t.smoothed
	}
	// Unknown: the first contact also has to connect.
	return m.cfg.MaxRTO / 6
}

// rto is how long an answer from memory may take: MinRTO..MaxRTO.
func (m *Member) rto(to Ref) time.Duration {
	return min(max(3*m.smoothed(to), m.cfg.MinRTO), m.cfg.MaxRTO)
}

// answered matches a reply with its request; a late or foreign one is dropped.
func (m *Member) answered(env Envelope) {
	r := m.requests[env.Seq]
	if r == nil || r.to.ID != env.From.ID {
		return
	}
	d := m.now.Sub(r.sent)
	if old, ok := m.rtt[env.From.ID]; ok {
		d = (7*old.smoothed + d) / 8
	}
	if len(m.rtt) >= maxRTTs {
		clear(m.rtt) // those still of interest are soon there again
	}
	m.rtt[env.From.ID] = roundTrip{d, m.now}
	delete(m.maintenance.suspect, env.From.ID) // it lives
	m.finish(env.Seq, env.Body, nil)
}

func (m *Member) finish(seq uint64, body Body, err error) {
	r := m.requests[seq]
	if r == nil {
		return
	}
	delete(m.requests, seq)
	m.timers.stop(r.timeout)
	r.done(body, err)
}

// reply answers a request.
func (m *Member) reply(env Envelope, body Body) {
	m.out.Send = append(m.out.Send, Envelope{From: m.self, To: env.From, Seq: env.Seq, Reply: true, Body: body})
}

// timer is a handle to stop one; nil is a timer that never was.
type timer = *timing

type timing struct {
	at    Time
	order uint64 // breaks ties, so that the order is always the same
	run   func()
	index int // in the heap; -1 when stopped or run
}

// timers is a heap of what is to be run when.
type timers struct{ heap timerHeap }

// after runs f once, d from now.
func (m *Member) after(d time.Duration, f func()) timer {
	m.serial++
	t := &timing{at: m.now.Add(d), order: m.serial, run: f}
	heap.Push(&m.timers.heap, t)
	return t
}

func (ts *timers) stop(t timer) {
	if t != nil && t.index >= 0 {
		heap.Remove(&ts.heap, t.index)
	}
}

func (ts *timers) stopAll() {
	for _, t := range ts.heap {
		t.index = -1
	}
	ts.heap = nil
}

// next is when the first timer is due; 0 means never.
func (ts *timers) next() Time {
	if len(ts.heap) == 0 {
		return 0
	}
	return ts.heap[0].at
}

// advance moves the member's time and runs what is due by then.
func (m *Member) advance(now Time) {
	if now > m.now {
		m.now = now
	}
	for len(m.timers.heap) > 0 && m.timers.heap[0].at <= m.now {
		t, _ := heap.Pop(&m.timers.heap).(timer)
		t.run()
	}
}

type timerHeap []timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].order < h[j].order
}
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	t, _ := x.(timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	t.index = -1
	*h = old[:len(old)-1]
	return t
}
