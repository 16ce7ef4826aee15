package tracker

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"chordtorrent/communicator"
)

const shardCount = 64

// What a view holds at most, in all; the swarms that nobody announced to for the longest
// time go first. A record takes some 70 bytes, so this is about 300 MB.
const (
	maxStored = 1 << 22
	maxSwarms = 1 << 19
)

// loadSpacing is the least time between two announces that a node asks for, over all of its
// peers, and tellSpacing that over all swarms in use: with very many, each comes less often.
const loadSpacing = 200 * time.Microsecond

// view is what this node knows of swarms: its own peers, which it tells the ring of, and
// some of those of other nodes, which the ring told it of. The ring stays the truth: what a
// view has forgotten or never heard of is asked there.
type view struct {
	ring           Ring
	names          *names
	sources        *sources
	registeredOnly bool
	now            func() time.Time
	// What one shard may hold.
	mostStored, mostSwarms int

	shards  [shardCount]shard
	queued  atomic.Int64 // swarms in the shards' queues
	own     atomic.Int64 // peers that announce here
	stored  atomic.Int64 // records
	evicted atomic.Uint64
	jobs    chan job
}

type shard struct {
	mu     sync.Mutex
	swarms map[[20]byte]*swarm
	queue  queue
	stored int // records in swarms
}

func newView(ring Ring, names *names, sources *sources, registeredOnly bool) *view {
	v := &view{ring: ring, names: names, sources: sources, registeredOnly: registeredOnly, now: time.Now,
		mostStored: maxStored / shardCount, mostSwarms: maxSwarms / shardCount, jobs: make(chan job)}
	for i := range v.shards {
		v.shards[i].swarms = make(map[[20]byte]*swarm)
	}
	return v
}

func (v *view) shard(hash *[20]byte) *shard { return &v.shards[hash[0]%shardCount] }

// answer is what a peer is told.
type answer struct {
	peers             []record
	seeders, leechers int
	interval          time.Duration
	warning           string
}

var (
	errTooManyPeers = errors.New("too many peers announce from this address: stop some torrents, or have the tracker's --source-peers raised")
	errTooFast      = errors.New("too many announces or other requests from this address: the tracker's --source-rate bounds them")
	errBusy         = errors.New("too many requests from this address wait for the ring: ask again in a while")
)

// warnNoRing is what clients are told while the ring is silent.
const warnNoRing = "the ring does not answer at the moment: peers of other nodes are not known"

// announce carries an announce out and fills in its answer; peers are appended to out.peers.
// It never waits. known is false if the ring has to be looked at first, by meet.
func (v *view) announce(a *announce, out *answer, now time.Time) (known bool, err error) {
	sh := v.shard(&a.infoHash)
	ms, sec := now.UnixMilli(), uint32(now.Unix())
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.swarms[a.infoHash]
	if s == nil || s.meeting != nil {
		return false, nil
	}
	s.used = ms
	i := s.find(&a.peerID)
	anothers := s.isAnothers(i, a, sec)
	if a.event == communicator.Stopped {
		out.interval = stoppedInterval
		if i >= 0 && !anothers {
			v.leave(sh, s, i, ms)
		}
		out.seeders, out.leechers = s.seeders(), s.leechers()
		return true, nil
	}
	since, seeding := sec, a.left == 0
	if !anothers { // else it is told of peers, and nobody of it
		completed := a.event == communicator.Completed && seeding && (i < 0 || s.peers[i].left > 0)
		if i, err = v.enter(sh, s, i, a, ms, sec); err != nil {
			return true, err
		}
		if completed {
			s.downloaded++
		}
		since = s.peers[i].since
	}
	had := len(out.peers)
	// Who begins may have nothing but a magnet link: aria2 says then that nothing is left.
	alike := a.paused || seeding && a.event != communicator.Started
	out.peers = s.pick(out.peers, i, a.want, alike, a.family, sec)
	out.seeders, out.leechers = s.seeders(), s.leechers()
	if !s.named {
		out.warning = warnNoRing
	}
	out.interval = v.interval(s, since, seeding, len(out.peers)-had, a.want, sec)
	if !anothers {
		r := &s.peers[i]
		r.until = sec + uint32(seconds(communicator.Lifetime(out.interval)))
		if r.lacks(sec) {
			v.tellLater(sh, s, ms, r.ring == 0)
		}
	}
	v.lookLater(sh, s, ms, !seeding)
	return true, nil
}

// stoppedInterval is told to who has left, and means nothing.
const stoppedInterval = 3 * time.Minute

