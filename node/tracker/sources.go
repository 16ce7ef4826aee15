package tracker

import (
	"math"
	"sync"
	"sync/atomic"
)

// What one address may do, unless Config says otherwise: a classroom behind one address
// that starts a hundred torrents on each of forty machines is within it.
const (
	defaultSourceRate  = 1000   // announces and scrapes a second, after a burst of sourceBurst seconds
	defaultSourcePeers = 50_000 // peers of its own in all swarms
	sourceBurst        = 5
	// sourceWaits bounds its requests that wait for the ring at a time.
	sourceWaits = mostAtOnce / 8
	// maxSources bounds what is remembered of addresses; those beyond share one account.
	maxSources   = 1 << 17
	sourceShards = 16
)

// source is one address's account; of IPv6 it is that of the network of 64 bits.
type source struct {
	credit float32 // requests that it may make at once; < 0: what it owes
	at     int64   // milliseconds, when credit was counted
	peers  int32   // of its own in the swarms of this node
	waits  int32   // requests that wait for the ring
	second int64   // in which it has last asked for something,
	spent  float32 // and for how much in that
}

// sources holds every address to what is fair to others: whoever goes beyond what is
// granted to each may have half as much again as its equal share of what the node answered
// in the second before. One that is alone has no limit; of two, one of which floods, that
// one gets less from second to second.
// An operator's limits are kept to the letter.
type sources struct {
	rate, peers int
	most        int          // accounts in a shard
	free        func() int64 // records that there is room for; nil: the limits are an operator's
	shards      [sourceShards]sourceShard

	second atomic.Int64  // now,
	active atomic.Int64  // the addresses that have asked in it,
	served atomic.Int64  // and for how much
	share  atomic.Uint64 // math.Float64bits of what one may have in it; 0: what is granted, and no more
}

// overShare is how much more than its equal share an address may have.
const overShare = 1.5

type sourceShard struct {
	mu    sync.Mutex
	known map[[16]byte]*source
	rest  source // of all that there is no room for
}

func newSources(rate, peers int) *sources {
	s := &sources{rate: rate, peers: peers, most: maxSources / sourceShards}
	for i := range s.shards {
		s.shards[i].known = make(map[[16]byte]*source)
		s.shards[i].rest.credit = float32(rate * sourceBurst)
	}
	return s
}

func accountOf(ip [16]byte) [16]byte {
	if !is4(&ip) {
		clear(ip[8:])
	}
	return ip
}

func (s *sources) shard(account *[16]byte) *sourceShard {
	return &s.shards[(account[15]^account[14]^account[7])%sourceShards]
}

// of gives an address's account, a new one if need be. The shard's lock is held.
func (s *sources) of(shard *sourceShard, account *[16]byte, now int64) *source {
	if a := shard.known[*account]; a != nil {
		return a
	}
	if len(shard.known) >= s.most {
		s.forget(shard, now)
		if len(shard.known) >= s.most {
			return &shard.rest
		}
	}
	a := &source{credit: float32(s.rate * sourceBurst), at: now, second: -1}
	shard.known[*account] = a
	return a
}

// mayAsk charges an address for a request that costs as much as so many announces; false:
// it has asked too much. Whoever has any credit may ask for the most costly, and owes the
// rest.
func (s *sources) mayAsk(ip *[16]byte, now int64, cost int) bool {
	account := accountOf(*ip)
	shard := s.shard(&account)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	a := s.of(shard, &account, now)
	if now > a.at {
		a.credit, a.at = s.earned(a, now), now
	}
	second := now / 1000
	s.turn(second)
	if a.second != second {
		a.second, a.spent = second, 0
		s.active.Add(1)
	}
	switch {
	case a.credit >= 1:
		a.credit -= float32(cost)
	case float64(a.spent) >= math.Float64frombits(s.share.Load()):
		return false
	}
	a.spent += float32(cost)
	s.served.Add(int64(cost))
	return true
}

// turn begins another second.
func (s *sources) turn(second int64) {
	last := s.second.Load()
	if s.free == nil || second <= last || !s.second.CompareAndSwap(last, second) {
		return
	}
	active, served := s.active.Swap(0), s.served.Swap(0)
	share := math.Inf(1)
	if active > 1 {
		share = overShare * float64(served) / float64(active)
	}
	s.share.Store(math.Float64bits(share))
}

// beFair has the limits give way where nobody else is kept waiting.
func (s *sources) beFair(free func() int64) {
	s.free = free
	s.share.Store(math.Float64bits(math.Inf(1)))
}

// earned is what an account's credit has become.
func (s *sources) earned(a *source, now int64) float32 {
	return min(a.credit+float32(now-a.at)*float32(s.rate)/1000, float32(s.rate*sourceBurst))
}

// mayWait counts a request of an address that waits for the ring, until done is called;
// false: too many do.
func (s *sources) mayWait(ip *[16]byte, now int64) (done func(), ok bool) {
	account := accountOf(*ip)
	shard := s.shard(&account)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	a := s.of(shard, &account, now)
	if a.waits >= sourceWaits {
		return nil, false
	}
	a.waits++
	return func() {
		shard.mu.Lock()
		defer shard.mu.Unlock()
		a.waits--
	}, true
}

// hold counts one more peer of an address; false: it has too many, which is more than are
// granted to each, and more than half of those that there is still room for. shared tells that it
// counts in the account of those that there is no room for, as release has to know.
func (s *sources) hold(ip *[16]byte, now int64) (shared, ok bool) {
	account := accountOf(*ip)
	shard := s.shard(&account)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	a := s.of(shard, &account, now)
	if int(a.peers) >= s.peers && (s.free == nil || int64(a.peers) >= s.free()/2) {
		return false, false
	}
	a.peers++
	return a == &shard.rest, true
}

// release counts one less. An account that holds a peer is not forgotten.
func (s *sources) release(ip *[16]byte, shared bool) {
	account := accountOf(*ip)
	shard := s.shard(&account)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shared {
		shard.rest.peers--
	} else {
		shard.known[account].peers--
	}
}

// forget makes room: those without peers, debts and requests under way go.
func (s *sources) forget(shard *sourceShard, now int64) {
	for account, a := range shard.known {
		if a.peers == 0 && a.waits == 0 && s.earned(a, now) >= float32(s.rate*sourceBurst) {
			delete(shard.known, account)
		}
	}
}
