package tracker

import (
	"context"
	"errors"
	"time"

	"chordtorrent/communicator"
)

// nameDue reports whether it is time to ask for the swarm's name again.
func (v *view) nameDue(j job) bool {
	j.shard.mu.Lock()
	defer j.shard.mu.Unlock()
	s := j.swarm
	every := nameAgain
	if s.name == "" {
		every = min(max(time.Duration(j.began-s.born)*time.Millisecond, leastNameAgo), mostNameAgo)
	}
	return !s.named || j.began-s.nameAsk >= every.Milliseconds()
}

// rename asks for the name; false: the swarm is not to be tracked any more, and is gone.
func (v *view) rename(ctx context.Context, j job) bool {
	name, err := v.names.of(ctx, j.swarm.hash)
	j.shard.mu.Lock()
	defer j.shard.mu.Unlock()
	s := j.swarm
	s.nameAsk = j.began
	switch {
	case err != nil:
		return true // as it was
	case name == "" && v.registeredOnly:
		s.underWay = false
		v.forget(j.shard, s)
		return false
	case name != s.name || !s.named:
		s.name, s.named = name, true
		for i := range s.peers { // they belong into another map of the ring
			s.peers[i].ring = 0
		}
		s.tellAt = j.began
	}
	return true
}

// gather makes the entries that the ring lacks; ok is false if it is not known where they
// belong. Peers count as told of from now on.
func (v *view) gather(j job) (name string, entries []communicator.Entry, ok bool) {
	now := uint32(v.now().Unix())
	j.shard.mu.Lock()
	defer j.shard.mu.Unlock()
	s := j.swarm
	if !s.named {
		retry := j.began + retryAfter.Milliseconds()
		s.tellAt, s.lookAt = retry, 0
		return "", nil, false
	}
	if s.tellAt == 0 || s.tellAt > j.began {
		return s.name, nil, true
	}
	s.tellAt, s.told = 0, j.began
	for i := range s.peers {
		r := &s.peers[i]
		if r.flags&foreign != 0 || r.until <= now || !r.lacks(now) {
			continue
		}
		r.ring = r.until
		r.flags |= inRing
		entries = append(entries, r.entry(now))
	}
	for id := range s.gone {
		entries = append(entries, communicator.Entry{PeerID: id})
	}
	return s.name, entries, true
}

// registered notes what came of a registration.
func (v *view) registered(j job, entries []communicator.Entry, err error) {
	now := v.now().UnixMilli()
	j.shard.mu.Lock()
	defer j.shard.mu.Unlock()
	s := j.swarm
	if err != nil {
		for k := range entries {
			if i := s.find(&entries[k].PeerID); i >= 0 {
				s.peers[i].ring = 0
			}
		}
		s.tellAt = now + retryAfter.Milliseconds()
		return
	}
	for k := range entries {
		if entries[k].Life == 0 {
			delete(s.gone, entries[k].PeerID)
		}
	}
}

// lookBegins notes that what peers do from now on is news.
func (v *view) lookBegins(j job) {
	now := v.now().UnixMilli()
	j.shard.mu.Lock()
	defer j.shard.mu.Unlock()
	s := j.swarm
	s.looked, s.lookAt = now, 0
	for i := range s.peers {
		r := &s.peers[i]
		was := r.flags & heard
		if r.flags &^= heard | heardBefore; was != 0 {
			r.flags |= heardBefore
		}
	}
}

// seen lays what a look has brought over the view.
func (v *view) seen(j job, found communicator.Swarm) {
	sec := uint32(v.now().Unix())
	j.shard.mu.Lock()
	defer j.shard.mu.Unlock()
	s, sh := j.swarm, j.shard
	for i := len(s.peers) - 1; i >= 0; i-- {
		if s.peers[i].flags&foreign != 0 {
			v.drop(sh, s, i)
		}
	}
	v.heed(sh, s, found, sec)
	mine := v.missed(sh, s, found, sec)
	s.beyond.seeders, s.beyond.leechers = 0, 0
	others := found.Seeders + found.Leechers
	exact := others == len(found.Peers)
	seeders, leechers := 0, 0
	for k := range found.Peers {
		p := &found.Peers[k]
		if _, left := s.gone[p.PeerID]; left || s.find(&p.PeerID) >= 0 {
			continue
		}
		if p.Left == 0 {
			seeders++
		} else {
			leechers++
		}
		v.put(sh, s, record{id: p.PeerID, ip: p.Addr.Addr().As16(), port: p.Addr.Port(), flags: foreign | inRing, left: packLeft(p.Left),
			since: sec, until: sec + uint32(seconds(foreignLife))})
	}
	if beyond := others - mine - seeders - leechers; !exact && beyond > 0 && seeders+leechers > 0 {
		s.beyond.seeders = beyond * seeders / (seeders + leechers)
		s.beyond.leechers = beyond - s.beyond.seeders
	}
}

