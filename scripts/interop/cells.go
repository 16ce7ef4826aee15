package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"chordtorrent/scripts/lab"
)

// cell is one question of the matrix, and its answer.
type cell struct {
	Client  string  `json:"client"`
	Role    string  `json:"role"`
	Tracker string  `json:"tracker"`
	Shape   string  `json:"shape"`
	Verdict verdict `json:"verdict"`
	Why     string  `json:"why,omitempty"`
	Seconds float64 `json:"seconds,omitempty"` // from the start of who fetches to the last byte's comparison
}

type verdict string

const (
	works  verdict = "works"
	cannot verdict = "cannot"        // the client says so itself
	notYet verdict = "not there yet" // btclient does
	failed verdict = "failed"
)

// The roles of a client in a cell.
const (
	seeds   = "seeds"   // and btclient downloads
	fetches = "fetches" // and btclient seeds
	mixes   = "in a mixed swarm"
)

// The hosts of a world after those of the ring.
const (
	firstHost = nodes + iota
	secondHost
	thirdHost
)

// patience is how long a cell's transfer may take.
const patience = 90 * time.Second

// errEnded ends the waiting for a process that has ended.
var errEnded = errors.New("it has ended")

// errCannot wraps what a client itself says that it cannot do.
var errCannot = errors.New("cannot")

// judge fills in the answer of a cell.
func (c cell) judge(took time.Duration, err error) cell {
	c.Verdict, c.Seconds = works, took.Seconds()
	if err != nil {
		c.Verdict, c.Why, c.Seconds = failed, err.Error(), 0
		switch {
		case errors.Is(err, errNoEmptyFile):
			c.Verdict, c.Why, c.Seconds = works, errNoEmptyFile.Error(), took.Seconds()
		case errors.Is(err, errCannot):
			c.Verdict = cannot
		case errors.Is(err, errNotYet):
			c.Verdict = notYet
		}
	}
	return c
}

// target is where something is fetched to, or lies to be served.
type target struct {
	job
	path string // of the content
}

// target makes the folders for a client on a host.
func (w *world) target(host int, c *content, torrent string) (target, error) {
	w.names++
	dir := filepath.Join(w.dir, fmt.Sprintf("host-%d-%d", host, w.names))
	t := target{job{home: filepath.Join(dir, "home"), save: filepath.Join(dir, "save"), torrent: torrent, done: filepath.Join(dir, "done")}, filepath.Join(dir, "save", c.name)}
	return t, errors.Join(os.MkdirAll(t.home, 0o755), os.MkdirAll(t.save, 0o755))
}

// give starts a client on a host.
func (w *world) give(cl *client, host int, t target) (*lab.Process, error) {
	argv, err := cl.line(w.o, t.job)
	if err != nil {
		return nil, err
	}
	return w.start(host, argv...)
}

