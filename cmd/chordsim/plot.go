package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"chordtorrent/chord/sim"
)

// plotCommand draws what runs have measured beside what the Chord paper says.
func plotCommand(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "plot DIR RESULT.json...",
		Short: "Draw results against the curves of the Chord paper",
		Long: `Writes three drawings (SVG) into a directory: hops.svg and hop-distribution.svg
of the results that --json runs have left in the files, and load.svg, for which
keys are thrown at rings of 10,000 members then and there.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fmt.Errorf("%w: plot needs a directory and the results of some runs", errUsage)
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			results, err := readResults(args[1:])
			if err != nil {
				return err
			}
			for _, d := range []struct {
				name string
				svg  func() string
			}{
				{"hops.svg", func() string { return hopsChart(results).svg() }},
				{"hop-distribution.svg", func() string { return distributionChart(results[len(results)-1]).svg() }},
				{"load.svg", func() string { return loadChart().svg() }},
			} {
				path := filepath.Join(args[0], d.name)
				if err := os.WriteFile(path, []byte(d.svg()), 0o644); err != nil {
					return fmt.Errorf("write the drawing: %w", err)
				}
				fmt.Fprintln(stdout, path)
			}
			return nil
		},
	}
}

// readResults reads what runs have left, the smallest ring first; of those of
// one size the one that has measured longest comes last.
func readResults(paths []string) ([]sim.Result, error) {
	var list []sim.Result
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read a result: %w", err)
		}
		var r sim.Result
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("%s is not what chordsim --json writes: %w", path, err)
		}
		if r.Members < 1 || len(r.Hops) == 0 || r.Lookups < 1 {
			return nil, fmt.Errorf("%s has no lookups in it: plot takes what chordsim --json writes, without --kill-half", path)
		}
		list = append(list, r)
	}
	slices.SortStableFunc(list, func(a, b sim.Result) int {
		return cmp.Or(cmp.Compare(a.Members, b.Members), cmp.Compare(a.DurationSec, b.DurationSec))
	})
	return list, nil
}

// hopsChart is figure 10(a) of the paper: the mean path length, with the 1st and
// 99th percentile, by the size of the ring.
func hopsChart(results []sim.Result) *chart {
	c := &chart{
		title: "Hops of a lookup by the size of the ring",
		xName: "members", yName: "hops",
		x: axis{min: 100, max: 160_000, log: true}, y: axis{min: 0, max: 10},
		note: "Dots: mean; bars: 1st to 99th percentile. Up to 2,000 members gossip names everybody, and one hop is enough.",
	}
	for n := 128; n <= 131_072; n *= 4 {
		c.x.ticks = append(c.x.ticks, tick{float64(n), thousands(n)})
	}
	for h := 0; h <= 10; h += 2 {
		c.y.ticks = append(c.y.ticks, tick{float64(h), fmt.Sprint(h)})
	}
	paper := &series{name: "Chord paper, base 2: ½·log₂ N", color: "#888888", dashed: true}
	for n := 100.0; n <= 160_000; n *= 1.1 {
		paper.points = append(paper.points, point{x: n, y: math.Log2(n) / 2})
	}
	gossip := &series{name: "one hop by gossip", color: "#2a9d5c", dots: true}
	calm := &series{name: "fingers alone, base 16", color: "#1f5fbf", dots: true}
	churn := &series{name: "the same, half of the members replaced in an hour", color: "#d1495b", dots: true}
	for _, r := range results {
		p := point{x: float64(r.Members), y: r.HopsMean, low: float64(hopsBelow(r, 0.01)), high: float64(r.HopsP99)}
		switch {
		case r.HopsMean <= 1:
			gossip.points = append(gossip.points, p)
		case r.HalfLifeSec > 0:
			churn.points = append(churn.points, p)
		default:
			calm.points = append(calm.points, p)
		}
	}
	c.series = []*series{paper, calm, churn, gossip}
	return c
}

// hopsBelow is the least number of hops that a share of the lookups is not above.
func hopsBelow(r sim.Result, part float64) int {
	total := 0
	for _, n := range r.Hops {
		total += n
	}
	seen := 0
	for h, n := range r.Hops {
		if seen += n; float64(seen) >= part*float64(total) {
			return h
		}
	}
	return len(r.Hops) - 1
}

// distributionChart is figure 10(b): how many lookups take how many hops.
func distributionChart(r sim.Result) *chart {
	bits := int(math.Round(math.Log2(float64(r.Members))))
	c := &chart{
		title: fmt.Sprintf("Lookups by hops in a ring of %s", thousands(r.Members)),
		xName: "hops", yName: "share of the lookups, %",
		x:    axis{min: -0.7, max: float64(bits) + 0.7},
		note: fmt.Sprintf("Mean %.2f hops, 99 of 100 lookups in %d or less. %s", r.HopsMean, r.HopsP99, life(r)),
	}
	ours := &series{name: "measured, base 16", color: "#1f5fbf", bars: true}
	total, top := 0, 0.0
	for _, n := range r.Hops {
		total += n
	}
	for h, n := range r.Hops {
		share := 100 * float64(n) / float64(total)
		ours.points = append(ours.points, point{x: float64(h), y: share})
		top = max(top, share)
	}
	// Every finger that is followed sets one bit of the distance to 0, and half
	// of the bits are 0 before.
	paper := &series{name: fmt.Sprintf("Chord paper, base 2: binomial, mean %.1f", float64(bits)/2), color: "#888888", dashed: true}
	for h := range bits + 1 {
		paper.points = append(paper.points, point{x: float64(h), y: 100 * binomial(bits, h)})
		c.x.ticks = append(c.x.ticks, tick{float64(h), fmt.Sprint(h)})
	}
	c.y.max = 10 * math.Ceil(top/10)
	for v := 0.0; v <= c.y.max; v += 10 {
		c.y.ticks = append(c.y.ticks, tick{v, fmt.Sprint(v)})
	}
	c.series = []*series{ours, paper}
	return c
}

func life(r sim.Result) string {
	if r.HalfLifeSec == 0 {
		return "Nobody dies."
	}
	return fmt.Sprintf("Half of the members are replaced in %.0f minutes.", r.HalfLifeSec/60)
}

func binomial(n, k int) float64 {
	v := math.Pow(0.5, float64(n))
	for i := range k {
		v *= float64(n-i) / float64(i+1)
	}
	return v
}

// loadChart is figure 8(a): keys of a member, by how many there are in a ring of
// 10,000.
func loadChart() *chart {
	const members, seed = 10_000, 1
	c := &chart{
		title: "Keys of a member in a ring of 10,000",
		xName: "keys in the ring", yName: "keys of a member",
		x: axis{min: 50_000, max: 1_050_000}, y: axis{min: 0, max: 500},
	}
	var keys []int
	for n := 100_000; n <= 1_000_000; n += 100_000 {
		keys = append(keys, n)
		if n%200_000 == 0 {
			c.x.ticks = append(c.x.ticks, tick{float64(n), thousands(n)})
		}
	}
	for v := 0; v <= 500; v += 100 {
		c.y.ticks = append(c.y.ticks, tick{float64(v), fmt.Sprint(v)})
	}
	mean := &series{name: "mean", color: "#888888", dashed: true}
	random := &series{name: "places at random, as in the Chord paper", color: "#d1495b", dots: true, loose: true}
	split := &series{name: "a newcomer takes the widest of the arcs it has seen", color: "#1f5fbf", dots: true, loose: true}
	fullest := map[*series]int{}
	for s, loads := range map[*series][]sim.Load{random: sim.Loads(members, keys, seed, false), split: sim.Loads(members, keys, seed, true)} {
		shift := 9_000.0
		if s == random {
			shift = -shift // beside each other
		}
		for _, l := range loads {
			s.points = append(s.points, point{x: float64(l.Keys) + shift, y: float64(l.Keys) / members, low: float64(l.P1), high: float64(l.P99)})
			fullest[s] = l.Max
		}
	}
	for _, n := range keys {
		mean.points = append(mean.points, point{x: float64(n), y: float64(n) / members})
	}
	c.series = []*series{mean, random, split}
	c.note = fmt.Sprintf("Bars: 1st to 99th percentile. The fullest at a million keys has %d, with places at random %d; the mean is 100.", fullest[split], fullest[random])
	return c
}

// thousands writes a number with separators.
func thousands(n int) string {
	s := fmt.Sprint(n)
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}
