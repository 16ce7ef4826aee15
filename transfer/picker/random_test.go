package picker

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"chordtorrent/transfer/wire"
)

var seedFlag = flag.Uint64("seed", 0, "replay the random test of this seed")

// walk does random things to a picker, everything that a swarm may do to it,
// and keeps the invariant all the way; then the peers that are left behave,
// and the torrent gets complete. It returns a transcript.
func walk(t *testing.T, seed uint64) string {
	r := rand.New(rand.NewPCG(seed, 2))
	g := Geometry{Pieces: 1 + r.IntN(40), PieceLen: uint32(1+r.IntN(100)) * 100, BlockLen: 1000}
	g.LastLen = 1 + r.Uint32N(g.PieceLen)
	have := wire.NewBits(g.Pieces)
	for i := range g.Pieces {
		if r.IntN(5) == 0 {
			have.Set(i)
		}
	}
	k := newPicker(t, g, have, seed)
	said := fmt.Sprintf("%+v\n", g)
	owed := make(map[PeerID][]Block)
	var peers []PeerID
	next := PeerID(0)
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("seed %d: "+format, append([]any{seed}, args...)...)
	}
	forget := func(p PeerID, b Block) {
		owed[p] = slices.DeleteFunc(owed[p], func(o Block) bool { return o == b })
	}
	done := func(piece int, good bool) {
		if good {
			k.Verified(piece)
		} else {
			k.Failed(piece)
		}
		for p := range owed {
			owed[p] = slices.DeleteFunc(owed[p], func(o Block) bool { return o.Piece == piece })
		}
	}
	arrive := func(p PeerID, b Block) {
		forget(p, b)
		fresh, cancel := k.Received(p, b)
		said += fmt.Sprintln(p, b, fresh, cancel)
		if !fresh && len(cancel) > 0 {
			fail("cancels of a block that is not fresh")
		}
		for _, c := range cancel {
			if !slices.Contains(owed[c], b) {
				fail("peer %d is to cancel %v and does not owe it", c, b)
			}
			forget(c, b)
		}
		if k.Complete(b.Piece) {
			done(b.Piece, r.IntN(4) > 0)
		}
	}
	join := func(full bool) {
		p := next
		next++
		k.AddPeer(p)
		peers = append(peers, p)
		b := wire.NewBits(g.Pieces)
		for i := range g.Pieces {
			if full || r.IntN(2) == 0 {
				b.Set(i)
			}
		}
		k.PeerBits(p, b)
	}
	asked := func(p PeerID, n int, got []Block) {
		said += fmt.Sprintln(p, n, got)
		for _, b := range got {
			if slices.Contains(owed[p], b) || k.Has(b.Piece) || !k.peers[p].has.Get(b.Piece) {
				fail("peer %d is asked for %v", p, b)
			}
			owed[p] = append(owed[p], b)
		}
		if len(got) > n || k.Asked(p) != len(owed[p]) {
			fail("%d blocks of %d, owes %d, counted %d", len(got), n, k.Asked(p), len(owed[p]))
		}
	}
	ask := func(p PeerID, n int) { asked(p, n, k.Pick(p, n, nil)) }
	gap := func(p PeerID, pieces int) { asked(p, pieces*g.Blocks(0), k.Gap(p, pieces, nil)) }
	for range 400 {
		if len(peers) == 0 || r.IntN(20) == 0 {
			join(r.IntN(4) == 0)
		}
		p := peers[r.IntN(len(peers))]
		switch r.IntN(12) {
		case 0:
			k.PeerHas(p, r.IntN(g.Pieces))
		case 1:
			if r.IntN(4) == 0 {
				k.RemovePeer(p)
				delete(owed, p)
				peers = slices.DeleteFunc(peers, func(o PeerID) bool { return o == p })
			}
		case 2, 3, 4:
			ask(p, 1+r.IntN(12))
		case 5:
			gap(p, 1+r.IntN(3))
		case 6:
			if o := owed[p]; len(o) > 0 {
				b := o[r.IntN(len(o))]
				k.Release(p, b)
				forget(p, b)
			}
		case 7:
			if piece := r.IntN(g.Pieces); k.transferOf(piece) != nil {
				done(piece, r.IntN(10) == 0)
			}
		case 9:
			switch piece := r.IntN(g.Pieces); {
			case k.peers[p].has.Get(piece) && r.IntN(3) == 0:
				k.PeerLacks(p, piece)
				for _, b := range slices.Clone(owed[p]) { // it rejects what it was asked of it
					if b.Piece == piece {
						k.Release(p, b)
						forget(p, b)
					}
				}
			case r.IntN(2) == 0:
				k.Urgent([]int{piece, r.IntN(g.Pieces)})
			default:
				k.Suggest(p, piece)
			}
		case 8: // out of the blue
			piece := r.IntN(g.Pieces)
			arrive(p, k.geo.block(piece, r.IntN(k.geo.Blocks(piece))))
		default:
			if o := owed[p]; len(o) > 0 {
				arrive(p, o[r.IntN(len(o))])
			}
		}
		if err := k.CheckInvariant(); err != nil {
			fail("%v", err)
		}
	}
	// Whoever owes something sends it; a seed has the rest.
	join(true)
	for round := 0; k.Left() > 0; round++ {
		for _, p := range peers {
			ask(p, 8)
			for len(owed[p]) > 0 {
				b := owed[p][0]
				forget(p, b)
				_, cancel := k.Received(p, b)
				for _, c := range cancel {
					forget(c, b)
				}
				if k.Complete(b.Piece) {
					done(b.Piece, true)
				}
			}
		}
		if err := k.CheckInvariant(); err != nil {
			fail("%v", err)
		}
		if round > 1000 {
			fail("%d pieces never come, endgame %v, %+v", k.Left(), k.Endgame(), k.Transfers(nil))
		}
	}
	return said
}

