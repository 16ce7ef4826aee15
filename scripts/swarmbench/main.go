// Command swarmbench times whole programs: one seed, some that fetch, each on a host of
// its own in a network of namespaces, with links as slow as asked for. It needs root;
// scripts/bench.sh builds what it measures and calls it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"chordtorrent/scripts/lab"
)

type options struct {
	clients  []string
	seeds    int
	leechers int
	size     int64
	rate     int64         // bits per second, 0: as fast as the machine
	slow     int64         // of the last one that fetches; 0: like all
	stagger  time.Duration // those that fetch begin within it
	late     int           // the last so many of them alone do; 0: all
	vanish   int           // of those that fetch
	liars    int           // besides
	sparse   float64       // how much of the file is no hole
	nodes    int           // of the ring
	file     string        // what is fetched; empty: one is made
	watch    func(*game)   // called often while they fetch; nil: nobody
	runs     int
	seed     uint64
	bin      string // where our programs are
	scripts  string // where those of this program are
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
	Last    float64   `json:"last_sec"`              // from the start of the first one to the end of the last one
	First   float64   `json:"first_sec"`             // the shortest time, from its own start
	Longest float64   `json:"longest_sec"`           // the longest, from its own start
	Slow    float64   `json:"slow_sec,omitempty"`    // that of the host with the slow link, which does not count in the others
	Each    []float64 `json:"each_sec"`              // of all that did not vanish, from their own start
	Copies  float64   `json:"seed_sent_copies"`      // bytes that left the seeds' hosts, of the file
	CPU     float64   `json:"cpu_sec_per_gib"`       // of the seeds and all that fetched, per GiB delivered
	Memory  int64     `json:"largest_anonymous_kib"` // of any of them, at the end
	Disk    int64     `json:"largest_target_on_disk_kib"`
	Banned  int       `json:"bans,omitempty"` // of liars
	Busy    float64   `json:"machine_busy"`   // the part of its time that all cores were used, until all but the slow one were done

	hosts []*fetcher
}

type medians struct {
	Last    float64 `json:"last_sec"`
	Longest float64 `json:"longest_sec"`
	Bound   float64 `json:"longest_over_bound,omitempty"`
	Copies  float64 `json:"seed_sent_copies"`
	CPU     float64 `json:"cpu_sec_per_gib"`
}

type report struct {
	Machine  lab.Machine `json:"machine"`
	Seeds    int         `json:"seeds"`
	Leechers int         `json:"leechers"`
	Bytes    int64       `json:"bytes"`
	Rate     int64       `json:"link_bits_per_sec"`                // 0: not limited
	Slow     int64       `json:"slow_link_bits_per_sec,omitempty"` // of one that fetches
	Stagger  float64     `json:"start_within_sec,omitempty"`
	Vanish   int         `json:"vanish,omitempty"`
	Liars    int         `json:"liars,omitempty"`
	Sparse   float64     `json:"part_that_is_no_hole"`
	Seed     uint64      `json:"random_seed"`
	Results  []*result   `json:"results"`
}

// parts are what this program does when it is started by itself, on a host of its lab.
var parts = map[string]func(string, string) error{
	"serve-copies": serveCopies, "get-copy": getCopy, "pass-copy": passCopy, "tell-ring": tellRing, "tell-tracker": tellTracker, "lie": lie,
}

func main() {
	if len(os.Args) == 4 && parts[os.Args[1]] != nil {
		fail(parts[os.Args[1]](os.Args[2], os.Args[3]))
		return
	}
	// The first Ctrl-C ends what runs and takes everything away, a second one this program.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	var err error
	if len(os.Args) > 1 && os.Args[1] == "lab" {
		err = try(ctx, os.Args[2:])
	} else {
		err = measure(ctx, os.Args[1:])
	}
	if ctx.Err() != nil {
		fmt.Fprintln(os.Stderr, "\ninterrupted; nothing is left behind")
		os.Exit(130)
	}
	fail(err)
}

// exit is an error with an exit code of its own.
type exit struct {
	code int
	error
}

func fail(err error) {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "swarmbench:", err)
	var with exit
	if errors.As(err, &with) {
		os.Exit(with.code)
	}
	os.Exit(1)
}

