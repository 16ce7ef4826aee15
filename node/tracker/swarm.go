package tracker

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"chordtorrent/communicator"
)

// record is one peer of a swarm as this node knows it. It has no pointer, so that a million
// of them are nothing to the garbage collector.
type record struct {
	id    [20]byte
	ip    [16]byte // of IPv4 as in RFC 4291, 2.5.5.2
	port  uint16
	flags uint8
	left  uint32 // in units of leftUnit, rounded up; 0: it has everything
	// Seconds since the Unix epoch: the first announce of this run, when it is forgotten
	// here, and when the ring forgets it (0: the ring has not been told).
	since, until, ring uint32
}

const (
	// foreign: it has announced to another node, and the ring told this one.
	foreign = 1 << iota
	// heard: it has announced here since the last look at the ring began.
	heard
	// inRing: the ring may know it.
	inRing
	// shared: it counts in the account of addresses that there is no room for.
	shared
	// heardBefore: it has announced here between the last two looks.
	heardBefore
	// doubted: the ring says that somebody could not reach it since its last announce.
	doubted
)

const (
	leftUnit    = 16 << 10
	leftUnknown = 1<<32 - 1
)

func packLeft(left int64) uint32 {
	if left < 0 {
		return leftUnknown
	}
	return uint32(min((left+leftUnit-1)/leftUnit, leftUnknown-1))
}

func (r *record) bytesLeft() int64 {
	if r.left == leftUnknown {
		return -1
	}
	return int64(r.left) * leftUnit
}

var mapped = [12]byte{10: 0xff, 11: 0xff}

func is4(ip *[16]byte) bool { return [12]byte(ip[:12]) == mapped }

func (r *record) addr() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(r.ip).Unmap(), r.port)
}

// swarm is what this node knows of one swarm. Its shard's lock is held by whoever touches it.
type swarm struct {
	hash  [20]byte
	name  string // in the ring; "": it has none
	named bool   // name is what the ring said; it had not answered otherwise
	// 0 <= seeds <= len(peers) = len(tags) = len(homes); peers[:seeds] have everything. A
	// tag is a byte that depends on a peer's id, to find it by, and a home one that depends
	// on its address.
	peers []record
	tags  []byte
	homes []byte
	seeds int
	// beyond are peers of other nodes that are known by number only.
	beyond struct{ seeders, leechers int }
	// gone are peers that have left, of which the ring has to be told, and where they were.
	gone map[[20]byte][16]byte

	downloaded uint32 // have told this node that they have completed it

	meeting chan struct{} // closed after the first look at the ring; nil: long ago
	refused error         // what the first look came to, if no swarm; set before meeting is closed

	// Milliseconds since the Unix epoch.
	born     int64 // the first announce
	used     int64 // the last one
	nameAsk  int64 // when the name was asked for last
	looked   int64 // when the last look at the ring began
	told     int64 // when the ring was last told of peers
	tellAt   int64 // when it is to be told; 0: there is nothing to tell
	lookAt   int64 // when to look; 0: nobody needs it
	due      int64 // the sooner of them
	place    int   // in the shard's queue, -1: not there
	underWay bool  // a worker has it
}

func tagOf(id *[20]byte) byte {
	return byte(binary.LittleEndian.Uint64(id[12:]) * 0x9e3779b97f4a7c15 >> 56)
}

func homeOf(ip *[16]byte, port uint16) byte {
	x := binary.LittleEndian.Uint64(ip[:8]) ^ binary.LittleEndian.Uint64(ip[8:])
	return byte((x ^ x>>32 + uint64(port)<<16) * 0x9e3779b97f4a7c15 >> 56)
}

// find gives the place of a peer, or -1.
func (s *swarm) find(id *[20]byte) int {
	return search(s.tags, tagOf(id), func(i int) bool { return s.peers[i].id == *id })
}

// at gives the place of a peer that is at an address, or -1.
func (s *swarm) at(ip *[16]byte, port uint16) int {
	return search(s.homes, homeOf(ip, port), func(i int) bool { return s.peers[i].port == port && s.peers[i].ip == *ip })
}

// search gives the first index of a byte in a row at which is is true, or -1.
func search(row []byte, b byte, is func(i int) bool) int {
	for from := 0; ; from++ {
		i := bytes.IndexByte(row[from:], b)
		if i < 0 {
			return -1
		}
		if from += i; is(from) {
			return from
		}
	}
}

// isAnothers reports whether the peer id of an announce is that of somebody who is at
// another address, or was when the ring was last told: i is where the id was found. The ids
// of peers are no secret.
func (s *swarm) isAnothers(i int, a *announce, now uint32) bool {
	if i < 0 {
		ip, ok := s.gone[a.peerID]
		return ok && ip != a.ip
	}
	r := &s.peers[i]
	return r.ip != a.ip && (r.until >= now || r.flags&foreign != 0 || a.event == communicator.Stopped)
}

