package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"chordtorrent/scripts/lab"
)

// A try of the lab: our own programs alone, for somebody who wants to know how an evening
// with so many machines would be. What they do and how it is timed is the bench's.

// Exit codes besides 0 and 1, which is "not everybody has it", or a judgement lost.
const (
	badUsage   = 2
	notJudged  = 3
	tooBusy    = 0.8  // of the machine's time: what is measured then is the machine
	mostSlower = 1.05 // others may be, by what befalls some
)

// trial is what a try has been asked for, and what came of it.
type trial struct {
	Machine  lab.Machine `json:"machine"`
	Hosts    int         `json:"hosts"`
	Bytes    int64       `json:"bytes"`
	Rate     int64       `json:"link_bits_per_sec"`
	Slow     int64       `json:"slow_link_bits_per_sec,omitempty"` // of one host
	Late     int         `json:"late_hosts,omitempty"`
	Within   float64     `json:"late_within_sec,omitempty"`
	Vanish   int         `json:"vanishing_hosts,omitempty"`
	Nodes    int         `json:"ring_members"`
	Bound    float64     `json:"bound_sec"`
	Seed     uint64      `json:"random_seed"`
	Undone   []*outcome  `json:"runs_without_trouble,omitempty"` // to compare with
	Runs     []*outcome  `json:"runs"`
	Judgment []judgement `json:"judgements,omitempty"`
	Verdict  string      `json:"verdict"`
}

// try is `swarmbench lab`.
func try(ctx context.Context, args []string) error {
	o, judge, err := labFlags(args)
	if err != nil {
		return err
	}
	if err := lab.Ready(); err != nil {
		return err
	}
	if err := sweep(o.work); err != nil {
		return err
	}
	if err := o.room(); err != nil {
		return err
	}
	t := &trial{Machine: lab.ThisMachine(o.commit), Hosts: o.leechers, Bytes: o.size, Rate: o.rate, Slow: o.slow, Late: o.late, Vanish: o.vanish,
		Nodes: o.nodes, Bound: o.bound(), Seed: o.seed}
	if o.late > 0 {
		t.Within = o.stagger.Seconds()
	}
	fmt.Fprintf(os.Stderr, "%s to %d hosts with links of %s; no way in less than %.1f s\n", bytesOf(o.size), o.leechers, bitsOf(o.rate), o.bound())
	for n := range o.runs {
		if judge {
			plain := *o
			plain.slow, plain.late, plain.stagger, plain.vanish = 0, 0, 0, 0
			was, err := tryOnce(ctx, &plain, "without trouble", n)
			if err != nil {
				return err
			}
			t.Undone = append(t.Undone, was)
		}
		was, err := tryOnce(ctx, o, "", n)
		if err != nil {
			return err
		}
		t.Runs = append(t.Runs, was)
		if n == o.runs-1 {
			was.table()
		}
	}
	end := t.conclude(judge)
	fmt.Println(t.Verdict)
	return errors.Join(writeReport(o.out, t), end)
}

func tryOnce(ctx context.Context, o *options, what string, n int) (*outcome, error) {
	p := newProgress(what)
	with := *o
	with.watch = p.show
	r, err := play(ctx, &with, "btclient", o.seed+uint64(n))
	p.end()
	if err != nil {
		return nil, err
	}
	return r.outcome(o), nil
}

