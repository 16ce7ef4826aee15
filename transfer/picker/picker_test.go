package picker

import (
	"math/rand/v2"
	"slices"
	"testing"

	"chordtorrent/transfer/wire"
)

const kib = 1 << 10

// checked is a picker that checks its invariant after every step of a test.
type checked struct {
	*Picker
	t testing.TB
}

func newPicker(t testing.TB, g Geometry, have *wire.Bits, seed uint64) checked {
	return checked{New(g, have, rand.New(rand.NewPCG(seed, 1))), t}
}

// ok fails the test when the counts are wrong.
func (c checked) ok() {
	c.t.Helper()
	if err := c.CheckInvariant(); err != nil {
		c.t.Fatal(err)
	}
}

func (c checked) add(p PeerID, pieces ...int) {
	c.t.Helper()
	c.AddPeer(p)
	b := wire.NewBits(c.geo.Pieces)
	for _, i := range pieces {
		b.Set(i)
	}
	c.PeerBits(p, b)
	c.ok()
}

func (c checked) addSeed(p PeerID) {
	c.t.Helper()
	c.AddPeer(p)
	b := wire.NewBits(c.geo.Pieces)
	b.SetAll()
	c.PeerBits(p, b)
	c.ok()
}

func (c checked) pick(p PeerID, n int) []Block {
	c.t.Helper()
	out := c.Pick(p, n, nil)
	c.ok()
	return out
}

func (c checked) receive(p PeerID, blocks ...Block) (cancel []PeerID) {
	c.t.Helper()
	for _, b := range blocks {
		fresh, stop := c.Received(p, b)
		if !fresh {
			c.t.Fatalf("block %v of peer %d is not fresh", b, p)
		}
		cancel = append(cancel, stop...)
	}
	c.ok()
	return cancel
}

func piecesOf(blocks []Block) (out []int) {
	for _, b := range blocks {
		if len(out) == 0 || out[len(out)-1] != b.Piece {
			out = append(out, b.Piece)
		}
	}
	return out
}

// four pieces of four blocks, the last piece of two, the last block of 5 bytes.
var small = Geometry{Pieces: 4, PieceLen: 64 * kib, LastLen: 16*kib + 5}

func TestBlocksCoverThePieces(t *testing.T) {
	k := newPicker(t, small, nil, 1)
	k.addSeed(1)
	if k.Left() != 4 || !k.Interesting(1) {
		t.Fatal("nothing to do")
	}
	all := k.pick(1, 1000)
	if len(all) != 3*4+2 || k.Asked(1) != 14 || !k.Endgame() {
		t.Fatalf("%d blocks, %d asked", len(all), k.Asked(1))
	}
	next := make(map[int]uint32)
	for _, b := range all {
		if b.Begin != next[b.Piece] {
			t.Fatalf("%v after offset %d", b, next[b.Piece])
		}
		next[b.Piece] += b.Length
	}
	if next[0] != 64*kib || next[3] != 16*kib+5 || len(piecesOf(all)) != 4 {
		t.Fatal(next)
	}
	for _, b := range all {
		k.receive(1, b)
		if k.Complete(b.Piece) {
			k.Verified(b.Piece)
			k.ok()
		}
	}
	if k.Left() != 0 || k.Interesting(1) || k.Endgame() || len(k.pick(1, 1)) != 0 || !k.Has(3) || len(k.Transfers(nil)) != 0 {
		t.Fatalf("%d left", k.Left())
	}
}

func TestNothingToPickInAnEmptyOrCompleteTorrent(t *testing.T) {
	k := newPicker(t, Geometry{}, nil, 1)
	k.addSeed(1)
	if k.Left() != 0 || k.Interesting(1) || len(k.pick(1, 5)) != 0 || k.Endgame() {
		t.Fatal("an empty torrent has work")
	}
	have := wire.NewBits(4)
	have.SetAll()
	k = newPicker(t, small, have, 1)
	k.addSeed(1)
	if k.Left() != 0 || k.Interesting(1) || len(k.pick(1, 5)) != 0 {
		t.Fatal("a complete torrent has work")
	}
}

