package chord

import (
	"fmt"
	"testing"
	"time"
)

// summaries counts what comparing takes, by what is asked.
type summaries struct{ parts, lists, stamps, fields int }

func countSummaries(net *simNet) *summaries {
	c := new(summaries)
	net.watch = func(env Envelope) {
		switch b := env.Body.(type) {
		case Summarize:
			if b.List {
				c.lists++
			} else {
				c.parts++
			}
		case GetStamps:
			c.stamps++
		case Fields:
			c.fields += len(b.Fields)
		case MergeFields:
			c.fields += len(b.Fields)
		}
	}
	return c
}

// pairApart is a ring of two with so many maps, of which the second lacks some.
func pairApart(t *testing.T, maps int, lacking ...int) (net *simNet, a, b *simHost) {
	t.Helper()
	net, hosts := ringOf(t, simOptions{seed: testSeed(t, 5)}, 2)
	for i := range maps {
		op := StoreOp{Kind: StoreMerge, Key: Key(fmt.Sprint("\x01key ", i)), Merge: []Field{{Name: "f", Entry: Entry{Value: []byte("v"), Stamp: 1}}}}
		hosts[0].disk.Apply(op)
		hosts[1].disk.Apply(op)
	}
	for _, i := range lacking {
		hosts[1].disk.Apply(StoreOp{Kind: StoreDrop, Key: Key(fmt.Sprint("\x01key ", i))})
	}
	return net, hosts[0], hosts[1]
}

// compareNow compares the whole ring's hard maps and waits for the outcome.
func (h *simHost) compareNow(other *simHost) (c comparison) {
	h.net.t.Helper()
	done := false
	h.call(h.boot, func(m *Member, _ Time) {
		m.compare(other.ref, Hard, ID{}, ID{}, true, func(got comparison) { c, done = got, true })
	})
	h.net.wait("a comparison", time.Minute, func() bool { return done })
	return c
}

// TestCompareCostsWhatDiffers compares large copies: equal ones take a single
// question, and three lost maps a few per level of the tree, however many there
// are; only the lost ones travel.
func TestCompareCostsWhatDiffers(t *testing.T) {
	const maps = 5000
	for _, lost := range []int{0, 3} {
		t.Run(fmt.Sprint(lost, " lost"), func(t *testing.T) {
			net, a, b := pairApart(t, maps, []int{17, 1700, 4711}[:lost]...)
			a.m.timers.stop(a.m.repair.timer) // only the comparison looked at
			b.m.timers.stop(b.m.repair.timer)
			count := countSummaries(net)
			if c := a.compareNow(b); !c.ok || c.pushed != lost || c.pulled != 0 {
				net.fatalf("%+v", c)
			}
			// 5,000 maps are 312 in a sixteenth: one level of parts below.
			if count.parts > 1+lost || count.lists > lost || count.stamps > lost || count.fields != lost {
				net.fatalf("it took %+v", *count)
			}
			if c := b.compareNow(a); !c.ok || c.pushed+c.pulled != 0 {
				net.fatalf("afterwards: %+v", c)
			}
		})
	}
}

// TestCompareFillsTheEmpty brings a copy to one who has nothing.
func TestCompareFillsTheEmpty(t *testing.T) {
	const maps = 1500
	net, a, b := pairApart(t, maps)
	b.disk = NewMemStore()
	b.m.cfg.Store = shownStore{b.disk, new(int), b.damaged}
	if c := a.compareNow(b); !c.ok || c.pushed != maps {
		net.fatalf("%+v", c)
	}
	if dumpStore(a.disk, Hard) != dumpStore(b.disk, Hard) {
		net.fatalf("the copies differ")
	}
}

// TestRepairKeepsToItsRate fills a newcomer at no more than the rate allows.
func TestRepairKeepsToItsRate(t *testing.T) {
	const rate, maps, size = 1 << 20, 64, 64 << 10 // 4 MiB
	net, a, b := pairApart(t, 0)
	value := make([]byte, size)
	for i := range maps {
		a.disk.Apply(StoreOp{Kind: StoreMerge, Key: Key(fmt.Sprint("\x01large ", i)), Merge: []Field{{Name: "f", Entry: Entry{Value: value, Stamp: 1}}}})
	}
	a.m.cfg.RepairBytesPerSec = rate
	began := net.now
	if c := a.compareNow(b); !c.ok || c.pushed != maps {
		net.fatalf("%+v", c)
	}
	took, least := net.now.Sub(began), time.Duration(maps*size/rate)*time.Second
	if took < least-paceAhead-compareWindow*100*time.Millisecond || took > least+least/2 {
		net.fatalf("4 MiB at 1 MiB/s took %v", took)
	}
}

// TestParts divides arcs of all lengths into parts that follow each other.
func TestParts(t *testing.T) {
	var small ID
	small[IDBytes-1] = 9
	for _, c := range []struct {
		from, to ID
		n        int
	}{
		{ID{}, ID{}, 16}, {top, top, 16}, {ID{5}, ID{3}, 16}, {ID{3}, ID{5}, 16},
		{ID{}, small, 1}, {top, small, 1}, {previous(ID{}), ID{IDBytes - 1: 15}, 16},
	} {
		ends := parts(c.from, c.to)
		if len(ends) != c.n || ends[len(ends)-1] != c.to {
			t.Errorf("(%s, %s] has the parts %v", c.from, c.to, ends)
		}
		at := c.from
		for i, end := range ends {
			if end == at || (i < len(ends)-1 && !Between(c.from, end, c.to)) || (i > 0 && !Between(c.from, at, end)) {
				t.Errorf("(%s, %s]: part %d ends at %s", c.from, c.to, i, end)
			}
			at = end
		}
	}
}
