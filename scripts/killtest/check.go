package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// register is what one hard key holds, seen from outside: a single writer
// writes 1, 2, 3 …, readers read. It checks every read as it comes: a confirmed
// one begun after a write was acknowledged must not be older than that write,
// nor newer than any that was begun.
//
// A write without an acknowledgement may take effect at any time, also after
// later ones. A register that has met one is in doubt: its order says nothing any
// more, and its writer goes on with another.
type register struct {
	mu    sync.Mutex
	key   string
	begun uint64 // the last write that was begun
	acked uint64 // the last that was acknowledged
	seen  uint64 // the newest that a confirmed read has ended with
	doubt bool
	trail []string // what happened last, for a violation's explanation
}

const trailLength = 20

// follow notes one operation.
func (r *register) follow(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.trail) == trailLength {
		r.trail = slices.Delete(r.trail, 0, 1)
	}
	r.trail = append(r.trail, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// history tells the last operations.
func (r *register) history() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.trail, "; ")
}

// floor is what a read that begins now must at least give.
func (r *register) floor() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(r.acked, r.seen)
}

func (r *register) begin() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun++
	return r.begun
}

// end takes the outcome of write n.
func (r *register) end(n uint64, acknowledged bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if acknowledged {
		r.acked = max(r.acked, n)
	} else {
		r.doubt = true
	}
}

// read judges a confirmed read that had that floor when it began; 0 stands for
// nothing there.
func (r *register) read(floor, got uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = max(r.seen, got)
	switch {
	case got > r.begun:
		return fmt.Errorf("invented: %d is read, only %d were begun", got, r.begun)
	case got == 0 && floor > 0:
		return fmt.Errorf("lost: write %d was acknowledged or read before, now there is nothing", floor)
	case got < floor && !r.doubt:
		return fmt.Errorf("stale: write %d was acknowledged or read before, now %d is read", floor, got)
	}
	return nil
}

// fate is what became of one element of a set.
type fate string

const (
	ok        fate = "ok"         // added, acknowledged, and there
	lost      fate = "lost"       // acknowledged, and not there at the end
	stale     fate = "stale"      // there at the end, but missing in a confirmed read begun after its acknowledgement
	neverRead fate = "never_read" // acknowledged after the last read
	recovered fate = "recovered"  // not acknowledged, and there all the same
	absent    fate = "absent"     // neither
)

// element is one that was to be added to a set.
type element struct {
	acked   time.Time // zero: not acknowledged
	present bool      // in the last confirmed read
	missing bool      // in some confirmed read begun after the acknowledgement
}

// setChecker follows a set that only grows: the list of all files, or the peers
// of one that go on announcing.
type setChecker struct {
	mu       sync.Mutex
	elements map[string]*element
	lastRead time.Time // when the last confirmed read was begun
}

func newSetChecker() *setChecker { return &setChecker{elements: map[string]*element{}} }

func (s *setChecker) begin(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.elements[name] == nil {
		s.elements[name] = &element{}
	}
}

func (s *setChecker) ack(name string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.elements[name]; e.acked.IsZero() {
		e.acked = at
	}
}

// read takes what a confirmed read, begun then, has given. It gives the elements
// that should have been there.
func (s *setChecker) read(begun time.Time, names []string) (missing []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	there := make(map[string]bool, len(names))
	for _, n := range names {
		there[n] = true
	}
	newest := begun.After(s.lastRead)
	if newest {
		s.lastRead = begun
	}
	for name, e := range s.elements {
		if newest {
			e.present = there[name]
		}
		if !there[name] && !e.acked.IsZero() && e.acked.Before(begun) {
			e.missing = true
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}

// fates counts what became of all elements.
func (s *setChecker) fates() map[fate]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[fate]int{}
	for _, e := range s.elements {
		out[e.fate(s.lastRead)]++
	}
	return out
}

func (e *element) fate(lastRead time.Time) fate {
	acked := !e.acked.IsZero()
	switch {
	case !acked && e.present:
		return recovered
	case !acked:
		return absent
	case e.present && e.missing:
		return stale
	case e.present:
		return ok
	case e.acked.After(lastRead):
		return neverRead
	}
	return lost
}

// history is what several clients did to one register in a stable phase.
type history struct {
	mu  sync.Mutex
	ops []porcupine.Operation
}

type regInput struct {
	write bool
	value uint64
}

// note adds an operation; a write whose outcome is unknown may take effect at
// any time, which is what an end without limit says.
func (h *history) note(client int, in regInput, out uint64, call, end time.Time, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	op := porcupine.Operation{ClientId: client, Input: in, Call: call.UnixNano(), Output: out, Return: end.UnixNano()}
	if !known {
		op.Return = int64(1<<63 - 1)
	}
	h.ops = append(h.ops, op)
}

// linearizable reports whether the operations can be put in an order, each at
// some moment between its call and its return, in which every read gives the
// last write's value; the register holds first at the beginning.
func (h *history) linearizable(first uint64) porcupine.CheckResult {
	h.mu.Lock()
	defer h.mu.Unlock()
	model := porcupine.Model{
		Init: func() any { return first },
		Step: func(state, input, output any) (bool, any) {
			in := input.(regInput)
			if in.write {
				return true, in.value
			}
			return output.(uint64) == state.(uint64), state
		},
	}
	return porcupine.CheckOperationsTimeout(model, h.ops, 20*time.Second)
}

// median, and other quantiles, of durations in seconds.
func quantile(d []time.Duration, q float64) float64 {
	if len(d) == 0 {
		return 0
	}
	s := slices.SortedFunc(slices.Values(d), cmp.Compare[time.Duration])
	return s[min(len(s)-1, int(q*float64(len(s))))].Seconds()
}
