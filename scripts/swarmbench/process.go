package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"chordtorrent/scripts/lab"
)

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

// says waits for a line of the process that begins so.
func (p *process) says(what string) error {
	late := time.After(60 * time.Second)
	for {
		select {
		case line, more := <-p.lines:
			if !more {
				return fmt.Errorf("%s has ended: see %s", p.name, p.log)
			}
			if strings.HasPrefix(line, what) {
				go func() {
					for range p.lines { // nobody reads what follows
					}
				}()
				return nil
			}
		case <-late:
			return fmt.Errorf("%s does not say %q: see %s", p.name, what, p.log)
		}
	}
}

// cpu is what the process and its ended children have used, in seconds; 0 when it has
// ended itself.
func (p *process) cpu() float64 {
	used, err := lab.CPUTimeOf(p.cmd.Process.Pid)
	if err != nil {
		return 0
	}
	return used.Seconds()
}

// anonymous is its memory that no file backs, in KiB; 0 when it has ended.
func (p *process) anonymous() int64 {
	_, n, err := lab.MemoryOf(p.cmd.Process.Pid)
	if err != nil {
		return 0
	}
	return n
}

// stop asks the process to end, and waits.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	_ = p.cmd.Wait() // by a signal
	return nil
}
