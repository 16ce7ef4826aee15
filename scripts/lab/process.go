package lab

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Process is a program on a host.
type Process struct {
	Name string
	Log  string // the file with all that it has said
	cmd  *exec.Cmd
	said chan string   // lines of its standard output; closed at its end
	over chan struct{} // closed when it has ended
}

// Start runs a program on a host; log is the file for what it says.
func (l Lab) Start(host int, log string, argv ...string) (*Process, error) {
	p, err := start(log, l.On(host, argv...)...)
	if err == nil {
		p.Name = filepath.Base(argv[0])
	}
	return p, err
}

func start(log string, argv ...string) (*Process, error) {
	p := &Process{Name: filepath.Base(argv[0]), Log: log, said: make(chan string, 16), over: make(chan struct{})}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.SysProcAttr = NoOrphan(syscall.SIGKILL)
	p.cmd.SysProcAttr.Setpgid = true
	to, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	p.cmd.Stderr = to
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		to.Close()
		return nil, err
	}
	go p.listen(out, to)
	return p, nil
}

// listen hears the process to its end.
func (p *Process) listen(out io.Reader, log *os.File) {
	all := io.TeeReader(out, log)
	for lines := bufio.NewScanner(all); lines.Scan(); {
		select {
		case p.said <- lines.Text():
		default: // nobody waits for it
		}
	}
	_, _ = io.Copy(io.Discard, all) // a line that was too long for us
	log.Close()
	close(p.said)
	_ = p.cmd.Wait() // by a signal, most of them
	close(p.over)
}

// Says waits for a line of the process that begins so, a minute at most. Lines said
// before are not heard any more afterwards.
func (p *Process) Says(what string) error { return p.SaysWithin(time.Minute, what) }

// SaysWithin waits for as long as is said.
func (p *Process) SaysWithin(patience time.Duration, what string) error {
	late := time.After(patience)
	for {
		select {
		case line, more := <-p.said:
			if !more {
				return fmt.Errorf("%s has ended: see %s, which ends with %q", p.Name, p.Log, p.LastWords())
			}
			if strings.HasPrefix(line, what) {
				return nil
			}
		case <-late:
			return fmt.Errorf("%s does not say %q: see %s", p.Name, what, p.Log)
		}
	}
}

// LastWords are the last lines that the process has said, for whoever asks why it has ended.
func (p *Process) LastWords() string {
	text, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	const most = 800
	text = bytes.TrimSpace(text)
	if len(text) > most {
		text = text[len(text)-most:]
		if _, whole, found := bytes.Cut(text, []byte("\n")); found {
			text = whole
		}
	}
	return string(text)
}

// Pid is that of the process, which is also its group's.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Over is closed when the process has ended.
func (p *Process) Over() <-chan struct{} { return p.over }

// ExitCode is how it ended, once it has; -1: by a signal.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// Stop asks the process to end, and waits.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-p.over
	return nil
}

// Kill ends it and what it has started, at once, and waits.
func (p *Process) Kill() {
	_ = syscall.Kill(-p.Pid(), syscall.SIGKILL) // it may have ended
	<-p.over
}
