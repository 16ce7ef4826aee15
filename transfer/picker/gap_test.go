package picker

import (
	"slices"
	"testing"

	"chordtorrent/transfer/wire"
)

func TestGapIsTheBeginningOfTheLongestRun(t *testing.T) {
	have := wire.NewBits(20)
	for _, i := range []int{3, 4, 12, 17} {
		have.Set(i)
	}
	k := newPicker(t, Geometry{Pieces: 20, PieceLen: 4000, LastLen: 500, BlockLen: 1000}, have, 1)
	k.addSeed(1)
	k.addSeed(2)
	for _, c := range []struct {
		peer PeerID
		most int
		want []int
	}{
		{1, 3, []int{5, 6, 7}},
		{2, 5, []int{8, 9, 10, 11}}, // as far as the run goes
		{1, 9, []int{13, 14, 15, 16}},
		{2, 2, []int{0, 1}},
		{1, 2, []int{18, 19}},
		{1, 2, []int{2}},
		{1, 2, nil}, // all is asked for, and nothing twice
	} {
		got := k.Gap(c.peer, c.most, nil)
		if !slices.Equal(piecesOf(got), c.want) {
			t.Fatalf("up to %d: pieces %v, want %v", c.most, piecesOf(got), c.want)
		}
		for n, b := range got {
			if n > 0 && b.Piece == got[n-1].Piece && b.Begin != got[n-1].Begin+1000 {
				t.Errorf("blocks %v", got)
			}
		}
		k.ok()
	}
}

func TestGapFinishesWhatWasBegun(t *testing.T) {
	k := newPicker(t, Geometry{Pieces: 2, PieceLen: 4000, BlockLen: 1000}, nil, 1)
	k.addSeed(1)
	k.addSeed(2)
	first := k.Pick(1, 6, nil) // one piece and half of the other
	got := k.Gap(2, 8, nil)
	if len(got) != 2 || slices.ContainsFunc(got, func(b Block) bool { return slices.Contains(first, b) }) {
		t.Fatalf("%v was asked for, then %v", first, got)
	}
	for _, b := range got {
		k.Release(2, b)
	}
	k.RemovePeer(1)
	if got := k.Gap(2, 1, nil); len(got) != 4 {
		t.Errorf("%v", got)
	}
	k.ok()
}

// What one owes at the end another is asked for too, in runs, and only then.
func TestGapAgainIsWhatOthersOwe(t *testing.T) {
	k := newPicker(t, Geometry{Pieces: 4, PieceLen: 4000, LastLen: 500, BlockLen: 1000}, nil, 1)
	for id := range PeerID(3) {
		k.addSeed(id)
	}
	slow := k.Gap(0, 3, nil)
	if got := k.GapAgain(1, 9, nil); len(got) != 0 {
		t.Fatalf("not all was asked for, and of that again %v", got)
	}
	k.Pick(2, 9, nil)
	k.Received(0, slow[0])
	if got := k.GapAgain(0, 9, nil); len(got) != 0 {
		t.Fatalf("who owes something is asked again, for %v", got)
	}
	again := k.GapAgain(1, 2, nil)
	if len(again) != 8 || !slices.IsSortedFunc(again, func(a, b Block) int { return (a.Piece-b.Piece)*4000 + int(a.Begin) - int(b.Begin) }) || slices.Contains(again, slow[0]) {
		t.Errorf("of %v again %v", slow, again)
	}
	k.ok()
	for _, b := range again {
		if fresh, _ := k.Received(1, b); !fresh {
			t.Errorf("%v is not wanted", b)
		}
	}
	if got := k.GapAgain(1, 9, nil); len(got) != 4 {
		t.Errorf("the rest is %v", got)
	}
	k.ok()
}

func TestGapBeginsWithWhatIsWaitedFor(t *testing.T) {
	k := newPicker(t, Geometry{Pieces: 10, PieceLen: 2000, BlockLen: 1000}, nil, 1)
	k.addSeed(1)
	k.Urgent([]int{7, 3})
	if got := piecesOf(k.Gap(1, 2, nil)); !slices.Equal(got, []int{7, 8}) {
		t.Errorf("%v", got)
	}
	if got := piecesOf(k.Gap(1, 2, nil)); !slices.Equal(got, []int{3, 4}) {
		t.Errorf("%v", got)
	}
	k.ok()
}
