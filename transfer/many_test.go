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
			cpu, _ := swarmOf(t, f, 1, r.Seed)
			alone = append(alone, cpu)
		}
	})
	slices.Sort(alone)
	r.OneCPU = alone[len(alone)/2]
	before, open := liveHeap(), descriptors()
	t.Run("many", func(t *testing.T) { r.ManyCPU, r.Copies = swarmOf(t, f, r.Leechers, r.Seed) })
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
	t.Logf("%d that fetch %d MiB: %.2f CPU seconds per GiB, %.2f from one to one; the seed sent %.2f copies", r.Leechers, r.MiB, r.ManyCPU, r.OneCPU, r.Copies)
	if *manyOut == "" {
		return
	}
	text, err := json.MarshalIndent(r, "", "  ")
	must(t, err)
	must(t, os.WriteFile(*manyOut, append(text, '\n'), 0o644))
}

// swarmOf gives the CPU seconds per GiB delivered, and the copies that the seed sent.
func swarmOf(t *testing.T, f *fixture, leechers int, seed uint64) (cpu, copies float64) {
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
	cpu = (lab.CPUTime() - began).Seconds() / (float64(len(f.data)) * float64(leechers) / (1 << 30))
	for i, to := range torrents {
		f.same(t, specs[i].Content)
		if st := to.Status(); st.BytesDone != int64(len(f.data)) {
			t.Errorf("%+v", st)
		}
	}
	return cpu, float64(from.Status().Uploaded) / float64(len(f.data))
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