func TestRandomSwarms(t *testing.T) {
	if *seedFlag != 0 {
		walk(t, *seedFlag)
		return
	}
	for seed := range uint64(150) {
		walk(t, seed+1)
	}
}

func TestSameCallsSameAnswers(t *testing.T) {
	for seed := range uint64(5) {
		if a, b := walk(t, seed+1), walk(t, seed+1); a != b {
			t.Fatalf("seed %d: two runs differ", seed+1)
		}
	}
}

// big is what must stay cheap: 100,000 pieces, 500 peers.
func big(b *testing.B, peers int) (*Picker, *rand.Rand) {
	r := rand.New(rand.NewPCG(1, 1))
	k := New(Geometry{Pieces: 100_000, PieceLen: 1 << 20}, nil, r)
	for p := range PeerID(peers) {
		k.AddPeer(p)
		k.PeerBits(p, half(r, p))
	}
	return k, r
}

// half is a random half of the pieces; every 16th peer has all.
func half(r *rand.Rand, p PeerID) *wire.Bits {
	raw := make([]byte, 100_000/8)
	for i := range raw {
		if raw[i] = byte(r.Uint32()); p%16 == 0 {
			raw[i] = 255
		}
	}
	bits, err := wire.FromBytes(raw, 100_000)
	if err != nil {
		panic(err)
	}
	return bits
}

func BenchmarkPeerComesAndGoes(b *testing.B) {
	k, r := big(b, 500)
	bits := half(r, 1)
	b.ResetTimer()
	for range b.N {
		k.AddPeer(1000)
		k.PeerBits(1000, bits)
		k.RemovePeer(1000)
	}
}

func BenchmarkHave(b *testing.B) {
	k, _ := big(b, 500)
	k.AddPeer(1000)
	b.ResetTimer()
	for n := range b.N {
		if n%100_000 == 0 {
			b.StopTimer()
			k.PeerBits(1000, wire.NewBits(100_000))
			b.StartTimer()
		}
		k.PeerHas(1000, n*7919%100_000)
	}
}

// One block of 16 KiB: asked, received, and each 64th of them a piece begun and verified.
func BenchmarkBlock(b *testing.B) {
	k, _ := big(b, 500)
	var out []Block
	b.ResetTimer()
	for n := 0; n < b.N; {
		if k.Left() == 0 {
			b.StopTimer()
			k, _ = big(b, 500)
			b.StartTimer()
		}
		for p := PeerID(0); p < 500 && n < b.N; p++ {
			out = k.Pick(p, 16, out[:0])
			for _, blk := range out {
				k.Received(p, blk)
				if k.Complete(blk.Piece) {
					k.Verified(blk.Piece)
				}
				n++
			}
		}
	}
}

// The last pieces with everybody in endgame.
func BenchmarkEndgame(b *testing.B) {
	have := wire.NewBits(100_000)
	have.SetAll()
	for i := range 1000 {
		have.Clear(i * 100)
	}
	r := rand.New(rand.NewPCG(1, 1))
	k := New(Geometry{Pieces: 100_000, PieceLen: 1 << 20}, have, r)
	for p := range PeerID(500) {
		k.AddPeer(p)
		k.PeerBits(p, half(r, p))
	}
	for p := range PeerID(400) {
		k.Pick(p, 1000, nil)
	}
	var out []Block
	b.ResetTimer()
	for n := range b.N {
		p := PeerID(400 + n%100)
		out = k.Pick(p, 16, out[:0])
		for _, blk := range out {
			k.Release(p, blk)
		}
	}
}
