package chord

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
)

// A member holds for a while what belongs to neighbours that come and go. A tree
// that kept the parts of the ring in which something was once would grow with
// all that ever passed through.
func TestDigestTreeIsThatOfWhatIsHeld(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %#x", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var tree DigestTree
	held := map[ID]Digest{}
	for step := range 3000 {
		id := HashKey(Key(fmt.Sprint(r.IntN(300))))
		now := Digest{}
		// More is added in the first half, more taken away in the second.
		if r.IntN(3000) > step {
			now = Digest{Maps: 1, Hi: r.Uint64(), Lo: r.Uint64()}
		}
		tree.Change(id, held[id], now)
		held[id] = now
		if now == (Digest{}) {
			delete(held, id)
		}
	}
	var fresh DigestTree
	for id, d := range held {
		fresh.Change(id, Digest{}, d)
	}
	if !reflect.DeepEqual(tree, fresh) {
		t.Errorf("after 3000 changes the tree of %d maps is not that of a store that never held more", len(held))
	}
	for id, d := range held {
		tree.Change(id, d, Digest{})
	}
	if tree.root != (treeNode{}) {
		t.Errorf("the tree of an empty store still holds %+v", tree.root)
	}
	gone := HashKey("gone")
	tree.Change(gone, Digest{}, Digest{Maps: 1})
	tree.Doubt(gone)
	tree.Change(gone, Digest{Maps: 1}, Digest{})
	walked := false
	if _, err := tree.Sum(ID{}, top, func(ID, ID) (Digest, error) { walked = true; return Digest{}, nil }); err != nil || !walked {
		t.Errorf("a doubted place is no longer walked once nothing is held there (err %v)", err)
	}
}
