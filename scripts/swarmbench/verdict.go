package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// outcome is one run of a try.
type outcome struct {
	Last    float64       `json:"last_of_the_others_sec"` // from the start of each to its end, of those that are neither slow, late nor gone
	Mean    float64       `json:"mean_of_the_others_sec"` // of the same
	LateMax float64       `json:"last_of_the_late_sec"`   // of those that were late
	End     float64       `json:"until_all_are_done_sec"` // from the first start, the slow one included
	Copies  float64       `json:"seed_sent_copies"`       // bytes that left the seed's host, of the file
	CPU     float64       `json:"cpu_sec_per_gib"`        // of our programs, per GiB delivered
	Busy    float64       `json:"machine_busy"`           // the part of its time that all cores were used
	Hosts   []hostOutcome `json:"hosts"`
}

type hostOutcome struct {
	Host  int     `json:"host"`
	What  string  `json:"what,omitempty"` // slow, late, vanished
	Link  int64   `json:"link_bits_per_sec"`
	Start float64 `json:"start_sec"` // after the first one
	Done  float64 `json:"done_sec"`  // after the first one's start
	Took  float64 `json:"took_sec"`
	Over  float64 `json:"over_bound"` // of what its own link would need for the file; 0: it vanished
}

// judgement is whether what was done to some was any harm to others.
type judgement struct {
	Question string  `json:"question"`
	Without  float64 `json:"without_sec"` // medians
	With     float64 `json:"with_sec"`
	Ratio    float64 `json:"ratio"`
	Most     float64 `json:"ratio_at_most"`
	Held     bool    `json:"held"`
}

// outcome tells of a run, host by host.
func (r *run) outcome(o *options) *outcome {
	was := &outcome{Copies: r.Copies, CPU: r.CPU, Busy: r.Busy}
	first := r.hosts[0].started
	others := 0
	for i, f := range r.hosts {
		h := hostOutcome{Host: i + 1, Link: o.rate, Start: f.started.Sub(first).Seconds(), Took: f.took.Seconds()}
		h.Done = h.Start + h.Took
		if f.slow {
			h.Link = o.slow
		}
		h.Over = h.Took / (float64(o.size) * 8 / float64(h.Link))
		switch {
		case f.vanish > 0:
			h.What, h.Over = "vanished", 0
		case f.slow:
			h.What = "slow"
		case f.start > 0:
			h.What = "late"
			was.LateMax = max(was.LateMax, h.Took)
		default:
			others++
			was.Last = max(was.Last, h.Took)
			was.Mean += h.Took
		}
		if f.vanish == 0 {
			was.End = max(was.End, h.Done)
		}
		was.Hosts = append(was.Hosts, h)
	}
	was.Mean /= float64(others)
	return was
}

// table shows a run, host by host.
func (was *outcome) table() {
	fmt.Println("host  link         start     done      took    x of its bound")
	for _, h := range was.Hosts {
		if h.What == "vanished" {
			fmt.Printf("%4d  %-10s %6.1f s        -         -    unplugged after %.1f s\n", h.Host, bitsOf(h.Link), h.Start, h.Took)
			continue
		}
		line := fmt.Sprintf("%4d  %-10s %6.1f s %6.1f s  %6.1f s    %.2f  %s", h.Host, bitsOf(h.Link), h.Start, h.Done, h.Took, h.Over, h.What)
		fmt.Println(strings.TrimRight(line, " "))
	}
	fmt.Println()
}

// conclude says what came of it all, and gives the error that the program ends with.
func (t *trial) conclude(judge bool) error {
	var s strings.Builder
	whole := t.Hosts - t.Vanish
	last := median(t.Runs, func(o *outcome) float64 { return o.Last })
	over := ""
	if t.Slow > 0 || t.Late > 0 || t.Vanish > 0 {
		over = " (of those that were neither slow, late nor gone)"
	}
	fmt.Fprintf(&s, "%d of %d have the file, every byte compared. The last%s was done after %.1f s, %.2f times the least possible.\n", whole, t.Hosts, over, last, last/t.Bound)
	busy := 0.0
	for _, o := range slices.Concat(t.Undone, t.Runs) {
		busy = max(busy, o.Busy)
	}
	fmt.Fprintf(&s, "The seed sent %.2f copies. This machine was busy for %.0f %% of the time, and our programs used %.1f CPU seconds per GiB delivered.\n",
		median(t.Runs, func(o *outcome) float64 { return o.Copies }), 100*busy, median(t.Runs, func(o *outcome) float64 { return o.CPU }))
	limited := busy > tooBusy
	if limited {
		fmt.Fprintf(&s, "WARNING: a machine that is busy for more than %.0f %% is itself the limit. On real machines it would be faster; to see more here, take fewer hosts or a lower rate.\n", 100*tooBusy)
	}
	held := true
	if judge {
		t.judge()
		for _, j := range t.Judgment {
			word := "yes"
			if !j.Held {
				word, held = "NO", false
			}
			fmt.Fprintf(&s, "%s %s: %.2f s, without it %.2f s, which is x %.3f; up to x %.2f is held to be no harm.\n", j.Question, word, j.With, j.Without, j.Ratio, j.Most)
		}
	}
	t.Verdict = strings.TrimSpace(s.String())
	switch {
	case !judge || held && !limited:
		return nil
	case limited:
		return exit{notJudged, errors.New("not judged: this machine was the limit")}
	default:
		return errors.New("what was done to some did harm to others")
	}
}

// judge compares the runs with those without trouble. What is late is held against the
// same: it finds more hosts that have something, and so must not take longer.
func (t *trial) judge() {
	last := func(o *outcome) float64 { return o.Last }
	ask := func(question string, of func(*outcome) float64) {
		j := judgement{Question: question, Without: median(t.Undone, last), With: median(t.Runs, of), Most: mostSlower}
		j.Ratio = j.With / j.Without
		j.Held = j.Ratio <= j.Most
		t.Judgment = append(t.Judgment, j)
	}
	var some []string
	if t.Slow > 0 {
		some = append(some, "slow")
	}
	if t.Late > 0 {
		some = append(some, "late")
	}
	if t.Vanish > 0 {
		some = append(some, "gone")
	}
	ask(fmt.Sprintf("Is the last of the others as quick as if none were %s?", strings.Join(some, " or ")), last)
	if t.Late > 0 {
		ask("Is the last of the late, from its own start, as quick as well?", func(o *outcome) float64 { return o.LateMax })
	}
}
