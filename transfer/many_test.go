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
	manyOut      = flag.String("transfer.out", "", "a file for what TestMany has measured")
)

// manyResult is what one seed and many that fetch cost.
type manyResult struct {
	Machine  lab.Machine `json:"machine"`
	Leechers int         `json:"leechers"`
	MiB      int         `json:"mib"`
	Seed     uint64      `json:"random_seed"`
	Copies   float64     `json:"seed_sent_copies"`
	Sources  int         `json:"sources_of_one"`             // the median of how many sent something to each
	Even     float64     `json:"even_seed_copies"`           // that the seed would have sent, had all sources of each sent as much
	OneCPU   float64     `json:"cpu_sec_per_gib_one_to_one"` // the median of several
	ManyCPU  float64     `json:"cpu_sec_per_gib"`
	HeapLeft int64       `json:"heap_left_bytes"` // more than before, when all is closed
}

// One seed and many that fetch, each of which is told of the seed and of 30 others,
// as a tracker does: all get everything, and nothing is left behind.
func TestMany(t *testing.T) {
	r := manyResult{Machine: lab.ThisMachine(os.Getenv("COMMIT")), Leechers: *manyLeechers, MiB: *manyMiB, Seed: rand.Uint64()}
	t.Logf("seed %#x", r.Seed)
	f := makeTorrent(t, r.Seed, 64<<10, r.MiB<<20)
	// One transfer is over in a moment: only several tell what it costs.
	var alone []float64
	t.Run("one", func(t *testing.T) {
		for range min(r.Leechers, 20) {
			alone = append(alone, swarmOf(t, f, 1, r.Seed).ManyCPU)
		}
	})
	slices.Sort(alone)
	r.OneCPU = alone[len(alone)/2]
	before, open := liveHeap(), descriptors()
	t.Run("many", func(t *testing.T) {
		all := swarmOf(t, f, r.Leechers, r.Seed)
		r.ManyCPU, r.Copies, r.Sources, r.Even = all.ManyCPU, all.Copies, all.Sources, all.Even
	})
	if t.Failed() {
		return
	}
	r.HeapLeft = liveHeap() - before
	if left := descriptors() - open; left > 0 {
		t.Errorf("%d descriptors are open that were not before", left)
	}
	if r.HeapLeft > 4<<20 {
		t.Errorf("%d bytes of the heap are in use that were not before", r.HeapLeft)
	}
	t.Logf("%d that fetch %d MiB: %.2f CPU seconds per GiB, %.2f from one to one; the seed sent %.2f copies, as one of %d sources, which make %.2f if each sends as much",
		r.Leechers, r.MiB, r.ManyCPU, r.OneCPU, r.Copies, r.Sources, r.Even)
	if *manyOut == "" {
		return
	}
	text, err := json.MarshalIndent(r, "", "  ")
	must(t, err)
	must(t, os.WriteFile(*manyOut, append(text, '\n'), 0o644))
}

// swarmOf gives the CPU seconds per GiB delivered, what the seed sent, and to how many
// sources that compares.
func swarmOf(t *testing.T, f *fixture, leechers int, seed uint64) (r manyResult) {
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
