package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// wholeAgain is within what the ring must be whole again after a kill.
const wholeAgain = 60 * time.Second

// report is what a run of kills or cuts has measured.
type report struct {
	Machine      machine        `json:"machine"`
	Mode         string         `json:"mode"`
	Multicast    bool           `json:"multicast"`
	Members      int            `json:"members"`
	Rounds       int            `json:"rounds"`
	Kills        int            `json:"kills"`
	WithoutDisk  int            `json:"kills_with_disk_lost"`
	Writes       int64          `json:"writes"`
	Acked        int64          `json:"writes_acknowledged"`
	Degraded     int64          `json:"writes_degraded"`
	Refused      int64          `json:"writes_refused"`
	Reads        int64          `json:"reads"`
	ReadsSoon    int64          `json:"reads_within_2s_of_a_kill"`
	FailedSoon   int64          `json:"reads_failed_within_2s_of_a_kill"`
	FailedLate   int64          `json:"reads_failed_later"`
	WholeMedian  float64        `json:"whole_again_median_sec"`
	WholeMax     float64        `json:"whole_again_max_sec"`
	Published    int64          `json:"published"`
	NotPublished int64          `json:"publishes_not_acknowledged"`
	Files        map[fate]int   `json:"all_files"`
	Peers        map[fate]int   `json:"peers"`
	Histories    int            `json:"histories_linearizable"`
	Undecided    int            `json:"histories_undecided"`
	Cuts         []cutResult    `json:"partitions,omitempty"`
	Slopes       map[string]any `json:"slopes,omitempty"`
	Failures     []string       `json:"failed_reads,omitempty"`
	Violations   []string       `json:"violations"`
}

// passed says what does not hold; nothing if all does.
func (r *report) passed() (bad []string) {
	say := func(wrong bool, format string, args ...any) {
		if wrong {
			bad = append(bad, fmt.Sprintf(format, args...))
		}
	}
	say(len(r.Violations) > 0, "%d promises broken", len(r.Violations))
	say(r.Files[lost] > 0, "%d acknowledged names lost", r.Files[lost])
	say(r.FailedLate > 0, "%d reads failed more than %v after a kill", r.FailedLate, afterKill)
	say(r.FailedSoon*1000 > r.ReadsSoon, "%d of %d reads failed within %v of a kill", r.FailedSoon, r.ReadsSoon, afterKill)
	say(r.Mode == "rounds" && r.WholeMax > wholeAgain.Seconds(), "it took %.1f s to be whole again", r.WholeMax)
	say(r.Acked == 0 || r.Reads == 0, "nothing went through")
	return bad
}

func (r *report) fill(l *load) {
	r.Writes, r.Acked, r.Degraded, r.Refused = l.writes.Load(), l.acked.Load(), l.degraded.Load(), l.refused.Load()
	r.Reads, r.ReadsSoon, r.FailedSoon, r.FailedLate = l.reads.Load(), l.readsSoon.Load(), l.failedSoon.Load(), l.failedLate.Load()
	r.Published, r.NotPublished = l.published.Load(), l.notPublished.Load()
	r.Files, r.Peers = l.files.fates(), l.peers.fates()
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Violations, r.Failures = append([]string{}, l.violations...), l.failures
}

// killRounds kills two neighbours, waits until the ring is whole, and so on.
func (f *fleet) killRounds(l *load, r *report) error {
	var took []time.Duration
	var slopes slopes
	for round := range f.o.rounds {
		ring := f.inRingOrder()
		i := rand.IntN(len(ring))
		victims := []*member{ring[i], ring[(i+1)%len(ring)]}
		l.disturb(false)
		began := time.Now()
		for _, m := range victims {
			go m.cmd.Process.Kill() //nolint:errcheck // waited for below
		}
		for _, m := range victims {
			m.kill()
			r.Kills++
		}
		back := make([]error, len(victims))
		var wg sync.WaitGroup
		for k, m := range victims {
			wipe := rand.IntN(2) == 0
			if wipe {
				r.WithoutDisk++
			}
			wg.Go(func() { back[k] = f.comeBack(m, wipe, rand.N(6*time.Second)) })
		}
		wg.Wait()
		for _, err := range back {
			if err != nil {
				return err
			}
		}
		if _, err := f.settle(3 * time.Minute); err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
		took = append(took, time.Since(began))
		slopes.sample(f)
		if err := f.stablePhase(l, r, round); err != nil {
			return err
		}
		if (round+1)%10 == 0 || round+1 == f.o.rounds {
			fmt.Fprintf(os.Stderr, "round %d: whole again after %.1f s in the median, %.1f s at most; %d writes acknowledged, %d reads failed\n",
				round+1, quantile(took, 0.5), quantile(took, 1), l.acked.Load(), l.failedSoon.Load()+l.failedLate.Load())
		}
	}
	r.Rounds = f.o.rounds
	r.WholeMedian, r.WholeMax = quantile(took, 0.5), quantile(took, 1)
	r.Slopes = slopes.verdict()
	return nil
}