func measure(ctx context.Context, args []string) error {
	o := options{nodes: 3}
	var list, size, rate, slow string
	fs := flag.NewFlagSet("swarmbench", flag.ContinueOnError)
	fs.StringVar(&list, "clients", "btclient,copy", "of btclient, aria2, libtorrent, one that seeds and another that fetches as aria2>btclient, copy: everybody a plain copy from the seed, hashed as it comes, and chain: the same from the host before, which still receives")
	fs.IntVar(&o.seeds, "seeds", 1, "how many have the file at first")
	fs.IntVar(&o.leechers, "leechers", 1, "how many fetch")
	fs.StringVar(&size, "size", "256m", "of the file: bytes, or with k, m or g")
	fs.StringVar(&rate, "rate", "0", "of each host's link both ways, in bits per second, or with k, m or g; 0: as fast as the machine is")
	fs.StringVar(&slow, "slow", "0", "the same of the last one that fetches; 0: like all")
	fs.DurationVar(&o.stagger, "stagger", 0, "those that fetch begin at random within this time")
	fs.IntVar(&o.vanish, "vanish", 0, "how many of those that fetch are unplugged on the way (not with chain)")
	fs.IntVar(&o.liars, "liars", 0, "how many peers there are besides that send noise (btclient only)")
	fs.Float64Var(&o.sparse, "sparse", 1, "how much of the file is data, the rest being holes")
	fs.Uint64Var(&o.seed, "random", 1, "seed of what is random; each run adds one")
	fs.IntVar(&o.runs, "runs", 3, "of each client, in turn")
	fs.StringVar(&o.bin, "bin", "bin", "where chordnode and btclient are")
	fs.StringVar(&o.scripts, "scripts", "scripts/swarmbench", "where peer_libtorrent.py is")
	fs.StringVar(&o.work, "work", placeForData(), "a directory for the data; on a tmpfs the disk plays no part")
	fs.StringVar(&o.commit, "commit", "unknown", "what is measured, for the report")
	fs.StringVar(&o.out, "out", "", "write the report, as JSON, to this file too")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if err := o.numbers(size, rate, slow); err != nil {
		return err
	}
	if o.seeds < 1 || o.vanish >= o.leechers || o.hosts() > 250 || (o.rate == 0 && (o.slow > 0 || o.vanish > 0)) {
		return errors.New("no seed, nobody left to fetch, more than 250 hosts, or --slow or --vanish without --rate: see --help")
	}
	if o.leechers < 1 || o.leechers > 200 || o.runs < 1 || o.size < 1 {
		return errors.New("there is nothing to measure: see --help")
	}
	o.clients = strings.Split(list, ",")
	for _, name := range o.clients {
		if contenders[name].seed == nil || (o.liars > 0 && name != "btclient") || (o.seeds > 1 && strings.Contains(name, ">")) || (o.vanish > 0 && name == "chain") {
			return fmt.Errorf("--clients: there is no %q, or not with these flags: see --help", name)
		}
	}
	if err := sweep(o.work); err != nil {
		return err
	}
	r := &report{Machine: lab.ThisMachine(o.commit), Seeds: o.seeds, Leechers: o.leechers, Bytes: o.size, Rate: o.rate, Slow: o.slow,
		Stagger: o.stagger.Seconds(), Vanish: o.vanish, Liars: o.liars, Sparse: o.sparse, Seed: o.seed}
	for _, name := range o.clients {
		r.Results = append(r.Results, &result{Client: name})
	}
	for n := range o.runs {
		for _, one := range r.Results {
			took, err := play(ctx, &o, one.Client, o.seed+uint64(n))
			if err != nil {
				return fmt.Errorf("%s, run %d: %w", one.Client, n+1, err)
			}
			fmt.Fprintf(os.Stderr, "%s: %.2f s at most, %.2f copies sent by seeds\n", one.Client, took.Longest, took.Copies)
			one.Runs = append(one.Runs, took)
		}
	}
	r.table(o.bound())
	return writeReport(o.out, r)
}

// writeReport writes what was measured to a file, if one was named.
func writeReport(path string, r any) error {
	if path == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// placeForData is where the disk plays no part, if there is such a place.
func placeForData() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

// numbers reads what is given in k, m and g.
func (o *options) numbers(size, rate, slow string) (err error) {
	if o.size, err = number(size, 1024); err != nil {
		return fmt.Errorf("--size: %w", err)
	}
	if o.rate, err = number(rate, 1000); err != nil {
		return fmt.Errorf("--rate: %w", err)
	}
	if o.slow, err = number(slow, 1000); err != nil {
		return fmt.Errorf("--slow: %w", err)
	}
	return nil
}

// bound is in how many seconds no one that fetches can be done by any means: its own
// link and that of a single seed are full all the time. 0: not known.
func (o *options) bound() float64 {
	if o.rate == 0 {
		return 0
	}
	return float64(o.size) * 8 / float64(o.rate)
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

func (r *report) table(bound float64) {
	fmt.Printf("\n%d MiB from %d to %d, ", r.Bytes>>20, r.Seeds, r.Leechers)
	if bound > 0 {
		fmt.Printf("links of %d Mbit/s; no way in less than %.1f s\n\n", r.Rate/1e6, bound)
	} else {
		fmt.Printf("links as fast as the machine\n\n")
	}
	fmt.Println("| client | longest | over the bound | seed sent | CPU per GiB delivered |")
	fmt.Println("|---|---|---|---|---|")
	for _, one := range r.Results {
		m := &medians{}
		m.Last = median(one.Runs, func(x run) float64 { return x.Last })
		m.Longest = median(one.Runs, func(x run) float64 { return x.Longest })
		m.Copies = median(one.Runs, func(x run) float64 { return x.Copies })
		m.CPU = median(one.Runs, func(x run) float64 { return x.CPU })
		over := "-"
		if bound > 0 {
			m.Bound = m.Longest / bound
			over = fmt.Sprintf("%.2f x", m.Bound)
		}
		one.medians = m
		fmt.Printf("| %s | %.2f s | %s | %.2f copies | %.2f s |\n", one.Client, m.Longest, over, m.Copies, m.CPU)
	}
	fmt.Printf("\nMedians of %d, %s, %d cores, commit %s, load %.1f at the start.\n", len(r.Results[0].Runs), r.Machine.CPU, r.Machine.Cores, r.Machine.Commit, r.Machine.Load)
}

// median is the middle one of what runs took, of an even number the worse.
func median[R any](runs []R, of func(R) float64) float64 {
	var all []float64
	for _, r := range runs {
		all = append(all, of(r))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