// foreignLife is how long others are told of a peer that the ring showed, without another look.
const foreignLife = 2 * mostLookGap

// heed has peers of this node count for no more than those count whom others could not reach:
// such a one is forgotten before its time. But who has announced since the look before may
// have done so after they tried, and the ring is told that it is there.
func (v *view) heed(sh *shard, s *swarm, found communicator.Swarm, sec uint32) {
	lives := func(r *record) bool {
		if r.flags&(heard|heardBefore) == 0 {
			return false
		}
		r.ring = 0
		v.tellLater(sh, s, v.now().UnixMilli(), true)
		return true
	}
	for k := range found.Unreachable {
		if i := s.find(&found.Unreachable[k].PeerID); i >= 0 && !lives(&s.peers[i]) {
			v.drop(sh, s, i)
		}
	}
	for k := range found.Peers {
		p := &found.Peers[k]
		if len(p.Doubters) == 0 {
			continue
		}
		if i := s.find(&p.PeerID); i >= 0 && s.peers[i].flags&doubted == 0 && !lives(&s.peers[i]) {
			r := &s.peers[i]
			r.flags |= doubted
			r.until = min(r.until, sec+uint32(seconds(communicator.DoubtFor)))
			r.ring = min(r.ring, r.until)
		}
	}
}

// missed counts the peers of this node that the ring has been told of, and forgets those
// that it shows no more, as they have left by another node. A ring that shows few of them
// has lost what it had, and gets it back with the next announces.
func (v *view) missed(sh *shard, s *swarm, found communicator.Swarm, sec uint32) int {
	told := 0
	for i := range s.peers {
		if s.peers[i].ring > sec {
			told++
		}
	}
	if found.Seeders+found.Leechers != len(found.Peers) {
		return told
	}
	shown := make(map[[20]byte]bool, len(found.Peers))
	mine := 0
	for k := range found.Peers {
		shown[found.Peers[k].PeerID] = true
		if i := s.find(&found.Peers[k].PeerID); i >= 0 {
			mine++
		}
	}
	if 2*mine < told {
		for i := range s.peers {
			if !shown[s.peers[i].id] {
				s.peers[i].ring = 0
			}
		}
		v.tellLater(sh, s, v.now().UnixMilli(), true)
		return mine
	}
	for i := len(s.peers) - 1; i >= 0; i-- {
		if r := &s.peers[i]; r.ring > sec && r.flags&heard == 0 && !shown[r.id] {
			v.drop(sh, s, i)
		}
	}
	return mine
}

// firstLook asks the ring about a swarm that is new here.
func (v *view) firstLook(ctx context.Context, sh *shard, s *swarm) {
	ctx, cancel := context.WithTimeout(ctx, firstWait)
	defer cancel()
	j := job{shard: sh, swarm: s, look: true, began: s.born}
	name, err := v.names.of(ctx, s.hash)
	var found communicator.Swarm
	lookErr, refused := err, err
	switch {
	case err == nil && name == "" && v.registeredOnly:
		refused = errNotAuthorized
	case err == nil:
		found, lookErr = v.ring.Peers(ctx, name, s.hash, sample)
	case !v.registeredOnly && !errors.Is(err, communicator.ErrClosed):
		refused = nil // its own peers are better than nothing
	}
	if err == nil {
		sh.mu.Lock()
		s.name, s.named, s.nameAsk, s.looked = name, true, s.born, s.born
		sh.mu.Unlock()
	}
	if lookErr == nil && refused == nil {
		v.seen(j, found)
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s.refused = refused
	if refused != nil {
		v.forget(sh, s)
	}
	met := s.meeting
	s.meeting = nil
	close(met)
}
