package main

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

func at(s int) time.Time { return time.Unix(1_000_000+int64(s), 0) }

func TestRegister(t *testing.T) {
	var r register
	first := r.begin()
	if err := r.read(r.floor(), 0); err != nil {
		t.Errorf("nothing acknowledged, nothing read: %v", err)
	}
	r.end(first, true)
	floor := r.floor()
	for got, good := range map[uint64]bool{0: false, 1: true, 2: false} {
		if err := r.read(floor, got); (err == nil) != good {
			t.Errorf("write 1 acknowledged, %d read: %v", got, err)
		}
	}
	r = register{begun: 5, acked: 1}
	if err := r.read(1, 4); err != nil {
		t.Errorf("a write that was begun may be read: %v", err)
	}
	if err := r.read(r.floor(), 3); err == nil {
		t.Error("4 was read, and afterwards 3")
	}
	r.end(5, false)
	for got, good := range map[uint64]bool{0: false, 3: true, 6: false} {
		if err := r.read(r.floor(), got); (err == nil) != good {
			t.Errorf("write 5 has no outcome, %d is read: %v", got, err)
		}
	}
}

func TestSetChecker(t *testing.T) {
	s := newSetChecker()
	for _, n := range []string{"good", "lost", "late", "blinks", "unknown there", "unknown"} {
		s.begin(n)
	}
	for _, n := range []string{"good", "lost", "blinks"} {
		s.ack(n, at(1))
	}
	if missing := s.read(at(2), []string{"good", "lost"}); len(missing) != 1 || missing[0] != "blinks" {
		t.Errorf("missing: %q", missing)
	}
	s.read(at(4), []string{"good", "blinks", "unknown there"})
	s.read(at(3), []string{"good"}) // an older read that ended later
	s.ack("late", at(5))
	want := map[fate]int{ok: 1, lost: 1, neverRead: 1, stale: 1, recovered: 1, absent: 1}
	got := s.fates()
	for f, n := range want {
		if got[f] != n {
			t.Errorf("%s: %d, want %d (%v)", f, got[f], n, got)
		}
	}
}

func TestLinearizable(t *testing.T) {
	type op struct {
		write     bool
		value     uint64
		call, end int
		unknown   bool
	}
	for name, c := range map[string]struct {
		ops  []op
		good porcupine.CheckResult
	}{
		"in turn":                 {[]op{{write: true, value: 1, call: 0, end: 1}, {value: 1, call: 2, end: 3}}, porcupine.Ok},
		"old value after an ack":  {[]op{{write: true, value: 1, call: 0, end: 1}, {value: 0, call: 2, end: 3}}, porcupine.Illegal},
		"either during a write":   {[]op{{write: true, value: 1, call: 0, end: 9}, {value: 0, call: 1, end: 2}, {value: 1, call: 3, end: 4}}, porcupine.Ok},
		"back again":              {[]op{{write: true, value: 1, call: 0, end: 9}, {value: 1, call: 1, end: 2}, {value: 0, call: 3, end: 4}}, porcupine.Illegal},
		"a lost write shows late": {[]op{{write: true, value: 1, call: 0, end: 1, unknown: true}, {value: 0, call: 2, end: 3}, {value: 1, call: 4, end: 5}}, porcupine.Ok},
		"from nowhere":            {[]op{{value: 7, call: 0, end: 1}}, porcupine.Illegal},
	} {
		var h history
		for i, o := range c.ops {
			h.note(i, regInput{o.write, o.value}, o.value, at(o.call), at(o.end), !o.unknown)
		}
		if got := h.linearizable(0); got != c.good {
			t.Errorf("%s: %v, want %v", name, got, c.good)
		}
	}
}

func TestQuantile(t *testing.T) {
	d := []time.Duration{3 * time.Second, time.Second, 2 * time.Second}
	if quantile(d, 0.5) != 2 || quantile(d, 1) != 3 || quantile(nil, 0.5) != 0 {
		t.Error(quantile(d, 0.5), quantile(d, 1))
	}
}
