package chord

import "testing"

func TestPassagesAreRememberedForAWhile(t *testing.T) {
	var p passages
	for seq := range uint64(2 * maxPassages) {
		if p.again(ID{1}, seq) {
			t.Fatalf("%d is new", seq)
		}
		if p.again(ID{2}, seq) {
			t.Fatalf("%d is another member's", seq)
		}
		if !p.again(ID{1}, seq) || !p.again(ID{2}, seq) {
			t.Fatalf("%d was here", seq)
		}
	}
	if len(p.seen) != maxPassages || len(p.order) != maxPassages {
		t.Errorf("%d and %d are remembered, want %d", len(p.seen), len(p.order), maxPassages)
	}
}
