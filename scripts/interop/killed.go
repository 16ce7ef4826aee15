package main

import (
	"context"
	"fmt"
	"time"
)

// limited is what is sent over slow links.
var limited = shape{name: "file", files: []file{{"", 24<<20 + 4321}}}

// killed is the case of a client whose tracker is killed.
func killed(client string) func(*world, *report) {
	return func(w *world, r *report) {
		took, err := w.playKilled(named(client))
		r.Killed = append(r.Killed, cell{Client: client, Role: "fetches, its tracker killed", Tracker: "http", Shape: limited.name}.judge(took, err))
		r.tell(r.Killed[len(r.Killed)-1])
	}
}

// playKilled kills the first tracker of a client's .torrent in the middle of its
// download, and the only seed with it. Another seed comes then, on a host that calls
// nobody: the client can only have it from the trackers that are left. It gives the time
// from the kill to the end.
func (w *world) playKilled(cl *client) (time.Duration, error) {
	c, err := w.make(limited)
	if err != nil {
		return 0, err
	}
	seed, err := w.seed(firstHost, c)
	if err != nil {
		return 0, err
	}
	torrent, err := w.torrent(c, false)
	if err != nil {
		return 0, err
	}
	second, err := w.target(thirdHost, c, "")
	if err == nil {
		err = copyTree(context.Background(), c.path, second.path)
	}
	if err == nil {
		err = w.lab.Quiet(thirdHost, []int{secondHost})
	}
	if err != nil {
		return 0, err
	}
	to, err := w.target(secondHost, c, torrent)
	if err != nil {
		return 0, err
	}
	to.byTCP = true // or Transmission would call the second seed only a quarter of an hour later
	p, err := w.give(cl, secondHost, to)
	if err != nil {
		return 0, err
	}
	err = w.eventually(patience, "a quarter has been sent", func() error {
		if n, err := w.lab.Sent(firstHost); err != nil || n < limited.size()/4 {
			return fmt.Errorf("%d bytes have left the seed; %w; %s", n, err, lastWords(p.Log))
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	w.ring[0].Kill()
	seed.Kill()
	at := time.Now()
	if err := c.shape.differ(to.path, c.sums); err == nil {
		return 0, fmt.Errorf("%s had all before its tracker was killed", cl.name)
	}
	if _, err := w.seedCopy(thirdHost, c, second.path); err != nil {
		return 0, err
	}
	err = w.whole(p, cl, to, c, 2*patience)
	return time.Since(at), err
}