// whole waits until a process has fetched all of a content to path, and compares it. cl
// is nil for btclient.
func (w *world) whole(p *lab.Process, cl *client, t target, c *content, most time.Duration) error {
	err := w.eventually(most, "all is there", func() error {
		select {
		case <-p.Over():
			return fmt.Errorf("%w with %d", errEnded, p.ExitCode())
		default:
		}
		if cl == nil || cl.finished == "" {
			if _, err := os.Stat(t.done); err != nil {
				return err
			}
		} else if text, err := os.ReadFile(p.Log); err != nil || !bytes.Contains(text, []byte(cl.finished)) {
			return fmt.Errorf("it has not said %q: %w", cl.finished, errors.Join(err, os.ErrNotExist))
		}
		err := c.shape.differ(t.path, c.sums)
		if cl == nil && errors.Is(err, errNoEmptyFile) {
			return errors.New("btclient has not made the empty file")
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("%w; it said: %s", err, lastWords(p.Log))
	}
	return err
}

// lastWords are the end of a log, in one line.
func lastWords(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	words := strings.Join(strings.Fields(string(text)), " ")
	return words[max(0, len(words)-300):]
}

// confess looks whether the client itself has said that it cannot use such a tracker, or
// such a content.
func (cl *client) confess(p *lab.Process, tracker string, c *content, err error) error {
	if err == nil {
		return nil
	}
	text, readErr := os.ReadFile(p.Log)
	for _, thing := range []string{tracker, c.shape.name} {
		known, found := cl.cannot[thing]
		if !found || readErr != nil {
			continue
		}
		if said := known.words.Find(text); said != nil {
			return fmt.Errorf("%w: %s (it says: %s)", errCannot, known.means, bytes.TrimSpace(said))
		}
	}
	return err
}

// manner is how a cell is played besides who is who.
type manner struct {
	tracker   string // http or udp
	magnet    bool   // who fetches has a link, no .torrent
	encrypted bool   // the other client takes encrypted connections alone
}

// ask plays one cell of a client alone with btclient, and gives how long the fetching
// took.
func (w *world) ask(cl *client, role string, how manner, s shape) (time.Duration, error) {
	c, err := w.make(s)
	if err != nil {
		return 0, err
	}
	if role == seeds {
		return w.clientSeeds(cl, how, c)
	}
	return w.clientFetches(cl, how, c)
}

// clientSeeds: a client alone has what was published, and btclient downloads it.
func (w *world) clientSeeds(cl *client, how manner, c *content) (time.Duration, error) {
	if err := w.publish(firstHost, c); err != nil {
		return 0, err
	}
	torrent, err := w.torrent(c, how.tracker == "udp")
	if err != nil {
		return 0, err
	}
	from, err := w.target(secondHost, c, torrent)
	if err == nil {
		err = copyTree(context.Background(), c.path, from.path)
	}
	if err != nil {
		return 0, err
	}
	from.udp, from.encrypted = how.tracker == "udp", how.encrypted
	p, err := w.give(cl, secondHost, from)
	if err != nil {
		return 0, err
	}
	if err := w.listed(c.name, 1); err != nil {
		return 0, cl.confess(p, how.tracker, c, fmt.Errorf("%w; it said: %s", err, lastWords(p.Log)))
	}
	what := c.name
	if how.magnet {
		if what, err = w.magnet(c, torrent); err != nil {
			return 0, err
		}
	}
	return w.downloads(thirdHost, what, c)
}

// downloads has a btclient fetch content, by its name or a link.
func (w *world) downloads(host int, what string, c *content) (time.Duration, error) {
	to, err := w.target(host, c, "")
	if err != nil {
		return 0, err
	}
	began := time.Now()
	p, err := w.fetch(host, what, to.path, to.done)
	if err != nil {
		return 0, err
	}
	err = w.whole(p, nil, to, c, patience)
	return time.Since(began), err
}

// clientFetches: btclient publishes and serves, and a client fetches.
func (w *world) clientFetches(cl *client, how manner, c *content) (time.Duration, error) {
	if _, err := w.seed(firstHost, c); err != nil {
		return 0, err
	}
	torrent, err := w.torrent(c, how.tracker == "udp")
	if err == nil && how.magnet {
		torrent, err = w.magnet(c, torrent)
	}
	if err != nil {
		return 0, err
	}
	to, err := w.target(secondHost, c, torrent)
	if err != nil {
		return 0, err
	}
	to.udp, to.encrypted = how.tracker == "udp", how.encrypted
	began := time.Now()
	p, err := w.give(cl, secondHost, to)
	if err == nil {
		err = cl.confess(p, how.tracker, c, w.whole(p, cl, to, c, cl.patience(c.shape)))
	}
	return time.Since(began), err
}

// mixed: a btclient seeds, two more and all clients fetch, together.
func (w *world) mixed(all []*client, tracker string, s shape) ([]cell, float64) {
	cells := make([]cell, len(all))
	tell := func(err error) ([]cell, float64) {
		for i, cl := range all {
			cells[i] = cell{Client: cl.name, Role: mixes, Tracker: tracker, Shape: s.name}.judge(0, err)
		}
		return cells, 0
	}
	c, err := w.make(s)
	if err != nil {
		return tell(err)
	}
	if _, err := w.seed(firstHost, c); err != nil {
		return tell(err)
	}
	torrent, err := w.torrent(c, tracker == "udp")
	if err != nil {
		return tell(err)
	}
	before, err := w.lab.Sent(firstHost)
	if err != nil {
		return tell(err)
	}
	type member struct {
		cl *client // nil: btclient
		p  *lab.Process
		to target
	}
	var swarm []member
	began := time.Now()
	for i, cl := range append([]*client{nil, nil}, all...) {
		m := member{cl: cl}
		host := secondHost + i
		if m.to, err = w.target(host, c, torrent); err != nil {
			return tell(err)
		}
		m.to.udp = tracker == "udp"
		if cl == nil {
			m.p, err = w.fetch(host, c.name, m.to.path, m.to.done)
		} else {
			m.p, err = w.give(cl, host, m.to)
		}
		if err != nil {
			return tell(err)
		}
		swarm = append(swarm, m)
	}
	var ours [2]error
	var wg sync.WaitGroup
	for i, m := range swarm {
		wg.Go(func() {
			err := w.whole(m.p, m.cl, m.to, c, 2*patience)
			if m.cl == nil {
				ours[i] = err
				return
			}
			cells[i-len(ours)] = cell{Client: m.cl.name, Role: mixes, Tracker: tracker, Shape: s.name}.judge(time.Since(began), m.cl.confess(m.p, tracker, c, err))
		})
	}
	wg.Wait()
	if err := errors.Join(ours[:]...); err != nil {
		return tell(fmt.Errorf("btclient among them: %w", err))
	}
	after, err := w.lab.Sent(firstHost)
	if err != nil {
		return tell(err)
	}
	return cells, float64(after-before) / float64(s.size())
}
