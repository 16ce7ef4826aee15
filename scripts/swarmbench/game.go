package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"chordtorrent/scripts/lab"
)

// patience is how long a run may take beyond twenty times its bound.
const patience = 2 * time.Minute

// game is one run of one client.
type game struct {
	o           *options
	lab         lab.Lab
	dir         string
	file        string
	torrent     string
	outputs     []string
	processes   []*process
	seedProcess *process
}

// process is a program on a host.
type process struct {
	name  string
	log   string
	cmd   *exec.Cmd
	lines chan string // of its standard output; closed at its end
}

// start runs a program on a host.
func (g *game) start(host int, argv ...string) (*process, error) {
	full := g.lab.On(host, argv...)
	p := &process{name: filepath.Base(argv[0]), log: filepath.Join(g.dir, fmt.Sprintf("%d-%s-%d.log", host, filepath.Base(argv[0]), len(g.processes))), lines: make(chan string, 16)}
	p.cmd = exec.Command(full[0], full[1:]...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	p.cmd.Stderr = log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	g.processes = append(g.processes, p)
	go func() {
		defer close(p.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			select {
			case p.lines <- lines.Text():
			default: // nobody waits for it
			}
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	return p, nil
}

// play is one run, from the first process to the comparison of all files.
func play(o *options, client string) (r run, err error) {
	g := &game{o: o, lab: lab.Lab{Prefix: fmt.Sprint("sb", os.Getpid()), Hosts: o.leechers + 2}, outputs: make([]string, o.leechers)}
	if g.dir, err = os.MkdirTemp(o.work, "swarmbench-"); err != nil {
		return r, err
	}
	defer os.RemoveAll(g.dir)
	defer g.lab.Remove()
	defer g.end()
	if err := g.lab.Build(); err != nil {
		return r, err
	}
	if o.rate > 0 {
		if err := g.lab.Shape(o.rate); err != nil {
			return r, err
		}
	}
	if err := g.makeFile(); err != nil {
		return r, err
	}
	c := contenders[client]
	if err := errors.Join(c.prepare(g), c.seed(g)); err != nil {
		return r, err
	}
	before, cpuBefore := g.sent(), g.seedProcess.cpu()
	began := time.Now()
	waiting := map[int]string{}
	var fetching []*process
	for i := range o.leechers {
		out := filepath.Join(g.dir, fmt.Sprint("out-", i))
		g.outputs[i], waiting[i] = out, out+".done"
		argv := c.fetch(g, i, out, waiting[i])
		p, err := g.start(i+2, argv...)
		if err != nil {
			return r, err
		}
		fetching = append(fetching, p)
	}
	limit := patience
	if o.rate > 0 {
		limit += time.Duration(20*o.size*8/o.rate) * time.Second
	}
	for len(waiting) > 0 {
		for i, done := range waiting {
			if _, err := os.Stat(done); err == nil {
				delete(waiting, i)
				r.Last = time.Since(began).Seconds()
				if r.First == 0 {
					r.First = r.Last
				}
			}
		}
		if time.Since(began) > limit {
			return r, fmt.Errorf("after %v %d of %d are not done", limit, len(waiting), o.leechers)
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.Copies = float64(g.sent()-before) / float64(o.size)
	cpu := g.seedProcess.cpu() - cpuBefore
	for _, p := range fetching {
		cpu += p.cpu()
	}
	r.CPU = cpu / (float64(o.size) * float64(o.leechers) / (1 << 30))
	for _, p := range append(fetching, g.seedProcess) {
		r.Memory = max(r.Memory, p.anonymous())
	}
	return r, g.compare()
}

// makeFile fills the file with what nothing can be saved of.
func (g *game) makeFile() error {
	g.file = filepath.Join(g.dir, "source", "payload")
	if err := os.MkdirAll(filepath.Dir(g.file), 0o755); err != nil {
		return err
	}
	f, err := os.Create(g.file)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, rand.Reader, g.o.size)
	return errors.Join(err, f.Close())
}

// compare says which output is not what was seeded.
func (g *game) compare() error {
	want, err := sumOf(g.file)
	if err != nil {
		return err
	}
	for _, out := range g.outputs {
		if got, err := sumOf(out); err != nil || got != want {
			return fmt.Errorf("%s is not what was seeded (%v)", out, err) //nolint:errorlint // it may be nil
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

// sent is how many bytes have left the seed's host.
func (g *game) sent() int64 {
	argv := g.lab.On(1, "cat", "/sys/class/net/eth0/statistics/tx_bytes")
	text, err := exec.Command(argv[0], argv[1:]...).Output()
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n
}

// cpu is what the process and its ended children have used, in seconds.
func (p *process) cpu() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	ticks := 0.0
	for _, i := range []int{11, 12, 13, 14} { // utime, stime, cutime, cstime
		if i < len(fields) {
			n, _ := strconv.ParseFloat(fields[i], 64)
			ticks += n
		}
	}
	return ticks / 100
}

// anonymous is its memory that no file backs, in KiB.
func (p *process) anonymous() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, "RssAnon:"); found {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n
		}
	}
	return 0
}

// end kills all that was started.
func (g *game) end() {
	for _, p := range g.processes {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
	for _, p := range g.processes {
		_ = p.cmd.Wait()
	}
}
