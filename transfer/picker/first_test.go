package picker

import (
	"math/rand/v2"
	"testing"
	"time"

	"chordtorrent/transfer/wire"
)

// A seed and peers that fetch from it, in random order: while there are pieces that
// have not left, none goes out twice, whoever comes and goes; and everybody who asks
// for what it was suggested is served.
func TestFirstCopies(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 5))
		g := Geometry{Pieces: 1 + r.IntN(100), PieceLen: 1000, BlockLen: 1000}
		have := wire.NewBits(g.Pieces)
		have.SetAll()
		k := newPicker(t, g, have, seed)
		f := NewFirstCopies(k.Picker, r)
		now := time.Unix(1e9, 0)
		suggested := map[PeerID][]int{} // not asked for yet
		asked := map[int]PeerID{}       // served, and nobody has told that it has it
		var peers []PeerID
		next := PeerID(0)
		for range 600 {
			now = now.Add(time.Duration(r.IntN(20)) * time.Millisecond)
			if len(peers) < 2 || (len(peers) < 8 && r.IntN(30) == 0) {
				k.AddPeer(next)
				peers = append(peers, next)
				next++
			}
			p := peers[r.IntN(len(peers))]
			guide := func() { suggested[p] = f.Guide(p, len(peers), now, suggested[p]) }
			fresh := func() (n int) {
				kept := map[int]bool{}
				for _, list := range suggested {
					for _, i := range list {
						kept[i] = true
					}
				}
				for i := range g.Pieces {
					if _, out := asked[i]; !out && k.Availability(i) == 0 && !kept[i] {
						n++
					}
				}
				return n
			}
			switch r.IntN(8) {
			case 0: // somebody goes, and with it what only it had
				if len(peers) > 2 {
					f.Gone(p)
					k.RemovePeer(p)
					delete(suggested, p)
					for i, to := range asked {
						if to == p {
							delete(asked, i)
						}
					}
					for n, o := range peers {
						if o == p {
							peers = append(peers[:n], peers[n+1:]...)
							break
						}
					}
				}
			case 1, 2, 3: // as suggested
				guide()
				if list := suggested[p]; len(list) > 0 {
					i := list[0]
					suggested[p] = list[1:]
					if !f.MayServe(p, i, now) {
						t.Fatalf("seed %d: peer %d does not get piece %d, which it was suggested", seed, p, i)
					}
					asked[i] = p
				}
			case 4: // as it likes
				i := r.IntN(g.Pieces)
				to, out := asked[i]
				left := fresh()
				twice := out && to != p || k.Availability(i) > 0
				if f.MayServe(p, i, now) {
					if twice && left > 0 && !f.follower(p).stubborn {
						t.Fatalf("seed %d: piece %d goes out twice, and %d have not left", seed, i, left)
					}
					if !out && k.Availability(i) == 0 {
						asked[i] = p
						for q, list := range suggested {
							for n, o := range list {
								if o == i {
									suggested[q] = append(list[:n:n], list[n+1:]...)
								}
							}
						}
					}
				}
			default: // what was asked for arrives
				for i := range g.Pieces {
					if to, out := asked[i]; out {
						k.PeerHas(to, i)
						f.Arrived(i)
						delete(asked, i)
						break
					}
				}
			}
			if err := f.CheckInvariant(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			k.ok()
		}
	}
}

// Who is sent a piece, however slowly, may ask for others meanwhile and is only refused
// them; who takes nothing of what it is suggested is served what it asks for, in the end.
func TestWhoDoesNotFollow(t *testing.T) {
	g := Geometry{Pieces: 20, PieceLen: 1000, BlockLen: 1000}
	have := wire.NewBits(g.Pieces)
	have.SetAll()
	for _, follows := range []bool{true, false} {
		k := newPicker(t, g, have, 1)
		f := NewFirstCopies(k.Picker, rand.New(rand.NewPCG(1, 1)))
		now := time.Unix(1e9, 0)
		k.AddPeer(1)
		k.AddPeer(2)
		theirs := f.Guide(2, 2, now, nil)
		list := f.Guide(1, 2, now, nil)
		if follows && !f.MayServe(1, list[0], now) {
			t.Fatal("it does not get what it was suggested")
		}
		served := false
		for range 100 {
			now = now.Add(followWithin / 10)
			served = f.MayServe(1, theirs[0], now) || served
			if err := f.CheckInvariant(); err != nil {
				t.Fatal(err)
			}
		}
		if served == follows {
			t.Errorf("follows: %v, served what is for another: %v", follows, served)
		}
	}
}