// enter finds or makes the record of a peer that announces, as it is now, and gives its place.
func (v *view) enter(sh *shard, s *swarm, i int, a *announce, ms int64, sec uint32) (int, error) {
	left := packLeft(a.left)
	if i < 0 {
		if old := s.at(&a.ip, a.port); old >= 0 {
			v.leave(sh, s, old, ms) // it was started anew, and has another id
		}
		held, ok := v.hold(&a.ip, ms)
		if !ok {
			return i, errTooManyPeers
		}
		flags := heard | held
		if _, told := s.gone[a.peerID]; told {
			flags |= inRing // which has not heard yet that it left
			delete(s.gone, a.peerID)
		}
		v.own.Add(1)
		return v.put(sh, s, record{id: a.peerID, ip: a.ip, port: a.port, left: left, flags: flags, since: sec}), nil
	}
	r := &s.peers[i]
	if r.flags&foreign != 0 || r.ip != a.ip {
		held, ok := v.hold(&a.ip, ms)
		if !ok {
			return i, errTooManyPeers
		}
		if r.flags&foreign == 0 {
			v.sources.release(&r.ip, r.flags&shared != 0)
		} else {
			v.own.Add(1)
			r.since = sec
		}
		r.flags = r.flags&inRing | held
		r.ring = 0
	}
	if r.port != a.port || (r.left == 0) != (left == 0) || r.flags&doubted != 0 {
		r.ring = 0
	}
	if a.event == communicator.Started {
		r.since = sec
	}
	r.flags = r.flags&^doubted | heard
	s.move(i, a.ip, a.port)
	return s.setLeft(i, left), nil
}

// mostGone bounds how many peers that have left are remembered for a ring that does not
// answer; of the others its entries expire.
const mostGone = 4096

// leave removes a peer that has announced here or elsewhere.
func (v *view) leave(sh *shard, s *swarm, i int, ms int64) {
	id, ip, told := s.peers[i].id, s.peers[i].ip, s.peers[i].flags&inRing != 0
	v.drop(sh, s, i)
	if told {
		if s.gone == nil {
			s.gone = make(map[[20]byte][16]byte)
		}
		if len(s.gone) == mostGone {
			for any := range s.gone {
				delete(s.gone, any)
				break
			}
		}
		s.gone[id] = ip
		v.tellLater(sh, s, ms, true)
	}
}

// put adds a record to a swarm and the accounts, and gives its place.
func (v *view) put(sh *shard, s *swarm, r record) int {
	v.makeRoom(sh, s)
	sh.stored++
	v.stored.Add(1)
	return s.add(r)
}

// drop takes a record out of a swarm and the accounts.
func (v *view) drop(sh *shard, s *swarm, i int) {
	if r := &s.peers[i]; r.flags&foreign == 0 {
		v.forgetOwn(r)
	}
	s.remove(i)
	sh.stored--
	v.stored.Add(-1)
}

func (v *view) forgetOwn(r *record) {
	v.sources.release(&r.ip, r.flags&shared != 0)
	v.own.Add(-1)
}

// hold counts one more peer of an address, and gives the flag that says where; false: it
// has too many.
func (v *view) hold(ip *[16]byte, ms int64) (flag uint8, ok bool) {
	inShared, ok := v.sources.hold(ip, ms)
	if inShared {
		flag = shared
	}
	return flag, ok
}

// interval is the time to the next announce of a peer that is here since a second.
func (v *view) interval(s *swarm, since uint32, seeding bool, told, want int, sec uint32) time.Duration {
	leechers := s.leechers()
	p := communicator.Pace{Swarm: s.seeders() + leechers, Age: time.Duration(sec-min(since, sec)) * time.Second, Seeder: seeding, Known: told,
		Needs: !seeding && want > 0, Unwanted: seeding && leechers == 0 && since != sec}
	draw := rand.Float64()
	d := p.Interval(draw)
	if load := max(time.Duration(v.own.Load())*loadSpacing, time.Duration(v.queued.Load())*tellSpacing); load > d {
		d = time.Duration(float64(load) * (0.8 + 0.4*draw))
	}
	return d
}

// census is what is told of a swarm to who does not join it.
type census struct {
	seeders, leechers int
	// downloaded is how many have told this node that they have got all of it, as long as
	// it has known the swarm: the ring does not add them up.
	downloaded int
	name       string // in the ring; "": it has none
}

// count tells of a swarm without joining it; ok is false for one that is not known here, or
// whose part elsewhere was looked at too long ago: of that one, downloaded alone is told.
func (v *view) count(hash [20]byte) (c census, ok bool) {
	sh := v.shard(&hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.swarms[hash]
	if s == nil {
		return c, false
	}
	c.downloaded = int(s.downloaded)
	if s.meeting != nil || !s.named || v.now().UnixMilli()-s.looked > foreignLife.Milliseconds() {
		return c, false
	}
	c.seeders, c.leechers, c.name = s.seeders(), s.leechers(), s.name
	return c, true
}

// meet has the ring looked at for a swarm that is not known here, and waits for it until
// ctx ends or firstLook is over. Many may wait for one look.
func (v *view) meet(ctx context.Context, hash [20]byte) error {
	sh := v.shard(&hash)
	sh.mu.Lock()
	s := sh.swarms[hash]
	switch {
	case s == nil:
		if len(sh.swarms) >= v.mostSwarms {
			v.evict(sh, nil, func() bool { return len(sh.swarms) < v.mostSwarms*7/8 })
		}
		now := v.now().UnixMilli()
		s = &swarm{hash: hash, place: -1, born: now, used: now, meeting: make(chan struct{})}
		sh.swarms[hash] = s
		go v.firstLook(context.WithoutCancel(ctx), sh, s)
	case s.meeting == nil:
		sh.mu.Unlock()
		return nil
	}
	met := s.meeting
	sh.mu.Unlock()
	select {
	case <-met:
		return s.refused
	case <-ctx.Done():
		return ctx.Err()
	}
}
