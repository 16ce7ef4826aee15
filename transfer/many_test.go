package transfer

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"

	"chordtorrent/scripts/lab"
)

var (
	manyLeechers = flag.Int("transfer.leechers", 24, "how many fetch in TestMany")
	manyMiB      = flag.Int("transfer.mib", 2, "what they fetch, in MiB")
	manyRounds   = flag.Int("transfer.rounds", 1, "how often TestMany does both")
	manyOut      = flag.String("transfer.out", "", "a file for what TestMany has measured")
)

// manyResult is what one seed and many that fetch cost.
type manyResult struct {
	Machine  lab.Machine `json:"machine"`
	Leechers int         `json:"leechers"`
	MiB      int         `json:"mib"`
	Seed     uint64      `json:"random_seed"`
	// CPU seconds per GiB delivered, medians of the rounds: of one who fetches at a time, and of all at once.
	OneCPU  float64 `json:"cpu_sec_per_gib_one_to_one"`
	ManyCPU float64 `json:"cpu_sec_per_gib"`
	// HeapLeft is how many bytes more are in use than before, when all is closed.
	HeapLeft int64       `json:"heap_left_bytes"`
	Rounds   []manyRound `json:"rounds"`
}

// manyRound is what was measured once.
type manyRound struct {
	OneCPU  float64 `json:"cpu_sec_per_gib_one_to_one"`
	ManyCPU float64 `json:"cpu_sec_per_gib"`
	Copies  float64 `json:"seed_sent_copies"`
	Sources int     `json:"sources_of_one"`   // the median of how many sent something to each
	Even    float64 `json:"even_seed_copies"` // that the seed would have sent, had all sources of each sent as much
}

// One seed and many that fetch, each of which is told of the seed and of 30 others,
// as a tracker does: all get everything, and nothing is left behind. Beside it, what
// as many cost that fetch one after the other. Both fill as much memory that was not
// in use before, which costs more than to fill what is warm from the transfer before.
func TestMany(t *testing.T) {
	r := manyResult{Machine: lab.ThisMachine(os.Getenv("COMMIT")), Leechers: *manyLeechers, MiB: *manyMiB, Seed: rand.Uint64()}
	t.Logf("seed %#x", r.Seed)
	f := makeTorrent(t, r.Seed, 64<<10, r.MiB<<20)
	before, open := liveHeap(), descriptors()
	for range *manyRounds {
		var alone float64
		t.Run("one", func(t *testing.T) {
			for range r.Leechers {
				alone += swarmOf(t, f, 1, r.Seed).ManyCPU / float64(r.Leechers)
			}
		})
		var all manyRound
		t.Run("many", func(t *testing.T) {
			all = swarmOf(t, f, r.Leechers, r.Seed)
		})
		if t.Failed() {
			return
		}
		all.OneCPU = alone
		r.Rounds = append(r.Rounds, all)
		t.Logf("%d that fetch %d MiB: %.2f CPU seconds per GiB, %.2f from one to one; the seed sent %.2f copies, as one of %d sources, which make %.2f if each sends as much",
			r.Leechers, r.MiB, all.ManyCPU, all.OneCPU, all.Copies, all.Sources, all.Even)
	}
	r.OneCPU = r.median(func(a manyRound) float64 { return a.OneCPU })
	r.ManyCPU = r.median(func(a manyRound) float64 { return a.ManyCPU })
	r.HeapLeft = liveHeap() - before
	if left := descriptors() - open; left > 0 {
		t.Errorf("%d descriptors are open that were not before", left)
	}
	if r.HeapLeft > 4<<20 {
		t.Errorf("%d bytes of the heap are in use that were not before", r.HeapLeft)
	}
	if *manyOut == "" {
		return
	}
	text, err := json.MarshalIndent(r, "", "  ")
	must(t, err)
	must(t, os.WriteFile(*manyOut, append(text, '\n'), 0o644))
}

func (r *manyResult) median(of func(manyRound) float64) float64 {
	var all []float64
	for _, a := range r.Rounds {
		all = append(all, of(a))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// swarmOf gives the CPU seconds per GiB delivered, what the seed sent, and to how many
// sources that compares.
func swarmOf(t *testing.T, f *fixture, leechers int, seed uint64) (r manyRound) {
	random := rand.New(rand.NewPCG(seed, 0))
	one := func(c *Config) { c.Loops = 1 }
	source := start(t, one)
	from := source.add(t, f.seedSpec(t))
	var engines []*engine
	var torrents []*Torrent
	var specs []Spec
	for range leechers {
		engines = append(engines, start(t, one))
		specs = append(specs, f.leechSpec(t))
	}
	began := lab.CPUTime()
	for i, e := range engines {
		to := e.add(t, specs[i])
		told := []netip.AddrPort{source.addr()}
		for _, k := range random.Perm(leechers)[:min(30, leechers)] {
			told = append(told, engines[k].addr())
		}
		to.AddPeers(told)
		torrents = append(torrents, to)
	}
	for _, to := range torrents {
		done(t, to)
	}
	r.ManyCPU = (lab.CPUTime() - began).Seconds() / (float64(len(f.data)) * float64(leechers) / (1 << 30))
	var sources []int
	for i, to := range torrents {
		f.same(t, specs[i].Content)
		st := to.Status()
		if st.BytesDone != int64(len(f.data)) {
			t.Errorf("%+v", st)
		}
		sources = append(sources, len(st.From))
		if slices.ContainsFunc(st.From, func(s Source) bool { return s.PeerID == source.cfg.PeerID }) {
			r.Even += 1 / float64(len(st.From))
		}
	}
	slices.Sort(sources)
	r.Sources = sources[len(sources)/2]
	r.Copies = float64(from.Status().Uploaded) / float64(len(f.data))
	return r
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
