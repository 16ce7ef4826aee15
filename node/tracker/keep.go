package tracker

import (
	"context"
	"sync"
	"time"
)

const (
	// firstWait bounds how long the very first announce to a swarm waits for the ring.
	firstWait = 3 * time.Second
	// jobWait is how long the ring may take for anything else; nobody waits for it.
	jobWait = 5 * time.Second
	// workers is how many swarms the ring is told or asked about at a time.
	workers = 8
	// tick is how often it is looked who is due.
	tick = 100 * time.Millisecond

	// Peers that come to a swarm or leave it are gathered for tellSoon; the ring is told of
	// one swarm every tellGap then. That a peer is still there can wait for tellLazily.
	tellSoon   = 200 * time.Millisecond
	tellGap    = time.Second
	tellLazily = 5 * time.Second
	// What the others have is looked at again after this time while somebody fetches, the
	// sooner the fewer peers there are and the younger the swarm.
	lookYoung, lookOld, lookLarge = 2 * time.Second, 5 * time.Second, 15 * time.Second
	youngSwarm                    = 2 * time.Minute
	smallSwarm, largeSwarm        = 30, 200
	// With very many swarms in use each has to wait longer: the ring is told of one in
	// tellSpacing, and looked at for one in lookSpacing.
	tellSpacing, lookSpacing = 2 * time.Millisecond, 5 * time.Millisecond
	mostTellGap, mostLookGap = 20 * time.Second, time.Minute
	// retryAfter is when what the ring did not take is tried again.
	retryAfter = 2 * time.Second

	// sample is how many peers a look brings.
	sample = 50
	// A name is asked for again after nameAgain; that there is none, after as long as the
	// swarm has been known, within these bounds.
	nameAgain                 = time.Minute
	leastNameAgo, mostNameAgo = 2 * time.Second, time.Minute
)

// tellLater has the ring told of a swarm's peers, soon if they have changed.
func (v *view) tellLater(sh *shard, s *swarm, ms int64, changed bool) {
	gap := min(max(tellGap, time.Duration(v.queued.Load())*tellSpacing), mostTellGap).Milliseconds()
	at := max(ms+tellSoon.Milliseconds(), s.told+gap)
	if !changed {
		at = ms + max(tellLazily.Milliseconds(), gap)
	}
	if s.tellAt == 0 || at < s.tellAt {
		s.tellAt = at
		v.enqueue(sh, s)
	}
}

// lookLater has the ring looked at for a swarm that is in use, sooner if somebody fetches.
func (v *view) lookLater(sh *shard, s *swarm, ms int64, fetches bool) {
	if s.lookAt != 0 {
		return
	}
	every := lookOld
	switch n := s.seeders() + s.leechers(); {
	case !fetches, n >= largeSwarm:
		every = lookLarge
	case n < smallSwarm || ms-s.born < youngSwarm.Milliseconds():
		every = lookYoung
	}
	every = min(max(every, time.Duration(v.queued.Load())*lookSpacing), mostLookGap)
	s.lookAt = max(ms, s.looked+every.Milliseconds())
	v.enqueue(sh, s)
}

// enqueue puts a swarm where it belongs in its shard's queue.
func (v *view) enqueue(sh *shard, s *swarm) {
	due := s.tellAt
	if due == 0 || (s.lookAt != 0 && s.lookAt < due) {
		due = s.lookAt
	}
	if due == 0 || s.underWay {
		return // whoever has it looks again
	}
	if s.place < 0 {
		v.queued.Add(1)
	}
	sh.queue.add(s, due)
}

func (v *view) dequeue(sh *shard, s *swarm) {
	if s.place >= 0 {
		v.queued.Add(-1)
		sh.queue.remove(s)
	}
}

// job is what the ring is to be told and asked about a swarm.
type job struct {
	shard *shard
	swarm *swarm
	look  bool
	began int64
}

// run keeps the view and the ring agreed until ctx ends.
func (v *view) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for range workers {
		wg.Go(func() {
			for {
				select {
				case j := <-v.jobs:
					v.do(ctx, j)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	// Peers are forgotten in time also while the ring keeps all workers waiting.
	wg.Go(func() {
		everyTick(ctx, func(n int) { v.sweep(&v.shards[n%shardCount], v.now()) })
	})
	everyTick(ctx, func(int) {
		for i := range v.shards {
			v.handOut(ctx, &v.shards[i])
		}
	})
}

// everyTick calls something again and again, with how often it was called before, until
// ctx ends.
func everyTick(ctx context.Context, do func(n int)) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ticker.C:
			do(n)
		case <-ctx.Done():
			return
		}
	}
}

// handOut gives the workers what is due in a shard. It waits while they all have something
// to do: the ring is not asked faster than it answers. What is due again meanwhile waits for
// the other shards: a part of the ring that is silent does not have all the workers for good.
func (v *view) handOut(ctx context.Context, sh *shard) {
	due := v.now().UnixMilli()
	for ctx.Err() == nil {
		j, ok := v.next(sh, due)
		if !ok {
			return
		}
		select {
		case v.jobs <- j:
		case <-ctx.Done():
		}
	}
}

// next takes a job out of a shard's queue that was due at a time.
func (v *view) next(sh *shard, due int64) (j job, ok bool) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.queue.take(due)
	if s == nil {
		return j, false
	}
	v.queued.Add(-1)
	s.underWay = true
	now := v.now().UnixMilli()
	return job{shard: sh, swarm: s, look: s.lookAt != 0 && s.lookAt <= now, began: now}, true
}

// do carries a job out.
func (v *view) do(ctx context.Context, j job) {
	ctx, cancel := context.WithTimeout(ctx, jobWait)
	defer cancel()
	if v.nameDue(j) && !v.rename(ctx, j) {
		return
	}
	name, entries, ok := v.gather(j)
	if ok && len(entries) > 0 {
		v.registered(j, entries, v.ring.Register(ctx, name, j.swarm.hash, entries))
	}
	if ok && j.look {
		v.lookBegins(j)
		found, err := v.ring.Peers(ctx, name, j.swarm.hash, sample)
		if err == nil { // else the next announce asks again
			v.seen(j, found)
		}
	}
	j.shard.mu.Lock()
	defer j.shard.mu.Unlock()
	j.swarm.underWay = false
	v.enqueue(j.shard, j.swarm)
}
