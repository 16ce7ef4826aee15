package chord

import (
	"flag"
	"fmt"
	"strings"
	"testing"
)

var seedFlag = flag.Uint64("chord.seed", 0, "run the seeded tests of the ring with this seed only; 0 means each test's own seeds")

var moreFlag = flag.Int("chord.more", 1, "run the simulations with so many times as many seeds")

var traceFlag = flag.Bool("chord.trace", false, "print every message, event and operation of the simulated network")

// testSeed gives the seed of a test that runs one: -chord.seed or its own.
func testSeed(t *testing.T, own uint64) uint64 {
	seed := own
	if *seedFlag != 0 {
		seed = *seedFlag
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("replay with -run '^%s$' -chord.seed=%d", t.Name(), seed)
		}
	})
	return seed
}

// eachSeed runs a test with seeds 1..n, or with -chord.seed alone; under the
// race detector with a share of them.
func eachSeed(t *testing.T, n int, test func(t *testing.T, seed uint64)) {
	t.Helper()
	if *seedFlag != 0 {
		n = 1
	} else {
		n = max(1, n**moreFlag/seedShare)
	}
	for i := range n {
		seed := uint64(i + 1)
		if *seedFlag != 0 {
			seed = *seedFlag
		}
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			testSeed(t, seed)
			test(t, seed)
		}) {
			return // one replayable failure says more than fifty
		}
	}
}

// dumpStore writes all that a store holds of a class, tombstones included.
func dumpStore(s Store, class Class) string {
	var b strings.Builder
	err := s.Keys(class, ID{}, ID{}, func(k Key) bool {
		fmt.Fprintf(&b, "%q:", string(k))
		err := s.Fields(k, "", "", func(f Field) bool {
			fmt.Fprintf(&b, " %q=%x stamp %d expires %d deleted %v;", f.Name, f.Value, f.Stamp, f.Expires, f.Deleted)
			return true
		})
		if err != nil {
			panic(err)
		}
		b.WriteByte('\n')
		return true
	})
	if err != nil {
		panic(err)
	}
	return b.String()
}
