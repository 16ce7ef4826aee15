package tracker

import (
	"math/rand/v2"
	"testing"
)

// TestSwarmKeepsItsOrder plays a random life of a swarm beside a map.
func TestSwarmKeepsItsOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := &swarm{place: -1}
	want := map[[20]byte]uint32{}
	for range 20_000 {
		a := somebody(1, r.IntN(300), 0)
		left := uint32(r.IntN(3))
		i := s.find(&a.peerID)
		if _, ok := want[a.peerID]; ok != (i >= 0) {
			t.Fatalf("found at %d, there: %v", i, ok)
		}
		switch {
		case i < 0:
			i = s.add(record{id: a.peerID, ip: a.ip, port: a.port, left: left, until: 100})
			want[a.peerID] = left
		case r.IntN(3) == 0:
			s.move(i, a.ip, uint16(1+r.IntN(3)))
			left = want[a.peerID]
		case r.IntN(2) == 0:
			i = s.setLeft(i, left)
			want[a.peerID] = left
		default:
			s.remove(i)
			delete(want, a.peerID)
			i = -1
		}
		if i >= 0 && (s.peers[i].id != a.peerID || (i < s.seeds) != (left == 0)) {
			t.Fatalf("at %d of %d seeds: %+v", i, s.seeds, s.peers[i])
		}
		if len(s.peers) != len(want) || len(s.tags) != len(want) || len(s.homes) != len(want) {
			t.Fatalf("%d peers, %d tags, %d homes, want %d", len(s.peers), len(s.tags), len(s.homes), len(want))
		}
	}
	for i := range s.peers {
		if r := &s.peers[i]; s.find(&r.id) != i || s.at(&r.ip, r.port) != i || (s.peers[i].left == 0) != (i < s.seeds) {
			t.Fatalf("%d: %+v", i, s.peers[i])
		}
	}
	for range 1000 { // nobody is picked twice, nor the one who asks
		got := s.pick(nil, 5, 1+r.IntN(60), r.IntN(2) == 0, 0, 1)
		seen := map[[20]byte]bool{s.peers[5].id: true}
		for _, p := range got {
			if seen[p.id] {
				t.Fatalf("%x is picked twice", p.id)
			}
			seen[p.id] = true
		}
	}
}
