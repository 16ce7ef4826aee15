package daemon

import (
	"cmp"
	"context"
	"slices"
	"time"

	"chordtorrent/client/api"
)

// slot is what a run takes one of, so that not too many run at a time.
type slot uint8

const (
	fetching   slot = iota // bound by Settings.MaxDownloads
	publishing             // small files, which wait for the ring
	hashing                // large ones, which keep the disk busy
	taking                 // what commands bring, at their pace
	opening                // what is complete, until it is served
	slots
)

// most is how many runs of each kind there may be.
func (d *Daemon) most(s slot) int {
	switch s {
	case fetching:
		return d.settings.MaxDownloads
	case publishing:
		return 32
	case hashing:
		return 2
	case taking:
		return 4
	}
	return 8
}

// queues hold the jobs that wait for a slot, in the order of their turns.
type queues struct {
	waiting [slots][]*job
	taken   [slots]int
}

// slotFor says which queue a job belongs into.
func slotFor(j *job) slot {
	switch {
	case j.wantsOpening():
		return opening
	case j.Kind == api.Download:
		return fetching
	case j.Stream != "":
		return taking
	case j.Large:
		return hashing
	}
	return publishing
}

// wait puts a job that has something to do where its turn will come.
func (d *Daemon) wait(j *job) {
	if j.waiting || j.run != nil || j.leaving != nil || !j.wantsRun() {
		return
	}
	if pause := time.Until(j.due); pause > 0 {
		time.AfterFunc(pause, func() { d.post(func() { d.wait(j) }) })
		return
	}
	s := slotFor(j)
	q := &d.queues.waiting[s]
	at, _ := slices.BinarySearchFunc(*q, j, func(a, b *job) int {
		return cmp.Or(-cmp.Compare(a.Priority, b.Priority), a.Added.Compare(b.Added), cmp.Compare(a.ID, b.ID))
	})
	*q = slices.Insert(*q, at, j)
	j.waiting = true
}

// unwait takes a job out of its queue, for it to be put elsewhere.
func (d *Daemon) unwait(j *job) {
	if !j.waiting {
		return
	}
	j.waiting = false
	for s := range d.queues.waiting {
		d.queues.waiting[s] = slices.DeleteFunc(d.queues.waiting[s], func(other *job) bool { return other == j })
	}
}

// schedule begins what has its turn.
func (d *Daemon) schedule() {
	for s := range slots {
		for len(d.queues.waiting[s]) > 0 && d.queues.taken[s] < d.most(s) && !d.ending {
			j := d.queues.waiting[s][0]
			d.queues.waiting[s] = d.queues.waiting[s][1:]
			j.waiting = false
			switch {
			case j.run != nil || j.leaving != nil || !j.wantsRun() || d.jobs[j.ID] != j:
			case slotFor(j) != s: // it has changed since it was put there
				d.wait(j)
			default:
				d.begin(j, s)
			}
		}
	}
}

// begin starts a run.
func (d *Daemon) begin(j *job, s slot) {
	ctx, cancel := context.WithCancel(d.ctx)
	r := &run{cancel: cancel, ended: make(chan struct{}), slot: s, bytes: j.bytes}
	j.run = r
	d.queues.taken[s]++
	d.running++
	d.changed(j.ID)
	if s != opening {
		d.sample()
	}
	go d.carry(ctx, j, r, j.saved)
}
