package sim

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"chordtorrent/chord"
)

// Result is what a run has measured.
type Result struct {
	Members             int     `json:"members"`
	Seed                uint64  `json:"seed"`
	HalfLifeSec         float64 `json:"half_life_sec"`
	DurationSec         float64 `json:"duration_sec"`
	Died                int     `json:"died"`
	Joined              int     `json:"joined"`
	Lookups             int     `json:"lookups"`
	HopsMean            float64 `json:"hops_mean"`
	HopsP99             int     `json:"hops_p99"`
	Hops                []int   `json:"hops_histogram"`
	FirstTryRatio       float64 `json:"first_try_ratio"`
	TimeoutsPerLookup   float64 `json:"timeouts_per_lookup"`
	MaintenancePerSec   float64 `json:"maintenance_bytes_per_sec"` // of each member, sent
	LookupBytesPerSec   float64 `json:"lookup_bytes_per_sec"`      // of each member, sent
	ArcMaxOverMeanJoins float64 `json:"arc_max_over_mean_joins"`   // before anybody died
	ArcMaxOverMean      float64 `json:"arc_max_over_mean"`
	ArcP99OverMean      float64 `json:"arc_p99_over_mean"`
	// ArcsOverMean are the 1st, 2nd … 99th percentile of the ranges.
	ArcsOverMean []float64 `json:"arcs_over_mean"`
	// Traffic is what each kind of message makes of a member's sending.
	Traffic  []Traffic `json:"traffic"`
	RSSBytes int64     `json:"rss_bytes"` // the most that the process had
	WallSec  float64   `json:"wall_sec"`
	Events   uint64    `json:"events"`
}

// Traffic is one kind of message.
type Traffic struct {
	Kind        string  `json:"kind"`
	PerSec      float64 `json:"per_sec"` // of each member, sent
	BytesPerSec float64 `json:"bytes_per_sec"`
}

// stats is what is counted while the world is measured.
type stats struct {
	died, joined   int
	lookups, right int
	timeouts       int
	hops           []int   // how many lookups took so many
	sent           float64 // bytes of all messages
	ask            float64 // of those, for lookups
}

// countLookup counts one that has ended. Its messages are like those that
// renew fingers, so what they weighed is told by their number.
func (w *World) countLookup(r chord.LookupReply, right bool) {
	s := &w.stats
	s.ask += float64(r.Hops+r.TimeOuts)*w.weights.mean(chord.FindOwner{}) + float64(r.Hops)*w.weights.mean(chord.OwnerHint{})
	s.lookups++
	s.timeouts += r.TimeOuts
	if right {
		s.right++
	}
	if r.Code != chord.CodeOK {
		return
	}
	for len(s.hops) <= r.Hops {
		s.hops = append(s.hops, 0)
	}
	s.hops[r.Hops]++
}

// Run lets a ring live and gives what was measured. It takes as long as that
// takes: for 100,000 members and ten minutes, tens of minutes.
func Run(cfg Config) (Result, error) {
	began := time.Now()
	w, err := newWorld(cfg)
	if err != nil {
		return Result{}, err
	}
	w.grow()
	arcs := w.arcs()
	w.joins = arcs[len(arcs)-1]
	if err := w.settle(); err != nil {
		return Result{}, err
	}
	w.churn()
	w.keepAsking()
	w.advance(w.cfg.WarmUp)
	w.on = true
	w.advance(w.cfg.Duration)
	w.on = false
	r := w.result()
	r.ArcMaxOverMeanJoins = w.joins
	r.WallSec = time.Since(began).Seconds()
	return r, nil
}

// RunRecovery kills half of a ring at once and gives how it came back.
func RunRecovery(cfg Config) (Recovery, error) {
	began := time.Now()
	w, err := newWorld(cfg)
	if err != nil {
		return Recovery{}, err
	}
	w.grow()
	if err := w.settle(); err != nil {
		return Recovery{}, err
	}
	w.advance(w.cfg.WarmUp)
	r := w.recover()
	r.WallSec = time.Since(began).Seconds()
	return r, nil
}

// advance is run that reports its progress.
func (w *World) advance(d time.Duration) {
	const step = 10 * time.Second
	for d > 0 {
		w.run(min(d, step))
		if w.on {
			w.measured += min(d, step)
		}
		d -= step
		if w.cfg.Progress != nil {
			w.cfg.Progress(w.now.Sub(epoch), w.events)
		}
		if w.on && w.cfg.Partial != nil {
			r := w.result()
			r.ArcMaxOverMeanJoins = w.joins
			w.cfg.Partial(r)
		}
	}
}

func (w *World) result() Result {
	s := &w.stats
	r := Result{
		Members: w.cfg.Members, Seed: w.cfg.Seed,
		HalfLifeSec: w.cfg.HalfLife.Seconds(), DurationSec: w.measured.Seconds(),
		Died: s.died, Joined: s.joined, Lookups: s.lookups, Hops: s.hops,
		RSSBytes: peakRSS(), Events: w.events,
	}
	sum, total := 0, 0
	for h, n := range s.hops {
		sum += h * n
		total += n
	}
	seen := 0
	for h, n := range s.hops {
		if seen += n; 100*seen >= 99*total {
			r.HopsP99 = h
			break
		}
	}
	if s.lookups > 0 && total > 0 {
		r.HopsMean = float64(sum) / float64(total)
		r.FirstTryRatio = float64(s.right) / float64(s.lookups)
		r.TimeoutsPerLookup = float64(s.timeouts) / float64(s.lookups)
	}
	each := w.measured.Seconds() * float64(w.cfg.Members)
	r.MaintenancePerSec, r.LookupBytesPerSec = (s.sent-s.ask)/each, s.ask/each
	arcs := w.arcs()
	for p := 1; p < 100; p++ {
		r.ArcsOverMean = append(r.ArcsOverMean, rounded(percentile(arcs, p)))
	}
	r.ArcMaxOverMean, r.ArcP99OverMean = arcs[len(arcs)-1], percentile(arcs, 99)
	r.Traffic = w.weights.traffic(each)
	return r
}

// arcs gives the ranges as multiples of their mean, the smallest first.
func (w *World) arcs() []float64 {
	ids := w.ring.all()
	shares := make([]float64, len(ids))
	for i, id := range ids {
		shares[i] = share(ids[(i+len(ids)-1)%len(ids)], id) * float64(len(ids))
	}
	slices.Sort(shares)
	return shares
}

// percentile is what p of 100 entries of a sorted list are not above.
func percentile[T any](sorted []T, p int) T { return sorted[(len(sorted)*p-1)/100] }

// rounded keeps four digits, where there are many numbers.
func rounded(v float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64) // of its own making
	return r
}

// share is how much of the ring the arc (from, to] is.
func share(from, to chord.ID) float64 {
	d := chord.Distance(from, to)
	if d == (chord.ID{}) {
		return 1
	}
	v := 0.0
	for i := len(d) - 1; i >= 0; i-- {
		v = (v + float64(d[i])) / 256
	}
	return v
}

// peakRSS is the most memory that the process had, 0 where that is not told.
func peakRSS() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(kb), "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}
