// Command killtest holds a ring of real chordnode processes to its promises:
// members are killed, and cut off from each other, while clients write and read.
// scripts/kill-test.sh starts it. It needs root: the members live in network
// namespaces of its own, with no way out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// options say what to do.
type options struct {
	mode    string
	rounds  int
	members int
	join    bool // find each other by a list, not by multicast
	cuts    []string
	cutFor  []time.Duration
	program string
	work    string
	out     string
	commit  string
	cluster string
	onLab   bool
}

func (o *options) nodeCast() string {
	if o.join {
		return "off"
	}
	return "239.255.4.3:1234"
}

func (o *options) clientCast() string { return o.nodeCast() }

// ttl keeps announcements on this machine where there is no lab around.
func (o *options) ttl() int {
	if o.onLab {
		return 1
	}
	return 0
}

func (o *options) machine() machine {
	m := machine{Cores: runtime.NumCPU(), Load: loadAverage(), Commit: o.commit, Date: time.Now().UTC().Format(time.RFC3339)}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, found := strings.CutPrefix(line, "model name"); found {
				m.Host = strings.Trim(name, " \t:\n")
				break
			}
		}
	}
	return m
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "killtest:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var o options
	var inside, cuts, cutFor string
	fs := flag.NewFlagSet("killtest", flag.ContinueOnError)
	fs.StringVar(&o.mode, "mode", "rounds", "rounds: kill two neighbours again and again; constant: one every 3 s; cuts: partitions; latency: joining and finding")
	fs.IntVar(&o.rounds, "rounds", 3, "how often")
	fs.IntVar(&o.members, "members", 12, "chordnodes")
	fs.BoolVar(&o.join, "join", false, "members find each other by --join, without multicast")
	fs.StringVar(&cuts, "cuts", "6|6,10|2,4|4|4,one-way,flapping", "kinds of partitions")
	fs.StringVar(&cutFor, "cut-for", "10s,3m", "how long each lasts")
	fs.StringVar(&o.program, "program", "bin/chordnode", "the chordnode to test")
	fs.StringVar(&o.work, "work", "", "where data and logs go; removed by who made it")
	fs.StringVar(&o.out, "out", "", "file for the result; standard output if none")
	fs.StringVar(&o.commit, "commit", "", "what is tested, for the result")
	fs.StringVar(&inside, "inside", "", "used by killtest itself")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if o.work == "" || o.members < 5 || o.rounds < 1 {
		return errors.New("--work is missing, or there are fewer than 5 members or no round")
	}
	o.cuts = strings.Split(cuts, ",")
	for _, s := range strings.Split(cutFor, ",") {
		d, err := time.ParseDuration(s)
		if err != nil {
			return fmt.Errorf("--cut-for: %w", err)
		}
		o.cutFor = append(o.cutFor, d)
	}
	o.cluster = fmt.Sprintf("killtest-%x", rand.Uint64())
	if o.mode == "latency" {
		return measureLatency(&o)
	}
	if inside == "" {
		return around(lab{prefix: fmt.Sprint("ct", os.Getpid()), hosts: o.members + 1}, args)
	}
	o.onLab = true
	return test(&o, &lab{prefix: inside, hosts: o.members + 1})
}

// around builds the lab, runs this program in it, and takes it away.
func around(l lab, args []string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer l.remove()
	if err := l.build(); err != nil {
		return err
	}
	cmd := l.inside(args)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its members die with it
		<-ended
		err = errors.New("interrupted")
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return errors.New("a promise was broken, or the test could not go on: see above")
	}
	return err
}

// test runs one mode in the lab.
func test(o *options, l *lab) error {
	f, err := newFleet(o, l, o.members)
	defer f.stop()
	if err != nil {
		return err
	}
	if took, err := f.settle(2 * time.Minute); err != nil {
		return err
	} else {
		fmt.Fprintf(os.Stderr, "a ring of %d, whole after %.1f s\n", o.members, took.Seconds())
	}
	list := ""
	if o.join {
		list = f.addrs()
	}
	ld, err := startLoad(o, list)
	if err != nil {
		return err
	}
	r := &report{Machine: o.machine(), Mode: o.mode, Multicast: !o.join, Members: o.members}
	time.Sleep(5 * time.Second) // something to lose
	switch o.mode {
	case "rounds":
		err = f.killRounds(ld, r)
	case "constant":
		err = f.killConstantly(ld, r)
	case "cuts":
		err = f.cuts(ld, r)
	default:
		err = fmt.Errorf("--mode %q: there are rounds, constant, cuts and latency", o.mode)
	}
	if err == nil {
		_, err = f.settle(2 * time.Minute)
	}
	if err == nil {
		err = ld.lastLook(context.Background())
	}
	ld.end()
	r.fill(ld)
	bad := r.passed()
	if err != nil {
		bad = append(bad, err.Error())
	}
	fmt.Fprintf(os.Stderr, `%s: %d kills (%d with the disk), %d cuts
writes: %d, %d acknowledged, %d degraded, %d refused
reads: %d; %d of %d failed within %v of a kill, %d later
whole again: %.1f s in the median, %.1f s at most
all_files: %v, peers: %v; histories: %d linearizable, %d undecided
`, r.Mode, r.Kills, r.WithoutDisk, len(r.Cuts), r.Writes, r.Acked, r.Degraded, r.Refused, r.Reads, r.FailedSoon, r.ReadsSoon, afterKill, r.FailedLate,
		r.WholeMedian, r.WholeMax, r.Files, r.Peers, r.Histories, r.Undecided)
	for _, v := range append(r.Violations, r.Failures...) {
		fmt.Fprintln(os.Stderr, "  ", v)
	}
	if err := save(o, r); err != nil {
		return err
	}
	if len(bad) > 0 {
		return errors.New(strings.Join(bad, "; "))
	}
	return nil
}
