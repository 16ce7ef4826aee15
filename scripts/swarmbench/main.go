// Command swarmbench times whole programs: one seed, some that fetch, each on a host of
// its own in a network of namespaces, with links as slow as asked for. It needs root;
// scripts/bench.sh builds what it measures and calls it.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"chordtorrent/scripts/lab"
)

type options struct {
	clients  []string
	leechers int
	size     int64
	rate     int64 // bits per second, 0: as fast as the machine
	runs     int
	bin      string // where our programs are
	work     string
	commit   string
	out      string
}

// result is all runs of one client.
type result struct {
	Client   string `json:"client"`
	Runs     []run  `json:"runs"`
	*medians `json:"medians"`
}

// run is what one of them took.
type run struct {
	Last   float64 `json:"last_sec"`              // from the start of all to the end of the last one
	First  float64 `json:"first_sec"`             // to the end of the first one
	Copies float64 `json:"seed_sent_copies"`      // bytes that left the seed's host, of the file
	CPU    float64 `json:"cpu_sec_per_gib"`       // of the seed and all that fetched, per GiB delivered
	Memory int64   `json:"largest_anonymous_kib"` // of any of them, at the end
}

type medians struct {
	Last   float64 `json:"last_sec"`
	Bound  float64 `json:"last_over_bound,omitempty"`
	Copies float64 `json:"seed_sent_copies"`
	CPU    float64 `json:"cpu_sec_per_gib"`
}

type report struct {
	Machine  lab.Machine `json:"machine"`
	Leechers int         `json:"leechers"`
	Bytes    int64       `json:"bytes"`
	Rate     int64       `json:"link_bits_per_sec"` // 0: not limited
	Results  []*result   `json:"results"`
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "serve-copies" {
		fail(serveCopies(os.Args[2], os.Args[3]))
		return
	}
	if len(os.Args) == 4 && os.Args[1] == "get-copy" {
		fail(getCopy(os.Args[2], os.Args[3]))
		return
	}
	fail(measure(os.Args[1:]))
}

func fail(err error) {
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "swarmbench:", err)
		os.Exit(1)
	}
}

func measure(args []string) error {
	o := options{}
	var list, size, rate string
	fs := flag.NewFlagSet("swarmbench", flag.ContinueOnError)
	fs.StringVar(&list, "clients", "btclient,copy", "of btclient, aria2, and copy: everybody a plain copy from the seed, hashed as it comes")
	fs.IntVar(&o.leechers, "leechers", 1, "how many fetch")
	fs.StringVar(&size, "size", "256m", "of the file: bytes, or with k, m or g")
	fs.StringVar(&rate, "rate", "0", "of each host's link both ways, in bits per second, or with k, m or g; 0: as fast as the machine is")
	fs.IntVar(&o.runs, "runs", 3, "of each client, in turn")
	fs.StringVar(&o.bin, "bin", "bin", "where chordnode and btclient are")
	fs.StringVar(&o.work, "work", "", "a directory for the data; on a tmpfs the disk plays no part")
	fs.StringVar(&o.commit, "commit", "unknown", "what is measured, for the report")
	fs.StringVar(&o.out, "out", "", "write the report, as JSON, to this file too")
	if err := fs.Parse(args); err != nil {
		return err
	}
	var err error
	if o.size, err = number(size, 1024); err != nil {
		return fmt.Errorf("--size: %w", err)
	}
	if o.rate, err = number(rate, 1000); err != nil {
		return fmt.Errorf("--rate: %w", err)
	}
	if o.leechers < 1 || o.leechers > 200 || o.runs < 1 || o.size < 1 {
		return errors.New("there is nothing to measure: see --help")
	}
	o.clients = strings.Split(list, ",")
	for _, name := range o.clients {
		if contenders[name] == nil {
			return fmt.Errorf("--clients: there is no %q: see --help", name)
		}
	}
	r := &report{Machine: lab.ThisMachine(o.commit), Leechers: o.leechers, Bytes: o.size, Rate: o.rate}
	for _, name := range o.clients {
		r.Results = append(r.Results, &result{Client: name})
	}
	for n := range o.runs {
		for _, one := range r.Results {
			took, err := play(&o, one.Client)
			if err != nil {
				return fmt.Errorf("%s, run %d: %w", one.Client, n+1, err)
			}
			fmt.Fprintf(os.Stderr, "%s: %.2f s, the seed sent %.2f copies\n", one.Client, took.Last, took.Copies)
			one.Runs = append(one.Runs, took)
		}
	}
	r.table()
	if o.out == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.out, append(text, '\n'), 0o644)
}

// number reads 300, 64k, 256m or 1g.
func number(s string, unit int64) (int64, error) {
	factor := int64(1)
	for i, suffix := range []string{"k", "m", "g"} {
		if cut, found := strings.CutSuffix(strings.ToLower(s), suffix); found {
			s = cut
			for range i + 1 {
				factor *= unit
			}
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 40)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no number like 300, 64k, 256m or 1g", s)
	}
	return n * factor, nil
}

func (r *report) table() {
	bound := 0.0
	if r.Rate > 0 {
		bound = float64(r.Bytes) * 8 / float64(r.Rate)
	}
	fmt.Printf("\n%d MiB from one to %d, ", r.Bytes>>20, r.Leechers)
	if bound > 0 {
		fmt.Printf("links of %d Mbit/s; no way in less than %.1f s\n\n", r.Rate/1e6, bound)
	} else {
		fmt.Printf("links as fast as the machine\n\n")
	}
	fmt.Println("| client | last one done | over the bound | seed sent | CPU per GiB delivered |")
	fmt.Println("|---|---|---|---|---|")
	for _, one := range r.Results {
		m := &medians{}
		m.Last = median(one.Runs, func(x run) float64 { return x.Last })
		m.Copies = median(one.Runs, func(x run) float64 { return x.Copies })
		m.CPU = median(one.Runs, func(x run) float64 { return x.CPU })
		over := "-"
		if bound > 0 {
			m.Bound = m.Last / bound
			over = fmt.Sprintf("%.2f x", m.Bound)
		}
		one.medians = m
		fmt.Printf("| %s | %.2f s | %s | %.2f copies | %.2f s |\n", one.Client, m.Last, over, m.Copies, m.CPU)
	}
	fmt.Printf("\nMedians of %d, %s, %d cores, commit %s, load %.1f at the start.\n", len(r.Results[0].Runs), r.Machine.CPU, r.Machine.Cores, r.Machine.Commit, r.Machine.Load)
}

func median(runs []run, of func(run) float64) float64 {
	var all []float64
	for _, r := range runs {
		all = append(all, of(r))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
