package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"chordtorrent/scripts/lab"
)

// latencies is how long it takes to be part of a ring, and to find one.
type latencies struct {
	Machine lab.Machine `json:"machine"`
	Members int         `json:"members"`
	Runs    int         `json:"runs"`
	Join    spread      `json:"node_ready_sec"`   // from the start of the process to its ready line
	Find    spread      `json:"client_finds_sec"` // by multicast, to the first answer of a member
}

type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spreadOf(d []time.Duration) spread {
	return spread{quantile(d, 0.5), quantile(d, 0), quantile(d, 1)}
}

// measureLatency has nodes join a ring of ten on the loopback interface, one
// after the other, and clients find it.
func measureLatency(o *options) error {
	const members = 10
	f, err := newFleet(o, nil, members)
	defer f.stop()
	if err != nil {
		return err
	}
	if _, _, err := f.settle(time.Minute); err != nil {
		return err
	}
	r := latencies{Machine: lab.ThisMachine(o.commit), Members: members, Runs: o.rounds}
	var join, find []time.Duration
	for i := range o.rounds {
		m := &member{host: -1, program: o.program, dir: filepath.Join(o.work, fmt.Sprint("late-", i)), logPath: filepath.Join(o.work, "late.log"), args: f.members[0].args}
		began := time.Now()
		ready, err := m.start(nil)
		if err == nil {
			err = <-ready
		}
		if err != nil {
			return err
		}
		join = append(join, time.Since(began))
		if m.met < members { // it would have been quick to be alone
			m.kill()
			return fmt.Errorf("a node was ready in a ring of %d, not of %d", m.met, members+1)
		}
		m.kill()
		if err := os.RemoveAll(m.dir); err != nil {
			return err
		}
		if _, _, err := f.settle(time.Minute); err != nil {
			return err
		}
		began = time.Now()
		c, err := openRing(context.Background(), o, "", "")
		if err != nil {
			return err
		}
		find = append(find, time.Since(began))
		if err := c.Close(); err != nil {
			return err
		}
	}
	r.Join, r.Find = spreadOf(join), spreadOf(find)
	fmt.Fprintf(os.Stderr, "a node is ready after %.3f s in the median, a client finds the ring after %.3f s\n", r.Join.Median, r.Find.Median)
	return save(o, r)
}
