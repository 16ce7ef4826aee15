package tracker

import (
	"sync"
	"time"
)

// What one address may do, unless Config says otherwise: a classroom behind one address
// that starts a hundred torrents on each of forty machines is within it.
const (
	defaultSourceRate  = 1000   // announces and scrapes a second, after a burst of sourceBurst seconds
	defaultSourcePeers = 50_000 // peers of its own in all swarms
	sourceBurst        = 5
	// maxSources bounds what is remembered of addresses; those beyond share one account.
	maxSources   = 1 << 17
	sourceShards = 16
)

// source is one address's account; of IPv6 it is that of the network of 64 bits.
type source struct {
	credit float32 // requests that it may make at once
	at     int64   // milliseconds, when credit was counted
	peers  int32   // of its own in the swarms of this node
}

// sources holds every address to what is fair to others.
type sources struct {
	rate, peers int
	most        int // accounts in a shard
	shards      [sourceShards]sourceShard
}

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
		shard.forget(now)
		if len(shard.known) >= s.most {
			return &shard.rest
		}
	}
	a := &source{credit: float32(s.rate * sourceBurst), at: now}
	shard.known[*account] = a
	return a
}

// mayAsk charges an address for a request; false: it has asked too much.
func (s *sources) mayAsk(ip *[16]byte, now int64) bool {
	account := accountOf(*ip)
	shard := s.shard(&account)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	a := s.of(shard, &account, now)
	if since := now - a.at; since > 0 {
		a.credit = min(a.credit+float32(since)*float32(s.rate)/1000, float32(s.rate*sourceBurst))
		a.at = now
	}
	if a.credit < 1 {
		return false
	}
	a.credit--
	return true
}

// hold counts one more peer of an address; false: it has too many.
func (s *sources) hold(ip *[16]byte, now int64) bool {
	account := accountOf(*ip)
	shard := s.shard(&account)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	a := s.of(shard, &account, now)
	if int(a.peers) >= s.peers {
		return false
	}
	a.peers++
	return true
}

// release counts one less.
func (s *sources) release(ip *[16]byte) {
	account := accountOf(*ip)
	shard := s.shard(&account)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	a := shard.known[account]
	if a == nil {
		a = &shard.rest
	}
	a.peers = max(a.peers-1, 0)
}

// idleSource is when an address without a peer has no debt any more.
const idleSource = int64(sourceBurst * time.Second / time.Millisecond)

// forget makes room: those without peers or debts go.
func (s *sourceShard) forget(now int64) {
	for account, a := range s.known {
		if a.peers == 0 && now-a.at > idleSource {
			delete(s.known, account)
		}
	}
}
