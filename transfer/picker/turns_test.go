package picker

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// invariant is what holds of turns at any time.
func (t *Turns) invariant(tb testing.TB, all []*Turn) {
	tb.Helper()
	if len(t.served) > servedAtOnce {
		tb.Fatalf("%d have a turn, at most %d may", len(t.served), servedAtOnce)
	}
	for _, u := range t.served {
		if len(t.line) > 0 && u.since.IsZero() {
			tb.Fatalf("peer %d has a turn for which others wait, and that can last for ever", u.Peer)
		}
	}
	for _, u := range all {
		inServed, inLine := slices.Contains(t.served, u), slices.Contains(t.line, u)
		if inServed != (u.state == served) || inLine != (u.state == waiting) {
			tb.Fatalf("peer %d: state %d, but among the served: %v, in line: %v", u.Peer, u.state, inServed, inLine)
		}
	}
}

func someTurns(n int) (all []*Turn) {
	for i := range n {
		all = append(all, &Turn{Peer: PeerID(i)})
	}
	return all
}

// Of many that always have something to be sent, a few are served at a time, and all get as
// much.
func TestTurnsAreFewAtATimeAndEqual(t *testing.T) {
	const block = 16 << 10
	var turns Turns
	all, now := someTurns(13), time.Unix(1e9, 0)
	got := make([]int, len(all))
	for range 2000 {
		now = now.Add(time.Millisecond)
		for i, u := range all {
			if turns.Begin(u, now) {
				u.Sent(block)
				got[i] += block
			} else if turns.Over(u) {
				turns.Free(u)
				for turns.Next(now) != nil {
				}
			}
			turns.invariant(t, all)
		}
	}
	least, most := slices.Min(got), slices.Max(got)
	if most-least > turnBytes || least < turnBytes {
		t.Errorf("in turns, the least got %d bytes and the most %d: want them no more than one turn apart", least, most)
	}
}

// Alone, or with as few as are served at a time, nobody waits for anybody.
func TestNobodyWaitsAmongFew(t *testing.T) {
	var turns Turns
	all, now := someTurns(servedAtOnce), time.Unix(1e9, 0)
	for range 100 {
		now = now.Add(longestTurn)
		for _, u := range all {
			if !turns.Begin(u, now) || turns.Over(u) {
				t.Fatalf("peer %d has to wait, and nobody is before it", u.Peer)
			}
			u.Sent(turnBytes)
		}
		turns.Tick(now)
		turns.invariant(t, all)
	}
}

// What is not sent in time holds up those who wait for no longer than a turn may take. Who is
// slow twice is served aside, and has to be slow again to be so for longer.
func TestSlowTurns(t *testing.T) {
	var turns Turns
	now := time.Unix(1e9, 0)
	all := someTurns(servedAtOnce + 1)
	slow, last := all[0], all[servedAtOnce]
	begin := func(u *Turn, want bool, what string) {
		t.Helper()
		if turns.Begin(u, now) != want {
			t.Fatalf("%s: Begin is %v", what, !want)
		}
		turns.invariant(t, all)
	}
	for _, u := range all[:servedAtOnce] {
		begin(u, true, "one of a few")
	}
	begin(last, false, "one too many")
	turns.Tick(now.Add(longestTurn - 1))
	if turns.Next(now) != nil {
		t.Fatal("a turn was ended before its time")
	}
	for round, aside := range []time.Duration{0, firstAside, 2 * firstAside, 4 * firstAside, 8 * firstAside, longestAside, longestAside} {
		now = now.Add(longestTurn)
		turns.Tick(now)
		if turns.Next(now) != last {
			t.Fatalf("round %d: who waits has to wait for longer than a turn may take", round)
		}
		if aside > 0 {
			begin(slow, true, "aside")
			if slices.Contains(turns.served, slow) {
				t.Fatalf("round %d: one that was slow twice has a turn", round)
			}
			now = now.Add(aside - 1)
			begin(slow, true, "still aside")
			now = now.Add(1)
		}
		for _, u := range all {
			turns.Free(u)
		}
		slow.slow = round + 1 // Free is for turns that were quick
		for _, u := range all[:servedAtOnce] {
			begin(u, true, "tried again")
		}
		begin(last, false, "one too many again")
	}
	turns.Free(slow)
	if slow.slow != 0 {
		t.Error("a quick turn does not make up for slow ones")
	}
}

