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
)

// process is a program on a host.
type process struct {
	name, log string
	cmd       *exec.Cmd
	lines     chan string // of its standard output
	ended     chan error
}

// start runs a program on a host.
func (s *stage) start(host int, argv ...string) (*process, error) {
	full := s.lab.On(host, argv...)
	name := filepath.Base(argv[0])
	p := &process{
		name: name, log: s.path(fmt.Sprintf("%d-%s-%d.log", host, name, len(s.cast))),
		cmd: exec.Command(full[0], full[1:]...), lines: make(chan string, 16), ended: make(chan error, 1),
	}
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
	s.cast = append(s.cast, p)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			select {
			case p.lines <- lines.Text():
			default: // nobody waits for it
			}
		}
		_, _ = io.Copy(io.Discard, out)
		p.ended <- p.cmd.Wait()
	}()
	return p, nil
}

// says waits for a line of the process that begins so.
func (p *process) says(what string) error {
	late := time.After(patience)
	for {
		select {
		case line := <-p.lines:
			if strings.HasPrefix(line, what) {
				return nil
			}
		case err := <-p.ended:
			return fmt.Errorf("%s has ended (%v): see %s", p.name, err, p.log) //nolint:errorlint // it may be nil
		case <-late:
			return fmt.Errorf("%s does not say %q: see %s", p.name, what, p.log)
		}
	}
}

// logs waits for a word in what the process writes for people.
func (p *process) logs(what string) error {
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(20 * time.Millisecond) {
		if text, err := os.ReadFile(p.log); err == nil && strings.Contains(string(text), what) {
			return nil
		}
	}
	return fmt.Errorf("%s does not write %q: see %s", p.name, what, p.log)
}

// ends waits for the end of the process, which must be a good one.
func (p *process) ends() error {
	select {
	case err := <-p.ended:
		if err != nil {
			return fmt.Errorf("%s: %w: see %s", p.name, err, p.log)
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%s does not end: see %s", p.name, p.log)
	}
}

// stop asks the process to end, and waits.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return fmt.Errorf("%s: %w: see %s", p.name, err, p.log)
	}
	return p.ends()
}

// end kills all that still runs.
func (s *stage) end() {
	for _, p := range s.cast {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	}
}
