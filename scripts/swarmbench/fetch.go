package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"chordtorrent/scripts/lab"
)

// doneSuffix is of the file beside what is fetched that says that all is there.
const doneSuffix = ".done"

// cast says who begins when, who vanishes and who is slow.
func (g *game) cast() {
	for i := range g.o.leechers {
		out := filepath.Join(g.dir, fmt.Sprint("out-", i))
		f := &fetcher{host: 1 + g.o.seeds + i, out: out, done: out + doneSuffix}
		if late := i >= g.o.leechers-g.o.late || g.o.late == 0 && i > 0; late && g.o.stagger > 0 {
			f.start = time.Duration(g.random.Int64N(int64(g.o.stagger)))
		}
		g.fetchers = append(g.fetchers, f)
	}
	vanishing := g.o.leechers - g.o.late
	if g.o.slow > 0 {
		vanishing--
		g.fetchers[vanishing].slow = true
	}
	for _, i := range g.random.Perm(vanishing)[:g.o.vanish] {
		g.fetchers[i].vanish = time.Duration((0.1 + 0.8*g.random.Float64()) * g.o.bound() * float64(time.Second))
	}
}

// lookEvery is how often it is looked who is done.
const lookEvery = 10 * time.Millisecond

// fetchAll starts those that fetch, each in its time, and waits until all that are
// not to vanish are done.
func (g *game) fetchAll(with contender) error {
	limit := patience + time.Duration(20*g.o.bound())*time.Second + g.o.stagger
	if g.o.slow > 0 {
		limit += time.Duration(2*g.o.size*8/g.o.slow) * time.Second
	}
	before, err := lab.MachineUse()
	if err != nil {
		return err
	}
	g.began = time.Now()
	for waiting := len(g.fetchers); waiting > 0; {
		if time.Since(g.began) > limit {
			return fmt.Errorf("after %v %d of %d are not done", limit, waiting, len(g.fetchers))
		}
		waiting = 0
		quick := 0 // of them, those whose link is not slow
		for i, f := range g.fetchers {
			if err := g.look(with, i, f); err != nil {
				return err
			}
			if !f.finished {
				waiting++
				if !f.slow {
					quick++
				}
			}
		}
		if g.busy == 0 && quick == 0 {
			now, err := lab.MachineUse()
			if err != nil {
				return err
			}
			g.busy = now.Since(before)
		}
		if g.o.watch != nil {
			g.o.watch(g)
		}
		select {
		case <-g.ctx.Done():
			return g.ctx.Err()
		case <-time.After(lookEvery):
		}
	}
	return nil
}

// look does what is due for the i-th that fetches, and sees whether it is done.
func (g *game) look(with contender, i int, f *fetcher) error {
	switch {
	case f.finished || time.Since(g.began) < f.start:
	case f.process == nil:
		argv, err := with.fetch.fetch(g, i, f.out, f.done)
		if err != nil {
			return err
		}
		f.started = time.Now()
		f.process, err = g.start(f.host, argv...)
		return err
	case f.vanish > 0 && time.Since(f.started) >= f.vanish:
		f.finished, f.took = true, time.Since(f.started)
		err := g.lab.Unplug(f.host)
		f.process.Kill()
		return err
	default:
		if _, err := os.Stat(f.done); err == nil {
			f.finished, f.took = true, time.Since(f.started)
			return nil
		}
		select {
		case <-f.process.Over():
			return fmt.Errorf("%s on host %d has ended with %d and is not done: %s", f.process.Name, i+1, f.process.ExitCode(), f.process.LastWords())
		default:
		}
	}
	return nil
}
