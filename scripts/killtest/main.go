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
	"slices"
	"strings"
	"syscall"
	"time"

	"chordtorrent/scripts/lab"
)

// options say what to do.
type options struct {
	modes     []string
	rounds    int
	members   int
	witnesses int
	join      bool // find each other by a list, not by multicast
	cuts      []string
	cutFor    []time.Duration
	program   string
	upgradeTo string // the program that upgrade starts members with again
	closed    bool   // the ring has a secret
	work      string
	out       string
	commit    string
	cluster   string
	onLab     bool
	slack     int // on a shared machine, all promises of time are this much longer
}

func (o *options) nodeCast() string {
	if o.join {
		return "off"
	}
	return "239.255.4.3:1234"
}

func (o *options) clientCast() string { return o.nodeCast() }

// patience is how long what is promised within d may take here.
func (o *options) patience(d time.Duration) time.Duration { return d * time.Duration(o.slack) }

// ttl keeps announcements on this machine where there is no lab around.
func (o *options) ttl() int {
	if o.onLab {
		return 1
	}
	return 0
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "killtest:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var o options
	var inside, modes, cuts, cutFor string
	fs := flag.NewFlagSet("killtest", flag.ContinueOnError)
	fs.StringVar(&modes, "mode", "rounds", "rounds: kill two neighbours again and again; constant: one every 3 s; cuts: partitions; full-disk: one member has no space for a while; upgrade: each member in turn leaves and comes back; rotate: the ring's secret is replaced; or several of them, a,b; or latency: joining and finding")
	fs.IntVar(&o.rounds, "rounds", 3, "how often")
	fs.IntVar(&o.witnesses, "witnesses", 0, "members that rounds never kills, to see whether they grow")
	fs.IntVar(&o.members, "members", 12, "chordnodes")
	fs.BoolVar(&o.join, "join", false, "members find each other by --join, without multicast")
	fs.StringVar(&cuts, "cuts", "6|6,10|2,4|4|4,one-way,flapping", "kinds of partitions")
	fs.StringVar(&cutFor, "cut-for", "10s,3m", "how long each lasts")
	fs.StringVar(&o.program, "program", "bin/chordnode", "the chordnode to test")
	fs.StringVar(&o.upgradeTo, "upgrade-to", "", "the chordnode that upgrade starts members with again; the same if none")
	fs.StringVar(&o.work, "work", "", "where data and logs go; removed by who made it")
	fs.StringVar(&o.out, "out", "", "file for the result; standard output if none")
	fs.IntVar(&o.slack, "slack", 1, "on a machine that others use too: allow every promise of time so many times as long")
	fs.StringVar(&o.commit, "commit", "", "what is tested, for the result")
	fs.StringVar(&inside, "inside", "", "used by killtest itself")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	}
	if o.work == "" || o.members < 5 || o.rounds < 1 || o.slack < 1 {
		return errors.New("--work is missing, or there are fewer than 5 members, no round or no --slack")
	}
	if o.witnesses > o.members/4 {
		return fmt.Errorf("--witnesses %d of %d: there must be neighbours left to kill", o.witnesses, o.members)
	}
	o.modes, o.cuts = strings.Split(modes, ","), strings.Split(cuts, ",")
	o.closed = slices.Contains(o.modes, "rotate")
	if o.upgradeTo == "" {
		o.upgradeTo = o.program
	}
	for _, s := range strings.Split(cutFor, ",") {
		d, err := time.ParseDuration(s)
		if err != nil {
			return fmt.Errorf("--cut-for: %w", err)
		}
		o.cutFor = append(o.cutFor, d)
	}
	o.cluster = fmt.Sprintf("killtest-%x", rand.Uint64())
	if modes == "latency" {
		return measureLatency(&o)
	}
	if inside == "" {
		return around(lab.Lab{Prefix: fmt.Sprint("ct", os.Getpid()), Hosts: o.members + 1}, args)
	}
	o.onLab = true
	return test(&o, &lab.Lab{Prefix: inside, Hosts: o.members + 1})
}

// around builds the lab, runs this program in it, and takes it away.
func around(l lab.Lab, args []string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer l.Remove()
	if err := l.Build(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	argv := l.On(0, append([]string{self, "--inside", l.Prefix}, args...)...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = lab.NoOrphan(syscall.SIGTERM)
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	var end error
	go func() {
		end = cmd.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		err = end
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

// test runs the modes in the lab, one after the other in the same ring.
func test(o *options, l *lab.Lab) error {
	f, err := newFleet(o, l, o.members)
	defer f.stop()
	if err != nil {
		return err
	}
	_, took, err := f.settle(2 * time.Minute)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "a ring of %d, whole after %.1f s\n", o.members, took.Seconds())
	list := ""
	if o.join {
		list = f.addrs()
	}
	began := time.Now()
	r := &report{Machine: lab.ThisMachine(o.commit), Slack: o.slack, Modes: o.modes, Multicast: !o.join, Members: o.members}
	ld, err := startLoad(o, list)
	if err != nil {
		return err
	}
	time.Sleep(5 * time.Second) // something to lose
	for _, mode := range o.modes {
		if err == nil {
			err = f.run(mode, ld, r)
		}
	}
	if err == nil {
		err = f.lastLook(ld)
	}
	ld.end()
	r.fill(ld)
	r.Seconds = time.Since(began).Seconds()
	bad := r.verdict()
	if err != nil {
		bad = append(bad, err.Error())
	}
	r.Passed = len(bad) == 0
	fmt.Fprint(os.Stderr, r.table())
	if err := save(o, r); err != nil {
		return err
	}
	if !r.Passed {
		return errors.New(strings.Join(bad, "; "))
	}
	return nil
}

func (f *fleet) run(mode string, l *load, r *report) error {
	switch mode {
	case "rounds":
		return f.killRounds(l, r)
	case "constant":
		return f.killConstantly(l, r)
	case "cuts":
		return f.cuts(l, r)
	case "full-disk":
		return f.fullDisk(l, r)
	case "upgrade":
		return f.upgrade(l, r)
	case "rotate":
		return f.rotate(l, r)
	}
	return fmt.Errorf("--mode %q: there are rounds, constant, cuts, full-disk, upgrade, rotate and latency", mode)
}

// lastLook reads everything from a ring that is whole.
func (f *fleet) lastLook(l *load) error {
	if _, _, err := f.settle(2 * time.Minute); err != nil {
		return err
	}
	if err := l.readAll(context.Background()); err != nil {
		return err
	}
	return l.readLists(context.Background())
}
