package tracker

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// makeRoom sees to it that one more record fits into a shard beside the swarm at hand.
func (v *view) makeRoom(sh *shard, keep *swarm) {
	if sh.stored < v.mostStored {
		return
	}
	v.evict(sh, keep, func() bool { return sh.stored < v.mostStored*7/8 })
	if sh.stored >= v.mostStored && len(keep.peers) > 0 { // one swarm has it all
		v.drop(sh, keep, rand.IntN(len(keep.peers)))
		v.evicted.Add(1)
	}
}

// evict forgets swarms, those that nobody announced to for the longest time first, until
// there are few enough.
func (v *view) evict(sh *shard, keep *swarm, enough func() bool) {
	idle := make([]*swarm, 0, len(sh.swarms))
	for _, s := range sh.swarms {
		if s != keep && s.meeting == nil && !s.underWay {
			idle = append(idle, s)
		}
	}
	slices.SortFunc(idle, func(a, b *swarm) int { return cmp.Compare(a.used, b.used) })
	for _, s := range idle {
		if enough() {
			return
		}
		v.evicted.Add(uint64(len(s.peers)))
		v.forget(sh, s)
	}
}

// forget drops a swarm; what the ring knows of its peers stays there until it expires.
func (v *view) forget(sh *shard, s *swarm) {
	for len(s.peers) > 0 {
		v.drop(sh, s, len(s.peers)-1)
	}
	v.dequeue(sh, s)
	delete(sh.swarms, s.hash)
}

// sweep forgets the peers of a shard that were not heard of for too long, and swarms that
// nobody is in.
func (v *view) sweep(sh *shard, now time.Time) {
	sec := uint32(now.Unix())
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, s := range sh.swarms {
		if s.meeting != nil {
			continue
		}
		n := s.expire(sec, v.forgetOwn)
		sh.stored -= n
		v.stored.Add(-int64(n))
		if len(s.peers) == 0 && len(s.gone) == 0 && !s.underWay && now.UnixMilli()-s.used > idleSwarm.Milliseconds() {
			v.forget(sh, s)
		}
	}
}

// idleSwarm is how long a swarm without peers is remembered.
const idleSwarm = 30 * time.Second
