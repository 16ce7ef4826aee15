package chord

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// These tests walk through Stoica, Morris, Karger, Kaashoek, Balakrishnan,
// "Chord: A Scalable Peer-to-peer Lookup Service for Internet Applications"
// (2001), section 4.

// table is a ring of members whose messages arrive at once.
type table struct {
	t       *testing.T
	members []*Member // in ring order
	byAddr  map[string]*Member
	asked   int // questions FindOwner
}

// newTable makes an ideal ring of n members at random places. They have not
// heard of each other by gossip.
func newTable(t *testing.T, n int, seed uint64) *table {
	tab := &table{t: t, byAddr: map[string]*Member{}}
	rng := rand.New(rand.NewPCG(seed, 4))
	for i := range n {
		m, err := New(Config{Self: Ref{ID: anyPlace(rng), Addr: fmt.Sprint("m", i)}, Rand: rng, Store: emptyStore})
		if err != nil {
			t.Fatal(err)
		}
		m.now = simEpoch
		tab.members = append(tab.members, m)
		tab.byAddr[m.self.Addr] = m
	}
	slices.SortFunc(tab.members, func(a, b *Member) int { return a.self.ID.Compare(b.self.ID) })
	for i, m := range tab.members {
		m.phase, m.pred = member, tab.members[(i+n-1)%n].self
		for k := 1; k < n && k <= ListLength(n); k++ {
			m.succ = append(m.succ, tab.members[(i+k)%n].self)
		}
	}
	return tab
}

// anyPlace draws from all places alike.
func anyPlace(rng *rand.Rand) (id ID) {
	for i := range id {
		id[i] = byte(rng.Uint32())
	}
	return id
}

// successor is the first member at or behind a place, by definition.
func (tab *table) successor(id ID) *Member {
	i, _ := slices.BinarySearchFunc(tab.members, id, func(m *Member, id ID) int { return m.self.ID.Compare(id) })
	return tab.members[i%len(tab.members)]
}

// pass delivers messages until there are none; who is not at the table is not
// reachable.
func (tab *table) pass() {
	for moved := true; moved; {
		moved = false
		for _, m := range tab.members {
			for _, env := range m.Take().Send {
				moved = true
				if _, ok := env.Body.(FindOwner); ok {
					tab.asked++
				}
				if to := tab.byAddr[env.To.Addr]; to != nil {
					to.Receive(to.now, env)
				} else if !env.Reply {
					m.Unreachable(m.now, env.To, env.Seq, false)
				}
			}
		}
	}
}

// find looks a place up by fingers and gives how many members were asked.
func (tab *table) find(from *Member, id ID) (owner Ref, asked int) {
	tab.asked = 0
	if from.owns(id) {
		return from.self, 0
	}
	from.walk(id, from.beginnings(id), func(t trail) { owner = t.owner })
	tab.pass()
	return owner, tab.asked
}

// leave takes a member off the table, as if it had died long ago: its
// neighbours have closed the gap, nobody else knows.
func (tab *table) leave(i int) {
	n := len(tab.members)
	gone := tab.members[i]
	before, after := tab.members[(i+n-1)%n], tab.members[(i+1)%n]
	before.succ = slices.DeleteFunc(slices.Clone(before.succ), func(r Ref) bool { return r == gone.self })
	after.pred = before.self
	delete(tab.byAddr, gone.self.Addr)
	tab.members = slices.Delete(tab.members, i, i+1)
}

// Section 4.2: each key belongs to exactly one member, its successor.
func TestPaperChordConsistentHashing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 42))
	for _, n := range []int{1, 2, 3, 10, 100} {
		tab := newTable(t, n, uint64(n))
		for range 200 {
			id := anyPlace(rng)
			if rng.IntN(4) == 0 {
				id = tab.members[rng.IntN(n)].self.ID // a member's own place is its own
			}
			want := tab.successor(id)
			for _, m := range tab.members {
				if m.owns(id) != (m == want) {
					t.Fatalf("%d members: %s owns %s: %v", n, m.self.ID.Short(), id.Short(), m.owns(id))
				}
			}
		}
	}
}

// Section 4.2: who joins takes keys from its successor only, and who leaves
// gives them to its successor only.
func TestPaperChordOnlyNeighboursMoveKeys(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 42))
	for range 20 {
		tab := newTable(t, 12, rng.Uint64())
		i := rng.IntN(12)
		leaver, heir := tab.members[i], tab.members[(i+1)%12]
		var keys []ID
		before := map[ID]*Member{}
		for range 300 {
			id := anyPlace(rng)
			keys = append(keys, id)
			before[id] = tab.successor(id)
		}
		tab.leave(i)
		for _, id := range keys {
			want := before[id]
			if want == leaver {
				want = heir
			}
			if got := tab.successor(id); got != want || !want.owns(id) {
				t.Fatalf("%s went to %s, want %s", id.Short(), got.self.ID.Short(), want.self.ID.Short())
			}
		}
	}
}

// Section 4.3, with base 16 instead of base 2: with right fingers a lookup from
// anywhere ends at the owner. A question brings it a hexadecimal digit nearer;
// about log16(n) of them come into question, then the list knows the owner, who
// is asked as well.
func TestPaperChordScalableLookup(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 43))
	for _, c := range []struct{ n, most int }{{1, 0}, {2, 1}, {16, 3}, {256, 4}, {1024, 5}} {
		tab := newTable(t, c.n, uint64(c.n))
		for _, m := range tab.members {
			tab.fingers(m)
		}
		for range 300 {
			from, id := tab.members[rng.IntN(c.n)], anyPlace(rng)
			got, asked := tab.find(from, id)
			if want := tab.successor(id).self; got != want {
				t.Fatalf("%d members: %s found %s as owner of %s, want %s", c.n, from.self.ID.Short(), got.ID.Short(), id.Short(), want.ID.Short())
			}
			if asked > c.most {
				t.Errorf("%d members: %d questions, want at most %d", c.n, asked, c.most)
			}
		}
	}
}

// fingers gives a member the fingers that it comes to have: each the successor
// of its target.
func (tab *table) fingers(m *Member) {
	for k := range fingerCount {
		if s := tab.successor(fingerTarget(m.self.ID, k)); s != m {
			m.fingers.insert(s.self)
		}
	}
}

// Section 4.4: lookups are right as soon as the successors are, whatever the
// fingers say; they only take longer. Here each third member has died, and
// every finger to it is stale.
func TestPaperChordStaleFingers(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 44))
	tab := newTable(t, 60, 44)
	for _, m := range tab.members {
		tab.fingers(m)
	}
	for i := 57; i >= 0; i -= 3 {
		tab.leave(i)
	}
	for range 300 {
		from, id := tab.members[rng.IntN(len(tab.members))], anyPlace(rng)
		if got, _ := tab.find(from, id); got != tab.successor(id).self {
			t.Fatalf("%s found %s as owner of %s, want %s", from.self.ID.Short(), got.ID.Short(), id.Short(), tab.successor(id).self.ID.Short())
		}
	}
}

// Section 4.4: two that join between the same members at the same time, their
// rounds in any order.
func TestPaperChordConcurrentJoins(t *testing.T) {
	for _, order := range []string{"abcd", "bcda", "dcba", "cbad", "acbd", "bdac"} {
		p := newPlay(t, "ad", "bc")
		p.starts("b", "a")
		p.starts("c", "d")
		p.passes("ba", "cd", "ab", "dc")
		p.arrives()
		p.rounds(order + order + order)
		p.wants("d<a>bc", "a<b>cd", "b<c>da", "c<d>ab")
	}
}