func TestRarestFirst(t *testing.T) {
	g := Geometry{Pieces: 6, PieceLen: 16 * kib}
	for seed := range uint64(20) {
		k := newPicker(t, g, nil, seed)
		k.add(1, 0, 1, 2, 3, 4, 5)
		k.add(2, 0, 1, 2, 4)
		k.add(3, 0, 2, 4)
		k.add(4, 4)
		k.PeerHas(4, 0)
		k.addSeed(9)
		k.PeerHas(3, 0) // known already
		if got := []int{k.Availability(0), k.Availability(1), k.Availability(3)}; !slices.Equal(got, []int{5, 3, 2}) {
			t.Fatal(got)
		}
		got := piecesOf(k.pick(9, 6))
		slices.Sort(got[:2])
		slices.Sort(got[4:])
		if !slices.Equal(got, []int{3, 5, 1, 2, 0, 4}) {
			t.Fatalf("seed %d: %v", seed, got)
		}
	}
}

func TestRandomAmongEquals(t *testing.T) {
	// Both ways of looking: by the order, and by the few pieces of the peer.
	for _, n := range []int{8, 2000} {
		g := Geometry{Pieces: n, PieceLen: 16 * kib}
		seen := make(map[int]int)
		for seed := range uint64(400) {
			k := New(g, nil, rand.New(rand.NewPCG(seed, 1)))
			k.AddPeer(1)
			for i := range 8 {
				k.PeerHas(1, i)
			}
			seen[k.Pick(1, 1, nil)[0].Piece]++
		}
		for i := range 8 {
			if seen[i] < 20 {
				t.Errorf("%d pieces: %v", n, seen)
			}
		}
	}
}

func TestRarestOfFewIsRarest(t *testing.T) {
	k := newPicker(t, Geometry{Pieces: 1000, PieceLen: 16 * kib}, nil, 3)
	k.add(1, 10, 20, 30)
	k.add(2, 10, 30)
	k.add(3, 10)
	if got := piecesOf(k.pick(1, 3)); !slices.Equal(got, []int{20, 30, 10}) {
		t.Fatal(got)
	}
}

func TestAPieceBelongsToItsAttendant(t *testing.T) {
	k := newPicker(t, small, nil, 1)
	k.addSeed(1)
	k.addSeed(2)
	a, b := k.pick(1, 2), k.pick(2, 2)
	if a[0].Piece == b[0].Piece {
		t.Fatal("both peers are asked for one piece while others are open")
	}
	if c := k.pick(1, 1); c[0].Piece != a[0].Piece && k.geo.Blocks(a[0].Piece) > 2 {
		t.Fatalf("after %v comes %v", a, c)
	}
	for _, v := range k.Transfers(nil) {
		want := map[int]PeerID{a[0].Piece: 1, b[0].Piece: 2}[v.Piece]
		if v.Attendant != want || v.Offset != int64(v.Piece)*64*kib || v.Size != small.PieceSize(v.Piece) || v.ID == 0 {
			t.Fatalf("%+v", v)
		}
	}
}

func TestBegunPiecesAreFinishedByOthersFirst(t *testing.T) {
	k := newPicker(t, small, nil, 1)
	k.add(1, 0, 1)
	k.addSeed(2)
	first := k.pick(1, 2)
	k.receive(1, first[0])
	k.RemovePeer(1)
	k.RemovePeer(1) // not known: ignored
	k.ok()
	got := k.pick(2, 3)
	if len(piecesOf(got)) != 1 || got[0] != first[1] {
		t.Fatalf("%v, after %v was lost", got, first)
	}
	if v := k.Transfers(nil); len(v) != 1 || v[0].Attendant != 2 || v[0].Received != 1 || v[0].Asked != 3 {
		t.Fatalf("%+v", v)
	}
}

