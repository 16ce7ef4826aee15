package main

import (
	"fmt"
	"math"
	"os"
	"strings"
	"time"
)

// usage is what a process takes of the machine.
type usage struct {
	FDs        float64
	Anonymous  float64 // bytes resident that no file backs: the database's pages are the system's to keep
	LiveHeap   float64 // bytes that the last garbage collection has found in use
	Goroutines float64
}

// usage asks /proc and the process itself.
func (m *member) usage() (u usage, err error) {
	dir := fmt.Sprintf("/proc/%d", m.cmd.Process.Pid)
	fds, err := os.ReadDir(dir + "/fd")
	if err != nil {
		return u, err
	}
	u.FDs = float64(len(fds))
	text, err := os.ReadFile(dir + "/status")
	if err != nil {
		return u, err
	}
	u.Anonymous = 1024 * valueOf(string(text), "RssAnon:")
	if text, err = m.metrics(); err != nil {
		return u, err
	}
	u.LiveHeap = valueOf(string(text), "go_gc_heap_live_bytes")
	u.Goroutines = valueOf(string(text), "go_goroutines")
	if math.IsNaN(u.Anonymous + u.LiveHeap + u.Goroutines) {
		return u, fmt.Errorf("%s/status or %s/metrics lacks a figure", dir, m.http)
	}
	return u, nil
}

// valueOf finds the number behind a name at the beginning of a line; NaN if
// there is none, which no verdict is content with.
func valueOf(text, name string) float64 {
	for line := range strings.Lines(text) {
		var v float64
		if rest, found := strings.CutPrefix(line, name); found {
			if _, err := fmt.Sscan(rest, &v); err == nil {
				return v
			}
		}
	}
	return math.NaN()
}

// series is one figure over a run, the mean of several processes each time.
type series struct {
	at, value []float64
	floor     float64 // a growth that does not count
}

func (s *series) add(at time.Duration, value float64) {
	s.at, s.value = append(s.at, at.Hours()), append(s.value, value)
}

// slope is how a figure grows, and by how much it scatters around that line.
type slope struct {
	Mean    float64 `json:"mean"`
	PerHour float64 `json:"per_hour"`
	Growth  float64 `json:"growth"` // over what was measured
	Noise   float64 `json:"noise"`  // standard deviation from the line
	Zero    bool    `json:"zero"`
}

const (
	// fewestSamples are needed for a verdict.
	fewestSamples = 20
	// slack is a growth that is not told from noise, relative to the mean: a
	// heap has no steady size.
	slack = 0.05
	// atLeast is what a live heap may grow in any case: by the members that are
	// remembered when others have come in their place, up to 256, and by the keys that
	// each round adds.
	atLeast = 128 << 10
)

// fit lays a straight line through all but the first quarter, in which caches
// grow. Its slope is zero within noise if the growth along it is no more than
// two standard deviations, or slack. ok is false for too few samples.
func (s *series) fit() (f slope, ok bool) {
	from := len(s.at) / 4
	at, value := s.at[from:], s.value[from:]
	n := float64(len(at))
	if len(s.at) < fewestSamples {
		return f, false
	}
	var meanAt float64
	for i := range at {
		meanAt += at[i] / n
		f.Mean += value[i] / n
	}
	var covariance, variance float64
	for i := range at {
		covariance += (at[i] - meanAt) * (value[i] - f.Mean)
		variance += (at[i] - meanAt) * (at[i] - meanAt)
	}
	f.PerHour = covariance / variance
	f.Growth = f.PerHour * (at[len(at)-1] - at[0])
	var squares float64
	for i := range at {
		off := value[i] - f.Mean - f.PerHour*(at[i]-meanAt)
		squares += off * off
	}
	f.Noise = math.Sqrt(squares / n)
	f.Zero = f.Growth <= max(2*f.Noise, slack*f.Mean, s.floor) // not so for NaN
	return f, true
}

// growth follows the witnesses: members that a run never kills.
type growth struct {
	began                        time.Time
	fds, bytes, live, goroutines series
}

func (g *growth) sample(witnesses []*member) error {
	if len(witnesses) == 0 {
		return nil
	}
	if g.began.IsZero() {
		g.began = time.Now()
	}
	var sum usage
	for _, m := range witnesses {
		u, err := m.usage()
		if err != nil {
			return fmt.Errorf("what %s takes of the machine: %w", m.addr, err)
		}
		sum.FDs += u.FDs
		sum.Anonymous += u.Anonymous
		sum.LiveHeap += u.LiveHeap
		sum.Goroutines += u.Goroutines
	}
	n, at := float64(len(witnesses)), time.Since(g.began)
	g.fds.add(at, sum.FDs/n)
	g.bytes.add(at, sum.Anonymous/n)
	g.live.add(at, sum.LiveHeap/n)
	g.goroutines.add(at, sum.Goroutines/n)
	return nil
}

// inReserve names the figure that is told and not judged: what a process holds
// beyond its live heap is the collector's reserve, which comes and stays in steps.
const (
	inReserve = "anonymous_bytes"
	liveHeap  = "live_heap_bytes"
)

// slopes gives the verdict on each figure; nil after too few samples.
func (g *growth) slopes() map[string]slope {
	out := map[string]slope{}
	for name, s := range map[string]*series{"fds": &g.fds, inReserve: &g.bytes, liveHeap: &g.live, "goroutines": &g.goroutines} {
		if name == liveHeap {
			s.floor = atLeast
		}
		if f, ok := s.fit(); ok {
			out[name] = f
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
