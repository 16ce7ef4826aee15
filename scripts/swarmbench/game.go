package main

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"chordtorrent/scripts/lab"
)

// patience is how long a run may take beyond twenty times its bound.
const patience = 2 * time.Minute

// game is one run of one client.
type game struct {
	o         *options
	lab       lab.Lab
	random    *mathrand.Rand
	dir       string
	file      string
	torrent   string
	processes []*lab.Process
	seeds     []*lab.Process
	fetchers  []*fetcher
}

// fetcher is one that fetches.
type fetcher struct {
	host     int
	out      string
	done     string        // there once it has all
	start    time.Duration // after the first one
	vanish   time.Duration // after its own start it is killed; 0: not
	slow     bool          // its link is
	started  time.Time
	took     time.Duration // from its own start
	process  *lab.Process
	finished bool
}

// Hosts: 0 is for what all need, then the seeds, those that fetch, and the liars.
func (o *options) hosts() int { return 1 + o.seeds + o.leechers + o.liars }

// play is one run, from the first process to the comparison of all files. seed draws
// what is random.
func play(o *options, client string, seed uint64) (r run, err error) {
	g := &game{o: o, lab: lab.Lab{Prefix: fmt.Sprint("sb", os.Getpid()), Hosts: o.hosts()}, random: mathrand.New(mathrand.NewPCG(seed, 0))}
	if g.dir, err = os.MkdirTemp(o.work, "swarmbench-"); err != nil {
		return r, err
	}
	defer os.RemoveAll(g.dir)
	defer g.lab.Remove()
	defer g.end()
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

// cast says who begins when, who vanishes and who is slow.
func (g *game) cast() {
	for i := range g.o.leechers {
		out := filepath.Join(g.dir, fmt.Sprint("out-", i))
		f := &fetcher{host: 1 + g.o.seeds + i, out: out, done: out + ".done"}
		if g.o.stagger > 0 && i > 0 {
			f.start = time.Duration(g.random.Int64N(int64(g.o.stagger)))
		}
		g.fetchers = append(g.fetchers, f)
	}
	for _, i := range g.random.Perm(g.o.leechers)[:g.o.vanish] {
		g.fetchers[i].vanish = time.Duration((0.1 + 0.8*g.random.Float64()) * g.o.bound() * float64(time.Second))
	}
	if g.o.slow > 0 {
		g.fetchers[g.o.leechers-1].slow = true
	}
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

// fetchAll starts those that fetch, each in its time, and waits until all that are
// not to vanish are done.
func (g *game) fetchAll(with contender) error {
	limit := patience + time.Duration(20*g.o.bound())*time.Second + g.o.stagger
	if g.o.slow > 0 {
		limit += time.Duration(2*g.o.size*8/g.o.slow) * time.Second
	}
	began := time.Now()
	for waiting := len(g.fetchers); waiting > 0; time.Sleep(5 * time.Millisecond) {
		since := time.Since(began)
		if since > limit {
			return fmt.Errorf("after %v %d of %d are not done", limit, waiting, len(g.fetchers))
		}
		for i, f := range g.fetchers {
			switch {
			case f.finished || since < f.start:
			case f.process == nil:
				argv, err := with.fetch.fetch(g, i, f.out, f.done)
				if err != nil {
					return err
				}
				f.started = time.Now()
				if f.process, err = g.start(f.host, argv...); err != nil {
					return err
				}
			case f.vanish > 0 && time.Since(f.started) >= f.vanish:
				f.process.Kill()
				f.finished = true
				waiting--
			default:
				if _, err := os.Stat(f.done); err == nil {
					f.finished, f.took = true, time.Since(f.started)
					waiting--
				}
			}
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

// makeFile fills the file with what nothing can be saved of, or as many stretches of it
// as --sparse says.
func (g *game) makeFile() error {
	g.file = filepath.Join(g.dir, "source", "payload")
	if err := os.MkdirAll(filepath.Dir(g.file), 0o755); err != nil {
		return err
	}
	f, err := os.Create(g.file)
	if err != nil {
		return err
	}
	if g.o.sparse == 1 {
		_, err = io.CopyN(f, rand.Reader, g.o.size)
		return errors.Join(err, f.Close())
	}
	const stretch = 4 << 20
	err = f.Truncate(g.o.size)
	for at := int64(0); at < g.o.size && err == nil; at += stretch {
		if g.random.Float64() < g.o.sparse {
			_, err = f.Seek(at, io.SeekStart)
			if err == nil {
				_, err = io.CopyN(f, rand.Reader, min(stretch, g.o.size-at))
			}
		}
	}
	return errors.Join(err, f.Close())
}

// compare says which output is not what was seeded.
func (g *game) compare() error {
	want, err := sumOf(g.file)
	if err != nil {
		return err
	}
	for _, f := range g.fetchers {
		if f.vanish > 0 {
			continue
		}
		if got, err := sumOf(f.out); err != nil || got != want {
			return fmt.Errorf("%s is not what was seeded (%v)", f.out, err) //nolint:errorlint // it may be nil
		}
	}
	return nil
}

func sumOf(path string) (sum [32]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	h.Sum(sum[:0])
	return sum, err
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
	for _, p := range g.processes {
		p.Kill()
	}
}