func TestAPieceOfWhichNothingCameIsOpenAgain(t *testing.T) {
	k := newPicker(t, small, nil, 1)
	k.addSeed(1)
	for _, b := range k.pick(1, 2) {
		k.Release(1, b)
		k.ok()
	}
	if len(k.Transfers(nil)) != 0 || k.Asked(1) != 0 {
		t.Fatalf("%+v", k.Transfers(nil))
	}
	k.pick(1, 2)
	k.RemovePeer(1)
	k.ok()
	if len(k.Transfers(nil)) != 0 || k.Availability(0) != 0 || k.Left() != 4 {
		t.Fatalf("%+v", k.Transfers(nil))
	}
}

func TestOthersHelpWhenNothingIsOpen(t *testing.T) {
	k := newPicker(t, Geometry{Pieces: 2, PieceLen: 64 * kib}, nil, 1)
	k.addSeed(1)
	k.addSeed(2)
	k.add(3, 0)
	a, b := k.pick(1, 3), k.pick(2, 1)
	got := k.pick(1, 3) // the rest of its own, then of the piece that has more left
	if got[0].Piece != a[0].Piece || got[1].Piece != b[0].Piece || got[1].Begin != 16*kib || len(got) != 3 {
		t.Fatal(got)
	}
	if k.Endgame() {
		t.Fatal("a block is free")
	}
	if b := k.pick(2, 9); len(b) != 1 || !k.Endgame() {
		t.Fatal(b)
	}
}

func TestEndgame(t *testing.T) {
	k := newPicker(t, Geometry{Pieces: 1, PieceLen: 64 * kib}, nil, 1)
	for p := range PeerID(5) {
		k.addSeed(p)
	}
	first := k.pick(0, 4)
	if again := k.pick(0, 4); len(again) != 0 {
		t.Fatalf("asked twice: %v", again)
	}
	one := k.pick(1, 2)
	if !slices.Equal(one, first[2:]) {
		t.Fatalf("%v, not the end of the piece", one)
	}
	if again := k.pick(1, 4); len(again) != 0 {
		t.Fatalf("owes two and is asked for more: %v", again)
	}
	if two := k.pick(2, 2); !slices.Equal(two, first[:2]) {
		t.Fatalf("%v, not those with one asker", two)
	}
	if three := k.pick(3, 9); len(three) != 4 {
		t.Fatal(three)
	}
	if four := k.pick(4, 9); len(four) != 0 {
		t.Fatalf("a fourth asker: %v", four)
	}
	cancel := k.receive(3, first[3])
	slices.Sort(cancel)
	if !slices.Equal(cancel, []PeerID{0, 1}) {
		t.Fatal(cancel)
	}
	if fresh, _ := k.Received(0, first[3]); fresh {
		t.Fatal("a duplicate is fresh")
	}
	k.ok()
	k.Release(0, first[0]) // 2 and 3 are still asked
	if k.ok(); !k.Endgame() {
		t.Fatal("released one of three askers and it is free")
	}
	k.RemovePeer(2)
	k.RemovePeer(3)
	if k.ok(); k.Endgame() {
		t.Fatal("nobody is asked for the first block and it is not free")
	}
}

func TestLateAndStrangeBlocks(t *testing.T) {
	k := newPicker(t, small, nil, 1)
	k.addSeed(1)
	k.addSeed(2)
	got := k.pick(1, 2)
	k.receive(1, got[0])
	k.Release(1, got[1])
	k.Release(1, got[1])
	k.Release(7, got[1])
	k.ok()
	if !k.Wants(got[1]) || k.Wants(got[0]) {
		t.Fatal("wants")
	}
	if again := k.pick(2, 1); again[0] != got[1] {
		t.Fatal(again)
	}
	if cancel := k.receive(1, got[1]); !slices.Equal(cancel, []PeerID{2}) {
		t.Fatalf("late, but in: %v", cancel)
	}
	open := (got[0].Piece + 1) % 4
	for _, b := range []Block{
		{-1, 0, 16 * kib}, {4, 0, 16 * kib}, {got[0].Piece, 1, 16 * kib}, {got[0].Piece, 0, 1},
		{got[0].Piece, 1 << 20, 16 * kib}, {open, 0, 16 * kib}, {0, 1<<32 - 16*kib, 16 * kib},
	} {
		if fresh, cancel := k.Received(1, b); fresh || cancel != nil {
			t.Errorf("%v is fresh", b)
		}
		k.Release(1, b)
		k.ok()
	}
}