// labFlags reads the command line.
func labFlags(args []string) (o *options, judge bool, err error) {
	o = &options{seeds: 1, sparse: 1}
	var size, rate, slow string
	fs := flag.NewFlagSet("lab.sh", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprint(fs.Output(), "lab.sh: tries on this machine how long a file takes to so many hosts, each in a network namespace with a limited link. See docs/lab.md.\n\n")
		fs.PrintDefaults()
	}
	fs.IntVar(&o.leechers, "hosts", 8, "`how many` fetch the file")
	fs.StringVar(&size, "size", "64m", "of the file: `bytes`, or with k, m or g")
	fs.StringVar(&o.file, "file", "", "a `file` to take instead of one of random bytes; it is only read")
	fs.StringVar(&rate, "rate", "100m", "of each host's link both ways, in `bits` per second, or with k, m or g")
	fs.StringVar(&slow, "slow", "0", "`bits` per second of the link of one host; 0: like all")
	fs.IntVar(&o.late, "late", 0, "`how many` of the hosts begin later, at random")
	fs.DurationVar(&o.stagger, "within", 10*time.Second, "the `time` within which those begin")
	fs.IntVar(&o.vanish, "vanish", 0, "`how many` of the hosts that begin at once are unplugged on the way")
	fs.IntVar(&o.nodes, "nodes", 3, "`how many` members the ring has; all are on one more host")
	fs.BoolVar(&judge, "judge", false, "say whether --slow, --late or --vanish did harm to the others, by runs without them in turn")
	fs.IntVar(&o.runs, "runs", 1, "`how many` times; with --judge, of each kind")
	fs.Uint64Var(&o.seed, "random", 1, "`seed` of who is late or vanishes when; each run adds one")
	fs.StringVar(&o.out, "out", "", "a `file` for all that was measured, as JSON")
	fs.StringVar(&o.work, "work", placeForData(), "a `directory` for the data of all hosts; on a tmpfs the disk plays no part")
	fs.StringVar(&o.bin, "bin", "bin", "the `directory` of chordnode and btclient")
	fs.StringVar(&o.commit, "commit", "unknown", "what is tried, for the report")
	if err := fs.Parse(args); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			err = exit{badUsage, err}
		}
		return nil, false, err
	}
	if err := o.numbers(size, rate, slow); err != nil {
		return nil, false, exit{badUsage, err}
	}
	if o.file != "" {
		info, err := os.Stat(o.file)
		if err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("%s is no file", o.file)
		}
		if err != nil {
			return nil, false, exit{badUsage, fmt.Errorf("--file: %w", err)}
		}
		o.size = info.Size()
		if o.file, err = filepath.Abs(o.file); err != nil {
			return nil, false, err
		}
	}
	if dir := filepath.Dir(o.out); o.out != "" { // told now, not when all is measured
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil, false, exit{badUsage, fmt.Errorf("--out: there is no directory %s", dir)}
		}
	}
	if why := o.wrong(fs.NArg(), judge); why != "" {
		return nil, false, exit{badUsage, errors.New(why + "; --help has the flags")}
	}
	if o.late == 0 {
		o.stagger = 0
	}
	return o, judge, nil
}

// wrong tells why nothing can be tried with these flags; empty: it can.
func (o *options) wrong(more int, judge bool) string {
	others := o.leechers - o.late - o.vanish
	if o.slow > 0 {
		others--
	}
	switch {
	case more > 0:
		return "there are flags only"
	case o.leechers < 1 || o.hosts() > 250:
		return "--hosts: from 1 to 248"
	case o.size < 1:
		return "--size: the file is empty"
	case o.rate < 1:
		return "--rate: a link without a limit is as fast as this machine, and nothing is learned of others"
	case o.late < 0 || o.vanish < 0 || others < 1:
		return "nobody is left who is neither slow, late nor gone"
	case o.late > 0 && o.stagger <= 0:
		return "--within: those that are late need some time for it"
	case o.nodes < 1 || o.nodes > 50:
		return "--nodes: from 1 to 50"
	case o.runs < 1:
		return "--runs: once at least"
	case judge && o.slow == 0 && o.late == 0 && o.vanish == 0:
		return "--judge: of what? It takes --slow, --late or --vanish"
	}
	return ""
}

// room refuses what would fill the place for the data.
func (o *options) room() error {
	need := o.size * int64(o.leechers)
	if o.file == "" {
		need += o.size
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(o.work, &st); err != nil {
		return fmt.Errorf("--work %s: %w", o.work, err)
	}
	if free := int64(st.Bavail) * int64(st.Bsize); need > free/10*9 { //nolint:unconvert // of another type on other systems
		return fmt.Errorf("the data of all hosts takes %s, and %s has %s free: take a smaller --size, fewer --hosts, or another place by --work DIR (on a disk, which then has its part in the time)",
			bytesOf(need), o.work, bytesOf(free))
	}
	return nil
}

// sweep removes what runs left that were killed, and names it: it may be much memory.
func sweep(work string) error {
	gone, err := lab.Lab{Prefix: kind}.Leftovers()
	if err != nil {
		return err
	}
	if len(gone) > 0 {
		fmt.Fprintf(os.Stderr, "a run that was killed had left %d network namespaces, %s to %s: removed\n", len(gone), gone[0], gone[len(gone)-1])
	}
	dirs, err := filepath.Glob(filepath.Join(work, workPrefix+"[0-9]*-*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		maker, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), workPrefix), "-")
		var st syscall.Stat_t
		if lab.Alive(maker) || syscall.Lstat(dir, &st) != nil || int(st.Uid) != os.Geteuid() {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "a run that was killed had left its data in %s: removed\n", dir)
	}
	return nil
}
