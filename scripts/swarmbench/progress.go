package main

import (
	"fmt"
	"os"
	"time"

	"chordtorrent/scripts/lab"
)

// progress tells how far a run is: on a terminal in one line that changes, elsewhere in
// some lines.
type progress struct {
	what     string
	terminal bool
	next     time.Time
	at       time.Time // of the last look, which found the following
	came     int64
	use      lab.Use
}

func newProgress(what string) *progress {
	if what != "" {
		what += ": "
	}
	info, err := os.Stderr.Stat()
	return &progress{what: what, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

// show is called often and says something once in a while.
func (p *progress) show(g *game) {
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	every := 5 * time.Second
	if p.terminal {
		every = time.Second
	}
	p.next = now.Add(every)
	use, err := lab.MachineUse()
	if err != nil {
		return // there is nothing to show it by
	}
	came, err := g.lab.Received()
	if err != nil {
		return
	}
	s := g.standing(came)
	if !p.at.IsZero() {
		line := fmt.Sprintf("%s%3.0f s: %d of %d done", p.what, now.Sub(g.began).Seconds(), s.done, len(g.fetchers)-g.o.vanish)
		if s.slowest >= 0 {
			line += fmt.Sprintf(", slowest host %d with %.0f %%", s.slowest+1, 100*s.part)
		}
		rate := float64(s.came-p.came) * 8 / now.Sub(p.at).Seconds()
		line += fmt.Sprintf(", %s in all, machine %.0f %% busy", bitsOf(int64(rate)), 100*use.Since(p.use))
		if p.terminal {
			fmt.Fprintf(os.Stderr, "\r%s\x1b[K", line)
		} else {
			fmt.Fprintln(os.Stderr, line)
		}
	}
	p.at, p.came, p.use = now, s.came, use
}

// end leaves the terminal with an empty line for others.
func (p *progress) end() {
	if p.terminal {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}

// standing is how far those are that fetch.
type standing struct {
	done    int
	came    int64   // bytes, to all
	slowest int     // of those that are at it; -1: none
	part    float64 // of the file that this one has, about: by what came to its host
}

// standing tells it by what has come to each host.
func (g *game) standing(came []int64) standing {
	s := standing{slowest: -1}
	for i, f := range g.fetchers {
		n := came[f.host]
		s.came += n
		switch {
		case f.process == nil:
		case f.finished && f.vanish == 0:
			s.done++
		case f.finished:
		default:
			if part := min(float64(n)/float64(g.o.size), 0.99); s.slowest < 0 || part < s.part {
				s.slowest, s.part = i, part
			}
		}
	}
	return s
}

// bytesOf and bitsOf say a size and a rate as a person does.
func bytesOf(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%.0f GiB", float64(n)/(1<<30))
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", n)
}

func bitsOf(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f Gbit/s", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.0f Mbit/s", float64(n)/1e6)
	}
	return fmt.Sprintf("%.0f kbit/s", float64(n)/1e3)
}
