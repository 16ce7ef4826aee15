package picker

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// invariant is what holds of turns at any time.
func (t *Turns) invariant(tb testing.TB, all []*Turn, most int) {
	tb.Helper()
	if len(t.served) > most {
		tb.Fatalf("%d have a turn, at most %d may", len(t.served), most)
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

// shares is what each of so many got who always have something to be sent, in blocks of so
// many bytes, when each is looked at so many times.
func shares(t *testing.T, peers, times int, block func(i int) int) []int {
	t.Helper()
	var turns Turns
	all, now := someTurns(peers), time.Unix(1e9, 0)
	got := make([]int, peers)
	for range times {
		now = now.Add(time.Millisecond)
		for i, u := range all {
			if turns.Begin(u, now) {
				u.Sent(block(i))
				got[i] += block(i)
			} else if turns.Over(u) {
				turns.Free(u)
				for turns.Next(now) != nil {
				}
			}
			turns.invariant(t, all, leastAtOnce)
		}
	}
	return got
}

// Of many that always have something to be sent, a few are served at a time, and all get as
// much.
func TestTurnsAreFewAtATimeAndEqual(t *testing.T) {
	got := shares(t, 13, 2000, func(int) int { return 16 << 10 })
	least, most := slices.Min(got), slices.Max(got)
	if most-least > turnBytes || least < turnBytes {
		t.Errorf("in turns, the least got %d bytes and the most %d: want them no more than one turn apart", least, most)
	}
}

// Alone, or with as few as are served at a time, nobody waits for anybody.
func TestNobodyWaitsAmongFew(t *testing.T) {
	var turns Turns
	all, now := someTurns(leastAtOnce), time.Unix(1e9, 0)
	for range 100 {
		now = now.Add(longestTurn)
		for _, u := range all {
			if !turns.Begin(u, now) || turns.Over(u) {
				t.Fatalf("peer %d has to wait, and nobody is before it", u.Peer)
			}
			u.Sent(turnBytes)
		}
		turns.Tick(now, false)
		turns.invariant(t, all, leastAtOnce)
	}
}

// full has as many as may have a turn have one, and the next wait.
func full(t *Turns, all []*Turn, now time.Time) (last *Turn) {
	for _, u := range all {
		t.Begin(u, now)
	}
	return all[len(all)-1]
}

// What is not sent in time holds up those who wait for no longer than a turn may take.
func TestSlowTurns(t *testing.T) {
	var turns Turns
	now := time.Unix(1e9, 0)
	all := someTurns(leastAtOnce + 1)
	last := full(&turns, all, now)
	turns.Tick(now.Add(longestTurn-1), false)
	if turns.Next(now) != nil {
		t.Fatal("a turn was ended before its time")
	}
	now = now.Add(longestTurn)
	turns.Tick(now, false)
	if turns.Next(now) != last {
		t.Fatal("who waits has to wait for longer than a turn may take")
	}
	turns.invariant(t, all, leastAtOnce)
}

// Whoever has nothing more to be sent keeps nobody waiting for the rest of its turn.
func TestWhoIsDoneIsWaitedForNoLonger(t *testing.T) {
	var turns Turns
	now := time.Unix(1e9, 0)
	all := someTurns(leastAtOnce + 1)
	last := full(&turns, all, now)
	turns.Done(all[0])
	if !turns.Over(all[0]) || turns.Begin(all[0], now) {
		t.Fatal("a turn goes on with nothing to send, while others wait")
	}
	turns.Free(all[0])
	if turns.Next(now) != last {
		t.Fatal("the turn of who is done is nobody's")
	}
	turns.Done(last)
	if turns.invariant(t, all, leastAtOnce); slices.Contains(turns.served, last) {
		t.Fatal("who is done has a turn, and nobody waits")
	}
}

// As long as those who have a turn leave room on the link more are served, and few again when
// it is full.
func TestMoreAreServedWhereTheLinkIsIdle(t *testing.T) {
	var turns Turns
	now := time.Unix(1e9, 0)
	all := someTurns(2 * mostAtOnce)
	full(&turns, all, now)
	tick := func(idle bool) int {
		now = now.Add(TurnTick)
		turns.Tick(now, idle)
		for turns.Next(now) != nil {
		}
		for _, u := range all { // those whose turn took too long
			turns.Begin(u, now)
		}
		return len(turns.served)
	}
	for n := leastAtOnce; n < mostAtOnce; {
		more := tick(true)
		if more <= n || more > mostAtOnce {
			t.Fatalf("%d are served, after %d of whom the link was idle", more, n)
		}
		n = more
	}
	if n := tick(true); n != mostAtOnce {
		t.Fatalf("%d are served, the most is %d", n, mostAtOnce)
	}
	for range 2 * mostAtOnce {
		tick(false)
	}
	if turns.invariant(t, all, leastAtOnce); len(turns.served) != leastAtOnce {
		t.Fatalf("%d are served, and the link is full", len(turns.served))
	}
}

// Whoever is sent blocks that are longer than a turn waits for more turns.
func TestLongBlocksGetNoMore(t *testing.T) {
	got := shares(t, 16, 10000, func(i int) int { return 16 << 10 << (i % 7) }) // up to 1 MiB
	if least, most := slices.Min(got), slices.Max(got); most-least > 2<<20 || least < 16<<20 {
		t.Errorf("the least got %d bytes and the most %d, want them a long block or two apart: %d", least, most, got)
	}
}

// How long turns took before anybody waited is nothing that ends them.
func TestTheFirstWhoWaitsEndsNoTurnAtOnce(t *testing.T) {
	var turns Turns
	now := time.Unix(1e9, 0)
	all := someTurns(leastAtOnce + 1)
	for _, u := range all[:leastAtOnce] {
		turns.Begin(u, now)
	}
	now = now.Add(10 * longestTurn)
	if turns.Begin(all[leastAtOnce], now) {
		t.Fatal("more than a few have a turn")
	}
	turns.Tick(now.Add(longestTurn-1), false)
	if turns.Next(now) != nil {
		t.Fatal("a turn was ended for the time when nobody waited")
	}
	turns.Tick(now.Add(longestTurn), false)
	if turns.Next(now) != all[leastAtOnce] {
		t.Fatal("who waits has to wait for longer than a turn may take")
	}
}

// Whatever happens: nobody is lost, few are served at a time, and of those who wait the one
// comes first who had least.
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
				turns.Tick(now, r.IntN(3) == 0)
			default:
				if turns.Begin(u, now) {
					u.Sent(r.IntN(2 * turnBytes))
				} else if turns.Over(u) && r.IntN(2) == 0 {
					turns.Free(u)
				}
			}
			turns.invariant(t, all, mostAtOnce)
			for next := turns.Next(now); next != nil; next = turns.Next(now) {
				if len(turns.served) > leastAtOnce+turns.more {
					t.Fatalf("seed %d: %d have a turn, and the link is full", seed, len(turns.served))
				}
				for _, o := range turns.line {
					if o.had < next.had {
						t.Fatalf("seed %d: peer %d comes before peer %d, who had less", seed, next.Peer, o.Peer)
					}
				}
			}
			turns.invariant(t, all, mostAtOnce)
			if turns.Waiting() && len(turns.served) < leastAtOnce {
				t.Fatalf("seed %d: %d wait and only %d have a turn", seed, len(turns.line), len(turns.served))
			}
		}
	}
}
