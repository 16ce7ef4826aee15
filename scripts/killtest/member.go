package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/rpc"
	"chordtorrent/scripts/lab"
)

// member is one chordnode process, or the place of one.
type member struct {
	host    int    // of the lab; -1: this one
	dir     string // data directory
	args    []string
	logPath string
	secret  string    // its own copy of the ring's secret; "" without one
	program string    // that it is started with
	witness bool      // not to be killed
	cmd     *exec.Cmd // nil: down
	exited  chan struct{}
	addr    string // of the ring port, as the ready line says
	http    string
	id      string
	met     int // members it knew of when it was ready
	conn    *rpc.Client
}

var readyLine = regexp.MustCompile(`^ready id=([0-9a-f]{40}) members=(\d+) ring=(\S+) http=(\S+) `)

// start runs the process; ready gives how long it took to be part of a ring, or
// why it did not. It does not wait.
func (m *member) start(l *lab.Lab) (ready <-chan error, err error) {
	argv := append([]string{m.program, "--data-dir", m.dir}, m.args...)
	if m.host >= 0 {
		argv = l.On(m.host, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = lab.NoOrphan(syscall.SIGKILL)
	log, err := os.OpenFile(m.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	fmt.Fprintf(log, "--- started %s\n", time.Now().Format(time.RFC3339Nano))
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	m.cmd, m.exited = cmd, make(chan struct{})
	done := make(chan error, 1)
	exited := m.exited
	go func() {
		line, err := bufio.NewReader(out).ReadString('\n')
		if f := readyLine.FindStringSubmatch(line); f != nil {
			m.id, m.addr, m.http = f[1], f[3], f[4]
			m.met, _ = strconv.Atoi(f[2]) // digits
			done <- nil
		} else {
			done <- fmt.Errorf("%s said %q instead of being ready (%v): see %s", m.program, line, err, m.logPath) //nolint:errorlint // it may be nil
		}
		_, _ = io.Copy(io.Discard, out) // until it ends
		_ = cmd.Wait()                  // killed, as a rule
		close(exited)
	}()
	return done, nil
}

// kill ends the process without a word, and waits until it is gone.
func (m *member) kill() {
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Kill()
	<-m.exited
	m.cmd = nil
	m.hangUp()
}

// leaveWithin is how long an orderly leave may take: node's own limit is 10 s.
const leaveWithin = 15 * time.Second

// leave has the process leave the ring in order, and waits until it is gone.
func (m *member) leave() error {
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("asking %s to leave: %w", m.addr, err)
	}
	late := time.NewTimer(leaveWithin)
	defer late.Stop()
	select {
	case <-m.exited:
	case <-late.C:
		return fmt.Errorf("%s has not left within %v: see %s", m.addr, leaveWithin, m.logPath)
	}
	code := m.cmd.ProcessState.ExitCode()
	m.cmd = nil
	m.hangUp()
	if code != 0 {
		return fmt.Errorf("%s left with status %d: see %s", m.addr, code, m.logPath)
	}
	return nil
}

func (m *member) hangUp() {
	if m.conn != nil {
		_ = m.conn.Close()
		m.conn = nil
	}
}

// status asks the process itself.
func (m *member) status(ctx context.Context, f *fleet) (chord.Status, error) {
	if m.conn == nil {
		c, err := rpc.Dial(ctx, m.addr, f.o.cluster, f.keeper)
		if err != nil {
			return chord.Status{}, err
		}
		m.conn = c
	}
	reply, err := m.conn.Call(ctx, chord.GetStatus{})
	if err != nil {
		m.hangUp()
		return chord.Status{}, err
	}
	st, ok := reply.(chord.Status)
	if !ok {
		return st, fmt.Errorf("%s answered a status question with a %T", m.addr, reply)
	}
	return st, nil
}
