package main

import (
	"context"
	"time"

	"chordtorrent/scripts/lab"
)

// crowd is how many fetch at once where first copies are counted.
const crowd = 4

// copies is what a seed has sent until all of a crowd had all.
type copies struct {
	Seed     string  `json:"seed"`
	Fetching string  `json:"fetching"`
	Sent     float64 `json:"seed_sent_copies"`
	Seconds  float64 `json:"seconds"`
	Bound    float64 `json:"bound_seconds"` // no way in less: one link, full all the time
	Why      string  `json:"failed,omitempty"`
}

// playFirstCopies counts how much of a seed's link a crowd of other clients takes: with
// our seed, which shows them different pieces while it is the only one to have them (BEP
// 16), and with one that does nothing of that kind, for comparison.
func (w *world) playFirstCopies(r *report) {
	for _, fetching := range []*client{named("libtorrent"), named("aria2"), named("transmission"), nil} {
		for _, seed := range []*client{named("libtorrent"), nil} {
			one := copies{Seed: nameOf(seed), Fetching: nameOf(fetching), Bound: float64(limited.size()) * 8 / copiesRate}
			if err := w.countCopies(seed, fetching, &one); err != nil {
				one.Why = err.Error()
			}
			w.endClients()
			r.Copies = append(r.Copies, one)
			r.tell(one)
		}
	}
}

// copiesRate is how fast each link is, in bits per second.
const copiesRate = 20e6

// nameOf is a client's; nil is btclient.
func nameOf(cl *client) string {
	if cl == nil {
		return "btclient"
	}
	return cl.name
}

func (w *world) countCopies(seed, fetching *client, one *copies) error {
	c, err := w.make(limited)
	if err != nil {
		return err
	}
	if seed == nil {
		_, err = w.seed(firstHost, c)
	} else {
		err = w.publish(firstHost, c)
	}
	if err != nil {
		return err
	}
	torrent, err := w.torrent(c, false)
	if err != nil {
		return err
	}
	if seed != nil {
		from, err := w.target(firstHost, c, torrent)
		if err == nil {
			err = copyTree(context.Background(), c.path, from.path)
		}
		if err == nil {
			_, err = w.give(seed, firstHost, from)
		}
		if err == nil {
			err = w.listed(c.name, 1)
		}
		if err != nil {
			return err
		}
	}
	before, err := w.lab.Sent(firstHost)
	if err != nil {
		return err
	}
	began := time.Now()
	var all []*lab.Process
	var to []target
	for i := range crowd {
		t, err := w.target(secondHost+i, c, torrent)
		if err != nil {
			return err
		}
		var p *lab.Process
		if fetching == nil {
			p, err = w.fetch(secondHost+i, c.name, t.path, t.done)
		} else {
			p, err = w.give(fetching, secondHost+i, t)
		}
		if err != nil {
			return err
		}
		all, to = append(all, p), append(to, t)
	}
	for i, p := range all {
		if err := w.whole(p, fetching, to[i], c, patience); err != nil {
			return err
		}
	}
	one.Seconds = time.Since(began).Seconds()
	after, err := w.lab.Sent(firstHost)
	one.Sent = float64(after-before) / float64(limited.size())
	return err
}
