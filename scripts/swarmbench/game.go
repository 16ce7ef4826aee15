package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"chordtorrent/scripts/lab"
)

// patience is how long a run may take beyond twenty times its bound.
const patience = 2 * time.Minute

// kind begins the names of this program's namespaces, workPrefix those of its directories;
// both go on with its pid.
const (
	kind       = "sb"
	workPrefix = "swarmbench-"
)

var pid = strconv.Itoa(os.Getpid())

// game is one run of one client.
type game struct {
	ctx      context.Context // of the run; when it ends, so does every process
	o        *options
	lab      lab.Lab
	random   *rand.Rand
	dir      string
	file     string
	torrent  string
	seeds    []*lab.Process
	fetchers []*fetcher
	began    time.Time // those that fetch
	busy     float64   // how much of the machine's time was used until all were done but the slow one

	mu        sync.Mutex
	processes []*lab.Process
	over      bool // nothing may be started any more
}

// fetcher is one that fetches.
type fetcher struct {
	host     int
	out      string
	done     string        // there once it has all
	start    time.Duration // after the first one
	vanish   time.Duration // after its own start it is unplugged; 0: not
	slow     bool          // its link is
	started  time.Time
	took     time.Duration // from its own start
	process  *lab.Process
	finished bool
}

// Hosts: 0 is for what all need, then the seeds, those that fetch, and the liars.
func (o *options) hosts() int { return 1 + o.seeds + o.leechers + o.liars }

// play is one run, from the first process to the comparison of all files. seed draws
// what is random. What it has made is gone when it returns, also after an error or when
// ctx has ended.
func play(ctx context.Context, o *options, client string, seed uint64) (r run, err error) {
	g := &game{ctx: ctx, o: o, lab: lab.Lab{Prefix: kind + pid, Hosts: o.hosts()}, random: rand.New(rand.NewPCG(seed, 0))}
	if g.dir, err = os.MkdirTemp(o.work, workPrefix+pid+"-"); err != nil {
		return r, err
	}
	defer os.RemoveAll(g.dir)
	defer g.lab.Remove()
	defer g.end()
	defer context.AfterFunc(ctx, g.end)()
	if err := g.lab.Build(); err != nil {
		return r, err
	}
	g.cast()
	if err := g.shape(); err != nil {
		return r, err
	}
	if err := g.makeFile(); err != nil {
		return r, err
	}
	with := contenders[client]
	if err := g.prepare(with); err != nil {
		return r, err
	}
	before, cpuBefore := g.sent(), g.cpu(g.seeds)
	if err := g.fetchAll(with); err != nil {
		return r, err
	}
	r.Busy, r.hosts = g.busy, g.fetchers
	r.Copies = float64(g.sent()-before) / float64(o.size)
	var fetching []*lab.Process
	for _, f := range g.fetchers {
		fetching = append(fetching, f.process)
		if f.vanish > 0 {
			continue
		}
		r.note(f, g.fetchers[0].started)
	}
	cpu := g.cpu(g.seeds) - cpuBefore + g.cpu(fetching)
	r.CPU = cpu / (float64(o.size) * float64(o.leechers-o.vanish) / (1 << 30))
	for _, p := range append(fetching, g.seeds...) {
		if _, anonymous, err := lab.MemoryOf(p.Pid()); err == nil {
			r.Memory = max(r.Memory, anonymous)
		}
	}
	for _, f := range g.fetchers {
		var st syscall.Stat_t
		if syscall.Stat(f.out, &st) == nil {
			r.Disk = max(r.Disk, st.Blocks/2)
		}
	}
	if r.Banned, err = g.banned(); err != nil {
		return r, err
	}
	return r, g.compare()
}

// note adds what one that fetches took; first is when the first of all began.
func (r *run) note(f *fetcher, first time.Time) {
	took := f.took.Seconds()
	r.Each = append(r.Each, took)
	if f.slow {
		r.Slow = took
		return
	}
	if r.First == 0 || took < r.First {
		r.First = took
	}
	r.Longest = max(r.Longest, took)
	r.Last = max(r.Last, f.started.Add(f.took).Sub(first).Seconds())
}

func (g *game) shape() error {
	if g.o.rate == 0 {
		return nil
	}
	for i := range g.o.hosts() {
		rate := g.o.rate
		if k := i - 1 - g.o.seeds; k >= 0 && k < len(g.fetchers) && g.fetchers[k].slow {
			rate = g.o.slow
		}
		if err := g.lab.Shape(i, rate); err != nil {
			return err
		}
	}
	return nil
}

// banned counts those that fetch and have banned a liar, by its address; every liar
// must have been by somebody.
func (g *game) banned() (n int, err error) {
	for k := range g.o.liars {
		addr, by := g.lab.Addr(1+g.o.seeds+g.o.leechers+k)+":", 0
		for _, f := range g.fetchers {
			text, err := os.ReadFile(f.process.Log)
			if err != nil {
				return n, err
			}
			for line := range strings.Lines(string(text)) {
				if strings.Contains(line, "is banned") && strings.Contains(line, addr) {
					by++
					break
				}
			}
		}
		if by == 0 {
			return n, fmt.Errorf("the liar at %s was banned by nobody", addr)
		}
		n += by
	}
	return n, nil
}

// sent is how many bytes have left the seeds' hosts.
func (g *game) sent() (sum int64) {
	for host := 1; host <= g.o.seeds; host++ {
		if n, err := g.lab.Sent(host); err == nil {
			sum += n
		}
	}
	return sum
}

// start runs a program on a host.
func (g *game) start(host int, argv ...string) (*lab.Process, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return nil, context.Canceled
	}
	log := filepath.Join(g.dir, fmt.Sprintf("%d-%s-%d.log", host, filepath.Base(argv[0]), len(g.processes)))
	p, err := g.lab.Start(host, log, argv...)
	if err == nil {
		g.processes = append(g.processes, p)
	}
	return p, err
}

// cpu is what they and their ended children have used, in seconds, without those that
// have ended themselves.
func (g *game) cpu(of []*lab.Process) (sum float64) {
	for _, p := range of {
		if used, err := lab.CPUTimeOf(p.Pid()); err == nil {
			sum += used.Seconds()
		}
	}
	return sum
}

// end kills all that was started.
func (g *game) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	for _, p := range g.processes {
		p.Kill()
	}
}
