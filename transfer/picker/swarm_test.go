package picker

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var dayFlag = flag.Bool("picker.day", false, "a day of a swarm of 1,000 peers, which takes minutes")

// swarmOptions shape a simulated swarm: peers come one after the other, fetch all of
// it by the real picker from neighbours with the real choker, serve it for a while,
// and go.
type swarmOptions struct {
	seed      uint64
	peers     int
	size      int64 // bytes
	pieceLen  uint32
	blockLen  uint32
	rate      float64       // of a link, bytes per second both ways
	slower    []float64     // some have so much of it; nil: all have all
	between   time.Duration // arrivals, in the mean (Poisson)
	stays     time.Duration // how long who is done serves on, in the mean
	neighbors int           // that a newcomer connects to
	slots     int
	unsteered bool // the seed gives what it is asked for
	uncaring  bool // nobody minds that others get ahead
}

type simSwarm struct {
	fluid
	t     *testing.T
	opt   swarmOptions
	rnd   *rand.Rand
	geo   Geometry
	peers []*simPeer // those that are there
	all   []*simPeer
	sent  float64 // by the first seed
}

func (w *simSwarm) clock() time.Time { return time.Unix(1e9, 0).Add(w.now) }

func playSwarm(t *testing.T, opt swarmOptions) *simSwarm {
	w := &simSwarm{t: t, opt: opt, rnd: rand.New(rand.NewPCG(opt.seed, 77))}
	w.geo = Geometry{Pieces: int((opt.size + int64(opt.pieceLen) - 1) / int64(opt.pieceLen)), PieceLen: opt.pieceLen, BlockLen: opt.blockLen}
	w.geo.LastLen = uint32(opt.size - int64(w.geo.Pieces-1)*int64(opt.pieceLen))
	w.join(true)
	var arrive func()
	arrive = func() {
		w.join(false)
		if len(w.all) <= opt.peers {
			w.in(time.Duration(w.rnd.ExpFloat64()*float64(opt.between)), arrive)
		}
	}
	w.in(0, arrive)
	for w.step() {
	}
	return w
}

// step runs until everybody who came is done; false then.
func (w *simSwarm) step() bool {
	w.run(w.now + time.Minute)
	if len(w.all) <= w.opt.peers {
		return true
	}
	for _, p := range w.all {
		if p.done == 0 {
			if w.now-p.moved > time.Hour {
				w.t.Fatalf("seed %d: peer %d has had nothing for %v: %d of %d pieces are missing", w.opt.seed, p.id, w.now-p.moved, p.pick.Left(), w.geo.Pieces)
			}
			return true
		}
	}
	return false
}

// ratios are the times of all downloads over what their links alone would take.
func (w *simSwarm) ratios() (out []float64) {
	for _, p := range w.all[1:] {
		out = append(out, (p.done-p.came).Seconds()/(float64(w.opt.size)/p.down.capacity))
	}
	slices.Sort(out)
	return out
}

// longestWait is for how long a peer that was not done has had nothing.
func (w *simSwarm) longestWait() (longest time.Duration) {
	for _, p := range w.all {
		longest = max(longest, p.gap)
	}
	return longest
}

func (w *simSwarm) String() string {
	r := w.ratios()
	return fmt.Sprintf("seed %d: %d peers in %v, time over the bound: median %.3f, 99 %% %.3f, most %.3f; the first seed sent %.2f copies; the longest wait for a block %v",
		w.opt.seed, len(r), w.now.Round(time.Minute), r[len(r)/2], r[len(r)*99/100], r[len(r)-1], w.sent/float64(w.opt.size), w.longestWait().Round(time.Millisecond))
}