// A turn that waits for a disk or a limit here is ended like others, and not held against
// the peer; the next one is.
func TestTurnsThatAreLateForNoFaultOfThePeer(t *testing.T) {
	var turns Turns
	now := time.Unix(1e9, 0)
	all := someTurns(servedAtOnce + 1)
	for round := range 3 * slowTurns {
		for _, u := range all {
			turns.Begin(u, now)
		}
		for _, u := range all[:servedAtOnce] {
			u.Excuse()
		}
		now = now.Add(longestTurn)
		turns.Tick(now)
		if turns.Next(now) != all[servedAtOnce] {
			t.Fatalf("round %d: who waits has to wait for longer than a turn may take", round)
		}
		if all[0].slow != 0 || turns.Begin(all[0], now) && !slices.Contains(turns.served, all[0]) {
			t.Fatalf("round %d: served aside, as if its link were slow", round)
		}
		turns.invariant(t, all)
		for _, u := range all {
			turns.Free(u)
		}
	}
	for range slowTurns {
		for _, u := range all {
			turns.Begin(u, now)
		}
		now = now.Add(longestTurn)
		turns.Tick(now)
		turns.Free(all[servedAtOnce])
	}
	if !now.Before(all[0].aside) {
		t.Error("what excused one turn excuses those after it")
	}
}

// How long turns took before anybody waited is nothing that ends them.
func TestTheFirstWhoWaitsEndsNoTurnAtOnce(t *testing.T) {
	var turns Turns
	now := time.Unix(1e9, 0)
	all := someTurns(servedAtOnce + 1)
	for _, u := range all[:servedAtOnce] {
		turns.Begin(u, now)
	}
	now = now.Add(10 * longestTurn)
	if turns.Begin(all[servedAtOnce], now) {
		t.Fatal("more than a few have a turn")
	}
	turns.Tick(now.Add(longestTurn - 1))
	if turns.Next(now) != nil {
		t.Fatal("a turn was ended for the time when nobody waited")
	}
	turns.Tick(now.Add(longestTurn))
	if turns.Next(now) != all[servedAtOnce] {
		t.Fatal("who waits has to wait for longer than a turn may take")
	}
}

// Whatever happens: nobody is lost, few are served at a time, and whoever waits comes in
// the order of the line.
func TestTurnsAtRandom(t *testing.T) {
	for seed := range uint64(50) {
		seed += *seedFlag
		r := rand.New(rand.NewPCG(seed, 3))
		var turns Turns
		all, now := someTurns(1+r.IntN(12)), time.Unix(1e9, 0)
		for range 2000 {
			u := all[r.IntN(len(all))]
			now = now.Add(time.Duration(r.Int64N(int64(20 * time.Millisecond))))
			switch r.IntN(8) {
			case 0:
				turns.Done(u)
			case 1:
				turns.Free(u)
			case 2:
				turns.Tick(now)
			default:
				if turns.Begin(u, now) {
					u.Sent(r.IntN(2 * turnBytes))
				} else if turns.Over(u) && r.IntN(2) == 0 {
					turns.Free(u)
				}
			}
			turns.invariant(t, all)
			line := slices.Clone(turns.line)
			for n := 0; turns.Waiting(); n++ {
				next := turns.Next(now)
				if next == nil {
					break
				}
				if next != line[n] || next.state == waiting {
					t.Fatalf("seed %d: peer %d comes before peer %d, who waits longer", seed, next.Peer, line[n].Peer)
				}
			}
			turns.invariant(t, all)
			if turns.Waiting() && len(turns.served) < servedAtOnce {
				t.Fatalf("seed %d: %d wait and only %d have a turn", seed, len(turns.line), len(turns.served))
			}
		}
	}
}
