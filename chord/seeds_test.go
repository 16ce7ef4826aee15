package chord

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// seeds is how many scenarios TestSeeds plays, -chord.more times.
const seeds = 500

// TestSeeds plays one scenario for each seed: whatever happens to the ring, the
// invariants hold after every step and every promise is kept.
func TestSeeds(t *testing.T) {
	if *seedFlag != 0 {
		if f := playSeed(*seedFlag, 0); f.text != "" {
			t.Fatal(f.text)
		}
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // a sixth of the time
	n := seeds * *moreFlag / seedShare / seedShare
	began := time.Now()
	failures := findSeeds(1, uint64(n), 0, 3)
	for _, f := range failures {
		t.Errorf("%s\nreplay with -run '^TestSeeds$' -chord.seed=%d", f.text, f.seed)
	}
	t.Logf("%d seeds, %.0f in a second", n, float64(n)/time.Since(began).Seconds())
}

// TestScenariosReplay plays some scenarios twice: the same to the last bit.
func TestScenariosReplay(t *testing.T) {
	for seed := range uint64(5) {
		var traces [2]traceHash
		var steps [2]int
		for i := range traces {
			s := newScenario(t, seed+1, 0)
			s.play()
			traces[i], steps[i] = s.trace, s.steps
		}
		if traces[0] != traces[1] || steps[0] != steps[1] {
			t.Errorf("seed %d gives trace %x after %d steps, then %x after %d", seed+1, traces[0], steps[0], traces[1], steps[1])
		}
	}
}

// failure is what a seed has found.
type failure struct {
	seed      uint64
	invariant string // its name; empty if nothing was broken
	text      string
}

// findSeeds plays the seeds from first to last on all processors, until so many
// have failed by one of the invariants wanted, or by any if none is named.
func findSeeds(first, last uint64, without rule, enough int, wanted ...string) (failures []failure) {
	var next atomic.Uint64
	next.Store(first)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1) - 1; seed <= last; seed = next.Add(1) - 1 {
				f := playSeed(seed, without)
				if f.text == "" || (len(wanted) > 0 && !slices.Contains(wanted, f.invariant)) {
					continue
				}
				mu.Lock()
				failures = append(failures, f)
				if len(failures) >= enough {
					next.Store(last + 1)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return failures
}

// playSeed plays one scenario, without some of the rules, and gives what it
// breaks first.
func playSeed(seed uint64, without rule) (f failure) {
	f.seed = seed
	defer func() {
		if caught, ok := recover().(catch); ok {
			f.text = string(caught)
			f.invariant, _, _ = strings.Cut(f.text, ":")
		}
	}()
	newScenario(catcher{}, seed, without).play()
	return f
}

// catcher is a reporter that ends what it watches by a panic of type catch.
type catcher struct{}

type catch string

func (catcher) Helper()        {}
func (catcher) Cleanup(func()) {}
func (catcher) Failed() bool   { return false } // a failure ends it
func (c catcher) Errorf(format string, args ...any) {
	c.Fatalf(format, args...)
}

func (catcher) Fatalf(format string, args ...any) {
	panic(catch(fmt.Sprintf(format, args...)))
}
