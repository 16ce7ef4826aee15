package main

import (
	"fmt"
	"os"
	"time"
)

// cutResult is how the ring came together again after one cut.
type cutResult struct {
	Kind     string  `json:"kind"`
	CutSec   float64 `json:"cut_sec"`
	OneSec   float64 `json:"one_ring_after_heal_sec"`
	WholeSec float64 `json:"whole_after_heal_sec"`
	Error    string  `json:"error,omitempty"`
}

// oneAgain is by when after a heal all members must be in one ring.
const oneAgain = 45 * time.Second

// calm is how long nothing is done to a ring that was whole again.
const calm = 3 * time.Second

// sides gives who is on which side; one-way means that only the first hears
// nothing of the others.
func sides(kind string, n int) (parts [][]int, oneWay, flapping bool, err error) {
	take := func(from, to int) (list []int) {
		for i := from; i < to; i++ {
			list = append(list, i+1)
		}
		return list
	}
	switch kind {
	case "6|6":
		return [][]int{take(0, n/2), take(n/2, n)}, false, false, nil
	case "10|2":
		return [][]int{take(0, n-2), take(n-2, n)}, false, false, nil
	case "4|4|4":
		return [][]int{take(0, n/3), take(n/3, 2*n/3), take(2*n/3, n)}, false, false, nil
	case "one-way":
		return [][]int{take(0, n/2), take(n/2, n)}, true, false, nil
	case "flapping":
		return [][]int{take(0, n/2), take(n/2, n)}, false, true, nil
	}
	return nil, false, false, fmt.Errorf("--cuts %q: there are 6|6, 10|2, 4|4|4, one-way and flapping", kind)
}

// apply cuts the lab into its parts; with nil it is whole again. Clients reach
// everybody.
func (f *fleet) apply(parts [][]int, oneWay bool) error {
	for i := range f.members {
		host := i + 1
		var from []int
		for p, part := range parts {
			mine := false
			for _, h := range part {
				mine = mine || h == host
			}
			if !mine {
				continue
			}
			for q, other := range parts {
				if q != p && (!oneWay || p == 0) {
					from = append(from, other...)
				}
			}
		}
		if err := f.lab.Cut(host, from); err != nil {
			return err
		}
	}
	return nil
}

// cuts makes each kind of cut for each time, heals it, and waits for the ring.
func (f *fleet) cuts(l *load, r *report) error {
	for _, kind := range f.o.cuts {
		parts, oneWay, flapping, err := sides(kind, len(f.members))
		if err != nil {
			return err
		}
		for _, d := range f.o.cutFor {
			l.disturb(true)
			if err := f.cutFor(parts, oneWay, flapping, d); err != nil {
				return err
			}
			one, whole, err := f.settle(3 * time.Minute)
			c := cutResult{Kind: kind, CutSec: d.Seconds(), OneSec: one.Seconds(), WholeSec: whole.Seconds()}
			switch {
			case err != nil:
			case one > f.o.patience(oneAgain):
				err = fmt.Errorf("one ring after %.1f s, that is more than %v", one.Seconds(), f.o.patience(oneAgain))
			case whole > f.o.patience(wholeAgain):
				err = fmt.Errorf("whole after %.1f s, that is more than %v", whole.Seconds(), f.o.patience(wholeAgain))
			}
			if err != nil {
				c.Error = err.Error()
				l.violate("cut %s of %v: %v", kind, d, err)
			}
			r.Cuts = append(r.Cuts, c)
			fmt.Fprintf(os.Stderr, "cut %s of %v: one ring %.1f s after the heal, whole after %.1f s %s\n", kind, d, c.OneSec, c.WholeSec, c.Error)
			l.disturb(false)
			f.stablePhase(l, r, fmt.Sprint("cut ", len(r.Cuts)))
			time.Sleep(calm) // reads that must not fail
		}
	}
	return nil
}

// cutFor makes a cut, keeps it up (a flapping one comes and goes), and heals it.
func (f *fleet) cutFor(parts [][]int, oneWay, flapping bool, d time.Duration) error {
	end := time.Now().Add(d)
	for on := true; time.Now().Before(end); on = !on {
		now, pause := parts, time.Until(end)
		if flapping {
			pause = min(pause, 1500*time.Millisecond)
			if !on {
				now = nil
			}
		}
		if err := f.apply(now, oneWay); err != nil {
			return err
		}
		time.Sleep(pause)
		if !flapping {
			break
		}
	}
	return f.apply(nil, false)
}