// TestSwarmInVirtualTime has peers come to a swarm at random, on a whole day some with
// slow links. Each is done nearly as soon as its link allows, and none is left waiting.
func TestSwarmInVirtualTime(t *testing.T) {
	opt := swarmOptions{
		seed: *seedFlag, peers: 60, size: 256 << 20, pieceLen: 256 << 10, blockLen: 64 << 10, rate: 12.5e6,
		between: 5 * time.Second, stays: 20 * time.Second, neighbors: 5, slots: 64,
	}
	if *dayFlag {
		opt.peers, opt.size, opt.pieceLen, opt.blockLen, opt.between, opt.stays = 1000, 4<<30, 1<<20, 256<<10, 86*time.Second, 5*time.Minute
		opt.slower = []float64{1, 1, 0.5, 0.1}
	}
	began := time.Now()
	w := playSwarm(t, opt)
	t.Log(w)
	r := w.ratios()
	if median, most := r[len(r)/2], r[len(r)-1]; median > 1.15 || most > 1.5 {
		t.Errorf("%v", w)
	}
	if *dayFlag {
		result, err := json.MarshalIndent(map[string]any{
			"commit": os.Getenv("COMMIT"), "seed": opt.seed, "peers": len(r), "bytes": opt.size, "link_bytes_per_sec": opt.rate, "links_drawn_from": opt.slower, "virtual_hours": w.now.Hours(),
			"time_over_bound_median": r[len(r)/2], "time_over_bound_p99": r[len(r)*99/100], "time_over_bound_max": r[len(r)-1],
			"longest_wait_for_a_block_sec": w.longestWait().Seconds(), "wall_sec": time.Since(began).Seconds(),
		}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.FromSlash("../../bench/swarm/day.json"), append(result, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if again := playSwarm(t, opt).String(); again != w.String() {
		t.Errorf("the same seed, another swarm:\n%s\n%s", w, again)
	}
}

// TestCrowdInVirtualTime has all come at once to one seed. The last is done little
// later than one of them alone would be, and the seed has sent little more than one
// copy; when it gives what it is asked for, it sends more before each piece has left. Of a
// hundred, those who have unlucky neighbours make up for it by calling more.
func TestCrowdInVirtualTime(t *testing.T) {
	for _, c := range []struct {
		peers  int
		pieces int64
		most   float64
		copies float64
	}{{8, 1024, 1.05, 1.05}, {24, 1024, 1.06, 1.06}, {24, 256, 1.2, 1.18}, {40, 1024, 1.07, 1.07}, {100, 1024, 1.09, 1.09}} {
		if raceOn && c.peers > 8 {
			continue // there is one goroutine
		}
		opt := swarmOptions{
			seed: *seedFlag, peers: c.peers, size: c.pieces << 18, pieceLen: 256 << 10, blockLen: 16 << 10, rate: 12.5e6,
			stays: time.Hour, neighbors: 5, slots: 64,
		}
		steered := playSwarm(t, opt)
		opt.unsteered = true
		left := playSwarm(t, opt)
		t.Logf("%d peers, %d pieces: %v", c.peers, c.pieces, steered)
		t.Logf("the same, unsteered: %v", left)
		last := func(w *simSwarm) float64 { r := w.ratios(); return r[len(r)-1] }
		if last(steered) > c.most || steered.sent > c.copies*float64(opt.size) || steered.sent > left.sent {
			t.Errorf("%d peers, %d pieces: want %.2f and %.2f copies at most, and no more copies than unsteered:\n%v\n%v", c.peers, c.pieces, c.most, c.copies, steered, left)
		}
		if c.peers == 100 {
			opt.unsteered, opt.uncaring = false, true
			uncaring := playSwarm(t, opt)
			t.Logf("the same, and nobody minds that others get ahead: %v", uncaring)
			if last(uncaring) <= last(steered) {
				t.Errorf("nobody was the later for not calling more when others got ahead:\n%v\n%v", steered, uncaring)
			}
		}
	}
}

// Among slow links, those of fast ones are used, too: who has slow neighbours finds others.
func TestMixedCrowdInVirtualTime(t *testing.T) {
	for _, slower := range [][]float64{{1, 0.3}, {1, 1, 0.5, 0.1}} {
		if raceOn {
			continue // there is one goroutine
		}
		w := playSwarm(t, swarmOptions{
			seed: *seedFlag, peers: 40, size: 256 << 20, pieceLen: 256 << 10, blockLen: 64 << 10, rate: 12.5e6, slower: slower,
			stays: time.Hour, neighbors: 5, slots: 64,
		})
		t.Logf("links %v: %v", slower, w)
		if r := w.ratios(); r[len(r)-1] > 1.25 {
			t.Errorf("links %v: the last took more than a quarter more than its own link needs: %v", slower, w)
		}
	}
}
