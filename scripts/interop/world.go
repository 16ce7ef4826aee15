package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"chordtorrent/scripts/lab"
)

const (
	cluster = "interop"
	nodes   = 3 // the first hosts have one each
)

// world is a lab with a ring, and hosts for clients.
type world struct {
	o       *options
	lab     lab.Lab
	dir     string
	ring    []*lab.Process
	clients []*lab.Process
	started int
	names   int
}

// newWorld makes a ring and so many hosts more, with links of so many bits per second
// each; 0: as fast as the machine.
func newWorld(o *options, hosts int, rate int64) (*world, error) {
	dir, err := os.MkdirTemp(o.work, "world-")
	if err != nil {
		return nil, err
	}
	w := &world{o: o, dir: dir, lab: lab.Lab{Prefix: fmt.Sprint("io", os.Getpid()), Hosts: nodes + hosts}}
	if err := w.open(rate); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) open(rate int64) error {
	if err := w.lab.Build(); err != nil {
		return err
	}
	for i := nodes; rate > 0 && i < w.lab.Hosts; i++ {
		if err := w.lab.Shape(i, rate); err != nil {
			return err
		}
	}
	for i := range nodes {
		p, err := w.run(i, w.o.bin+"/chordnode", "--data-dir", filepath.Join(w.dir, fmt.Sprint("node-", i)), "--cluster", cluster,
			"--bind", w.lab.Addr(i)+":8000", "--http", w.tracker(i), "--udp", w.udpTracker(i))
		if err != nil {
			return err
		}
		w.ring = append(w.ring, p)
		if err := p.Says("ready id="); err != nil {
			return err
		}
	}
	return w.eventually(time.Minute, "the ring's ranges have three copies", func() error {
		for i := range nodes {
			var st struct {
				Counted    int `json:"counted_members"`
				Incomplete int `json:"incomplete_ranges"`
			}
			out, err := w.output(i, w.o.bin+"/chordnode", "status", "--json", "--cluster", cluster, "--node", w.lab.Addr(i)+":8000")
			if err == nil {
				err = json.Unmarshal(out, &st)
			}
			if err == nil && (st.Counted != nodes || st.Incomplete > 0) {
				err = fmt.Errorf("node %d counts %d", i, st.Counted)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// tracker is where the one of node i is by HTTP, udpTracker by UDP: at another port, as
// there are clients that ask by HTTP whatever the address says.
func (w *world) tracker(i int) string    { return w.lab.Addr(i) + ":6969" }
func (w *world) udpTracker(i int) string { return w.lab.Addr(i) + ":6970" }

func (w *world) run(host int, argv ...string) (*lab.Process, error) {
	w.started++
	return w.lab.Start(host, filepath.Join(w.dir, fmt.Sprintf("%03d-%s-host-%d.log", w.started, filepath.Base(argv[0]), host)), argv...)
}

// start runs a client on a host, until the end of the cell.
func (w *world) start(host int, argv ...string) (*lab.Process, error) {
	p, err := w.run(host, argv...)
	if err == nil {
		w.clients = append(w.clients, p)
	}
	return p, err
}

// output runs a command on a host to its end.
func (w *world) output(host int, argv ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	full := w.lab.On(host, argv...)
	out, err := exec.CommandContext(ctx, full[0], full[1:]...).Output()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		err = fmt.Errorf("%s: %w: %s", filepath.Base(argv[0]), err, bytes.TrimSpace(ended.Stderr))
	}
	return out, err
}

// get fetches from a node's tracker.
func (w *world) get(node int, path string) ([]byte, error) {
	return w.output(node, "curl", "-sS", "--fail-with-body", "--max-time", "20", "http://"+w.tracker(node)+path)
}

// eventually waits until ask finds no fault, and says what it was if it goes on too long.
func (w *world) eventually(most time.Duration, what string, ask func() error) error {
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		err := ask()
		if err == nil {
			return nil
		}
		if time.Since(began) > most || errors.Is(err, errEnded) || errors.Is(err, errNoEmptyFile) {
			return fmt.Errorf("waiting %.0f s until %s: %w", time.Since(began).Seconds(), what, err)
		}
	}
}

// listed waits until the ring knows of so many seeds of a name.
func (w *world) listed(name string, seeders int) error {
	return w.eventually(time.Minute, fmt.Sprintf("the ring hears of %d seeds", seeders), func() error {
		text, err := w.get(nodes-1, "/files.json?search="+url.QueryEscape(name))
		if err != nil {
			return err
		}
		var list struct {
			Files []struct{ Seeders int }
		}
		if err := json.Unmarshal(text, &list); err != nil {
			return err
		}
		if len(list.Files) != 1 || list.Files[0].Seeders < seeders {
			return fmt.Errorf("it lists %+v", list.Files)
		}
		return nil
	})
}

// endClients kills all clients and removes what they have fetched, and from what.
func (w *world) endClients() {
	for _, p := range w.clients {
		p.Kill()
	}
	w.clients = nil
	if w.o.keep {
		return
	}
	for _, of := range []string{"host-*", "source"} {
		dirs, err := filepath.Glob(filepath.Join(w.dir, of))
		for _, dir := range dirs {
			err = errors.Join(err, os.RemoveAll(dir))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "interop: what a cell leaves stays:", err)
		}
	}
}

func (w *world) close() {
	w.endClients()
	for _, p := range w.ring {
		p.Kill()
	}
	w.lab.Remove()
	if !w.o.keep {
		_ = os.RemoveAll(w.dir) // it is below --work, which goes as a whole
	}
}
