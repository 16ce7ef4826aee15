package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"chordtorrent/scripts/lab"
)

// tenSeconds is 100 Mbit/s and a file that takes ten seconds over them.
func tenSeconds() *options { return &options{leechers: 4, size: 125e6, rate: 1e8, slow: 1e7} }

func hostsThatTook(took ...float64) (hosts []*fetcher) {
	began := time.Now()
	for _, s := range took {
		hosts = append(hosts, &fetcher{started: began, took: time.Duration(s * float64(time.Second)), finished: true})
	}
	return hosts
}

func TestOthersAreThoseThatNothingBefell(t *testing.T) {
	r := run{hosts: hostsThatTook(11, 12, 30, 105, 3)}
	r.hosts[2].start = 5 * time.Second
	r.hosts[2].started = r.hosts[2].started.Add(5 * time.Second)
	r.hosts[3].slow = true
	r.hosts[4].vanish = 3 * time.Second
	was := r.outcome(tenSeconds())
	if was.Last != 12 || was.Mean != 11.5 || was.LateMax != 30 || was.End != 105 {
		t.Errorf("%+v", was)
	}
	late, slow, gone := was.Hosts[2], was.Hosts[3], was.Hosts[4]
	if late.What != "late" || late.Done != 35 || late.Over != 3 || slow.What != "slow" || slow.Over != 1.05 || gone.What != "vanished" || gone.Over != 0 {
		t.Errorf("%+v", was.Hosts)
	}
}

func TestAJudgementIsLostHeldOrNotPossible(t *testing.T) {
	code := func(err error) int {
		var with exit
		switch {
		case err == nil:
			return 0
		case errors.As(err, &with):
			return with.code
		}
		return 1
	}
	for _, c := range []struct {
		without, with, busy float64
		judge               bool
		code                int
		says                string
	}{
		{12, 12.5, 0.5, true, 0, "yes: 12.50 s, without it 12.00 s"},
		{12, 12.7, 0.5, true, 1, "NO: 12.70 s"},
		{12, 12.5, 0.9, true, notJudged, "WARNING"},
		{12, 12.7, 0.9, true, notJudged, "NO: 12.70 s"},
		{12, 12.7, 0.9, false, 0, "WARNING"},
		{12, 12.7, 0.5, false, 0, "1.27 times the least possible"},
	} {
		trial := &trial{Hosts: 4, Slow: 1e7, Bound: 10, Runs: []*outcome{{Last: c.with, Busy: c.busy}}, Undone: []*outcome{{Last: c.without, Busy: 0.3}}}
		err := trial.conclude(c.judge)
		if code(err) != c.code || !strings.Contains(trial.Verdict, c.says) || strings.Contains(trial.Verdict, "WARNING") != (c.busy > tooBusy) {
			t.Errorf("%+v: %v, %s", c, err, trial.Verdict)
		}
	}
}

func TestWhatCannotBeTriedIsRefused(t *testing.T) {
	for _, line := range []string{"--hosts 0", "--hosts 249", "--size 0", "--rate 0", "--rate fast", "--hosts 4 --late 2 --vanish 2", "--hosts 1 --slow 5m", "--hosts 9 --late 1 --within 0s",
		"--nodes 0", "--runs 0", "--judge", "--file /nowhere", "--out /nowhere/lab.json", "more"} {
		_, _, err := labFlags(strings.Fields(line))
		var with exit
		if !errors.As(err, &with) || with.code != badUsage {
			t.Errorf("%s: %v", line, err)
		}
	}
	o, judge, err := labFlags(strings.Fields("--hosts 40 --size 128m --rate 50m --slow 5m --late 10 --within 20s --vanish 3 --judge"))
	if err != nil || !judge || o.leechers != 40 || o.size != 128<<20 || o.rate != 5e7 || o.slow != 5e6 || o.late != 10 || o.vanish != 3 || o.stagger != 20*time.Second {
		t.Errorf("%+v, %v, %v", o, judge, err)
	}
}

func TestTheSlowestIsOneThatIsAtIt(t *testing.T) {
	g := &game{o: &options{size: 1000}}
	for i, f := range []fetcher{{finished: true}, {}, {}, {finished: true, vanish: 1}, {}} {
		f.host = i
		if i != 4 {
			f.process = &lab.Process{}
		}
		g.fetchers = append(g.fetchers, &f)
	}
	if s := g.standing([]int64{1100, 500, 400, 100, 0}); s.done != 1 || s.slowest != 2 || s.part != 0.4 || s.came != 2100 {
		t.Errorf("%+v", s)
	}
}