// add puts a peer in that is not there, and gives its place.
func (s *swarm) add(r record) int {
	if n := len(s.peers); n == cap(s.peers) {
		s.resize(n + max(n/8, 2))
	}
	s.peers, s.tags, s.homes = append(s.peers, r), append(s.tags, tagOf(&r.id)), append(s.homes, homeOf(&r.ip, r.port))
	i := len(s.peers) - 1
	if r.left == 0 {
		s.swap(i, s.seeds)
		i = s.seeds
		s.seeds++
	}
	return i
}

// resize makes room for n peers, at least as many as there are.
func (s *swarm) resize(n int) {
	s.peers = append(make([]record, 0, n), s.peers...)
	s.tags = append(make([]byte, 0, n), s.tags...)
	s.homes = append(make([]byte, 0, n), s.homes...)
}

func (s *swarm) swap(i, j int) {
	s.peers[i], s.peers[j] = s.peers[j], s.peers[i]
	s.tags[i], s.tags[j] = s.tags[j], s.tags[i]
	s.homes[i], s.homes[j] = s.homes[j], s.homes[i]
}

// remove takes a peer out; those behind it may change places.
func (s *swarm) remove(i int) {
	if i < s.seeds {
		s.seeds--
		s.swap(i, s.seeds)
		i = s.seeds
	}
	last := len(s.peers) - 1
	s.swap(i, last)
	s.peers, s.tags, s.homes = s.peers[:last], s.tags[:last], s.homes[:last]
}

// move changes where a peer is.
func (s *swarm) move(i int, ip [16]byte, port uint16) {
	s.peers[i].ip, s.peers[i].port = ip, port
	s.homes[i] = homeOf(&ip, port)
}

// setLeft changes what a peer has left, and gives its new place.
func (s *swarm) setLeft(i int, left uint32) int {
	s.peers[i].left = left
	switch {
	case left == 0 && i >= s.seeds:
		s.swap(i, s.seeds)
		i = s.seeds
		s.seeds++
	case left != 0 && i < s.seeds:
		s.seeds--
		s.swap(i, s.seeds)
		i = s.seeds
	}
	return i
}

func (s *swarm) seeders() int  { return s.seeds + s.beyond.seeders }
func (s *swarm) leechers() int { return len(s.peers) - s.seeds + s.beyond.leechers }

// strides are primes: going round a swarm by one that does not divide its size meets
// everybody once.
var strides = [...]int{1, 2, 3, 5, 7, 11, 13, 17}

// mostMet bounds how many peers are looked at for one answer.
const mostMet = 512

// pick chooses at random at most want peers for the one at a place, in no order. Who has
// everything is given nobody else who has. family is 4 or 6 for addresses of that kind
// only, 0 for both.
func (s *swarm) pick(dst []record, self, want int, seeding bool, family int, now uint32) []record {
	from := 0
	if seeding {
		from = s.seeds
	}
	n := len(s.peers) - from
	if n <= 0 || want <= 0 {
		return dst
	}
	draw := rand.Uint64()
	at := int(draw >> 32 % uint64(n))
	stride := strides[draw%uint64(len(strides))]
	if n%stride == 0 {
		stride = 1
	}
	for range min(n, mostMet) {
		if want == 0 {
			break
		}
		i := from + at
		if at += stride; at >= n {
			at %= n
		}
		r := &s.peers[i]
		if i == self || r.until < now || (family != 0 && is4(&r.ip) != (family == 4)) {
			continue
		}
		dst = append(dst, *r)
		want--
	}
	return dst
}

// expire forgets whoever was not heard of for too long, and gives how many went; each is
// called for every one that had announced here.
func (s *swarm) expire(now uint32, each func(*record)) (n int) {
	for i := len(s.peers) - 1; i >= 0; i-- {
		if r := &s.peers[i]; r.until < now {
			if r.flags&foreign == 0 {
				each(r)
			}
			s.remove(i)
			n++
		}
	}
	if len(s.peers) < cap(s.peers)/2 {
		s.resize(len(s.peers))
	}
	return n
}

// lacks reports whether the ring should be told again that a peer is here: of the time that
// it was promised, more than a quarter is over there.
func (r *record) lacks(now uint32) bool {
	return r.ring <= now || 4*(r.ring-now) < 3*(r.until-now)
}

// entry is what the ring is told of a peer whose time is not over.
func (r *record) entry(now uint32) communicator.Entry {
	return communicator.Entry{PeerID: r.id, Addr: r.addr(), Left: r.bytesLeft(), Life: time.Duration(r.until-now) * time.Second}
}