func TestAFailedPieceNamesItsSenders(t *testing.T) {
	k := newPicker(t, Geometry{Pieces: 1, PieceLen: 64 * kib}, nil, 1)
	for p := range PeerID(3) {
		k.addSeed(p)
	}
	if k.Failed(0) != nil || k.Senders(0) != nil {
		t.Fatal("a piece that is not in flight failed")
	}
	a, b := k.pick(1, 3), k.pick(2, 1)
	k.receive(1, a...)
	if got := k.Senders(0); !slices.Equal(got, []PeerID{1, 1, 1, None}) || k.Complete(0) {
		t.Fatal(got)
	}
	k.receive(2, b...)
	if got := k.Senders(0); !slices.Equal(got, []PeerID{1, 1, 1, 2}) || !k.Complete(0) {
		t.Fatal(got)
	}
	k.RemovePeer(2)
	if got := k.Failed(0); !slices.Equal(got, []PeerID{1, 2}) {
		t.Fatal(got)
	}
	k.ok()
	if got := k.pick(0, 9); len(got) != 4 || k.Left() != 1 {
		t.Fatal(got)
	}
}

func TestAPieceMayComeFromElsewhere(t *testing.T) {
	k := newPicker(t, small, nil, 1)
	k.addSeed(1)
	got := k.pick(1, 2)
	k.Verified(got[0].Piece)
	k.ok()
	for i := range 4 {
		k.Verified(i)
		k.Verified(i)
		k.ok()
	}
	if k.Left() != 0 || k.Asked(1) != 0 || k.Interesting(1) {
		t.Fatal(k.Left())
	}
}

func TestABitfieldReplacesWhatWasKnown(t *testing.T) {
	k := newPicker(t, small, nil, 1)
	k.addSeed(1)
	k.add(2, 0, 1)
	k.add(3, 1)
	b := wire.NewBits(4)
	b.Set(2)
	k.PeerBits(1, b)
	k.PeerBits(2, b)
	k.ok()
	if k.Availability(2) != 2 || k.Availability(0) != 0 || !slices.Equal(k.Holders(2, nil), []PeerID{1, 2}) {
		t.Fatal(k.Availability(2), k.Availability(0), k.Holders(2, nil))
	}
}

func TestMisusePanics(t *testing.T) {
	k := newPicker(t, small, nil, 1)
	k.addSeed(1)
	for name, f := range map[string]func(){
		"added twice":     func() { k.AddPeer(1) },
		"negative":        func() { k.AddPeer(-1) },
		"unknown":         func() { k.PeerHas(2, 0) },
		"other torrent":   func() { k.PeerBits(1, wire.NewBits(5)) },
		"no piece length": func() { New(Geometry{Pieces: 1}, nil, nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
	k.ok()
}

// Several peers are asked for the blocks of an urgent piece, and each is done with
// those before anything else; when they are here the rest is as ever.
func TestUrgent(t *testing.T) {
	c := newPicker(t, Geometry{Pieces: 10, PieceLen: 4 * kib, BlockLen: kib}, nil, 1)
	c.addSeed(1)
	c.addSeed(2)
	c.Urgent([]int{7, 2})
	a, b := c.pick(1, 3), c.pick(2, 3)
	want := func(got []Block, pieces ...int) {
		t.Helper()
		for n, b := range got {
			if len(got) != len(pieces) || b.Piece != pieces[n] {
				t.Fatalf("%v, want blocks of %v", got, pieces)
			}
		}
	}
	want(a, 7, 7, 7)
	want(b, 7, 2, 2)
	c.receive(1, a...)
	c.receive(2, b...)
	c.Verified(7)
	want(c.pick(2, 2), 2, 2)
	c.ok()
	c.Urgent(nil)
	if got := c.pick(1, 1); got[0].Piece == 2 || got[0].Piece == 7 {
		t.Errorf("%v", got)
	}
}
