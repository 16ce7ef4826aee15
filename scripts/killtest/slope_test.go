package main

import (
	"math"
	"testing"
	"time"
)

func TestSlope(t *testing.T) {
	for name, c := range map[string]struct {
		value func(i int) float64
		zero  bool
	}{
		"steady":              {func(int) float64 { return 40 }, true},
		"noise":               {func(i int) float64 { return 40 + float64(i*7%5) }, true},
		"less and less":       {func(i int) float64 { return 400 - float64(i) }, true},
		"grown at first":      {func(i int) float64 { return 40 + 100*math.Min(float64(i), 25)/25 }, true},
		"one for each sample": {func(i int) float64 { return 40 + float64(i) }, false},
		"slow, under noise":   {func(i int) float64 { return 40 + float64(i)/4 + float64(i*7%5) }, false},
		"never measured":      {func(int) float64 { return math.NaN() }, false},
	} {
		var s series
		for i := range 120 {
			s.add(time.Duration(i)*10*time.Second, c.value(i))
		}
		f, ok := s.fit()
		if !ok || f.Zero != c.zero {
			t.Errorf("%s: %+v, %v", name, f, ok)
		}
	}
	var s series
	s.add(0, 1)
	if _, ok := s.fit(); ok {
		t.Error("a verdict on one sample")
	}
}

func TestValueOf(t *testing.T) {
	const text = "# HELP go_goroutines Number.\ngo_goroutines 37\nRssAnon:\t   5120 kB\n"
	if v := valueOf(text, "go_goroutines"); v != 37 {
		t.Error(v)
	}
	if v := valueOf(text, "RssAnon:"); v != 5120 {
		t.Error(v)
	}
	if v := valueOf(text, "VmRSS:"); !math.IsNaN(v) {
		t.Error(v)
	}
}