// comeBack starts a member again after a while, with or without what it had.
func (f *fleet) comeBack(m *member, wipe bool, after time.Duration) error {
	time.Sleep(after)
	if wipe {
		if err := os.RemoveAll(m.dir); err != nil {
			return err
		}
	}
	ready, err := m.start(f.lab, f.o.program)
	if err != nil {
		return err
	}
	return <-ready
}

// stablePhase has all clients write and read one register at the same time, and
// asks whether what they saw can be explained by one order.
func (f *fleet) stablePhase(l *load, r *report, round int) error {
	name := fmt.Sprint("shared ", round)
	var h history
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for k := range 12 {
				call := time.Now()
				if rand.IntN(2) == 0 {
					n := uint64(c*100 + k + 1)
					known, _ := l.put(context.Background(), c, name, n)
					h.note(c, regInput{true, n}, 0, call, time.Now(), known)
					continue
				}
				if got, err := l.get(context.Background(), c, name); err == nil {
					h.note(c, regInput{}, got, call, time.Now(), true)
				}
			}
		})
	}
	wg.Wait()
	switch h.linearizable(0) {
	case porcupine.Ok:
		r.Histories++
	case porcupine.Unknown:
		r.Undecided++
	default:
		l.violate("round %d: no order explains what the clients saw: %v", round+1, h.ops)
	}
	return nil
}

// killConstantly kills a member every few seconds without waiting, and starts it
// again some time later. So more than two may be without their data at once, and
// the promise covers less: a member that is killed keeps its disk.
func (f *fleet) killConstantly(l *load, r *report) error {
	var wg sync.WaitGroup
	back := make(chan error, 1)
	for range f.o.rounds {
		up := f.inRingOrder()
		if len(up) > len(f.members)-3 {
			m := up[rand.IntN(len(up))]
			l.disturb(true)
			m.kill()
			r.Kills++
			wg.Go(func() {
				if err := f.comeBack(m, false, 2*time.Second+rand.N(6*time.Second)); err != nil {
					select {
					case back <- err:
					default:
					}
				}
			})
		}
		time.Sleep(3 * time.Second)
	}
	wg.Wait()
	select {
	case err := <-back:
		return err
	default:
	}
	took, err := f.settle(3 * time.Minute)
	r.Rounds, r.WholeMax = f.o.rounds, took.Seconds()
	l.disturb(false)
	return err
}

// slopes follow what the processes take, from round to round.
type slopes struct{ fds, rss []float64 }

func (s *slopes) sample(f *fleet) {
	var fds, rss []float64
	for _, m := range f.members {
		if u, err := m.usage(); err == nil {
			fds = append(fds, float64(u.FDs))
			rss = append(rss, float64(u.RSSBytes))
		}
	}
	if len(fds) == 0 {
		return
	}
	s.fds, s.rss = append(s.fds, middle(fds)), append(s.rss, middle(rss))
}

func middle(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// verdict compares the last quarter with the second one: the first is the time
// of growing caches.
func (s *slopes) verdict() map[string]any {
	n := len(s.fds)
	if n < 8 {
		return nil
	}
	out := map[string]any{}
	for name, v := range map[string][]float64{"fds": s.fds, "rss_bytes": s.rss} {
		early, late := middle(v[n/4:n/2]), middle(v[3*n/4:])
		out[name] = map[string]float64{"second_quarter": early, "last_quarter": late}
	}
	return out
}

// machine says where figures come from.
type machine struct {
	Host   string  `json:"cpu"`
	Cores  int     `json:"cores"`
	Load   float64 `json:"load_average_at_start"`
	Commit string  `json:"commit"`
	Date   string  `json:"date"`
}

func loadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return -1
	}
	var v string
	_, _ = fmt.Sscan(string(text), &v)
	f, _ := strconv.ParseFloat(v, 64)
	return f
}
