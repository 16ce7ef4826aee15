package picker

import (
	"testing"
	"time"
)

func TestUnchoke(t *testing.T) {
	base := time.Unix(1e9, 0)
	some := func(n int, change func(i int, a *Asker)) []Asker {
		var all []Asker
		for i := range n {
			a := Asker{ID: PeerID(i), Since: base.Add(time.Duration(i) * time.Second)}
			if change != nil {
				change(i, &a)
			}
			all = append(all, a)
		}
		return all
	}
	t.Run("everyone, when there is room", func(t *testing.T) {
		if got := Unchoke(some(64, nil), 64); len(got) != 64 {
			t.Errorf("%d of 64", len(got))
		}
	})
	t.Run("complete peers waste no slot", func(t *testing.T) {
		got := Unchoke(some(20, func(i int, a *Asker) { a.Complete = i < 16 }), 4)
		for i := range 4 {
			if !got[PeerID(16+i)] || len(got) != 4 {
				t.Errorf("%d slots", len(got))
			}
		}
	})
	t.Run("the fast ones, and who has waited longest", func(t *testing.T) {
		got := Unchoke(some(40, func(i int, a *Asker) {
			a.Served = i >= 20
			a.Takes = float64(i)
		}), 16)
		for i := 26; i < 40; i++ {
			if !got[PeerID(i)] {
				t.Errorf("fast peer %d got no slot", i)
			}
		}
		if !got[0] || !got[1] || len(got) != 16 {
			t.Errorf("those that wait longest got no turn: %d slots", len(got))
		}
	})
	t.Run("who takes nothing makes room for who waits, as long as somebody does", func(t *testing.T) {
		for _, waiting := range []int{1, 20, 40} {
			got := Unchoke(some(64+waiting, func(i int, a *Asker) {
				a.Served = i < 64
				a.Stuck = i < 34
				a.Gives = float64(a.ID % 2) // whatever it gives, it has nothing of a slot
				if a.Served && !a.Stuck {
					a.Takes = 1
				}
			}), 64)
			stuck, moving, come := 0, 0, 0
			for id := range got {
				switch {
				case id < 34:
					stuck++
				case id < 64:
					moving++
				default:
					come++
				}
			}
			if moving != 30 || come != min(waiting, 34) || stuck != 34-come {
				t.Errorf("%d wait: %d of them are served, %d of those who take, %d of those who do not", waiting, come, moving, stuck)
			}
		}
	})
	t.Run("nobody starves", func(t *testing.T) {
		served, turns, now := map[PeerID]bool{}, map[PeerID]int{}, base
		since := map[PeerID]time.Time{}
		for range 100 {
			now = now.Add(10 * time.Second)
			got := Unchoke(some(60, func(i int, a *Asker) {
				a.Served, a.Takes, a.Since = served[a.ID], float64(i), since[a.ID]
			}), 8)
			if len(got) != 8 {
				t.Fatalf("%d of 8 slots used", len(got))
			}
			for c := range PeerID(60) {
				if got[c] != served[c] {
					since[c] = now
				}
				if got[c] {
					turns[c]++
				}
			}
			served = got
		}
		for i := range 60 {
			if turns[PeerID(i)] == 0 {
				t.Errorf("peer %d never got a turn in 100", i)
			}
		}
	})
}
