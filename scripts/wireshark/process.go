package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"chordtorrent/scripts/lab"
)

// start runs a program on a host; it ends with the stage at the latest.
func (s *stage) start(host int, argv ...string) (*lab.Process, error) {
	log := s.path(fmt.Sprintf("%d-%s-%d.log", host, filepath.Base(argv[0]), len(s.cast)))
	p, err := s.lab.Start(host, log, argv...)
	if err == nil {
		s.cast = append(s.cast, p)
	}
	return p, err
}

// logs waits for a word in what a process writes for people.
func logs(p *lab.Process, what string) error {
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(20 * time.Millisecond) {
		if text, err := os.ReadFile(p.Log); err == nil && strings.Contains(string(text), what) {
			return nil
		}
	}
	return fmt.Errorf("%s does not write %q: see %s", p.Name, what, p.Log)
}

// ends waits for the end of a process, which must be a good one.
func ends(p *lab.Process) error {
	select {
	case <-p.Over():
		if code := p.ExitCode(); code != 0 {
			return fmt.Errorf("%s has ended with %d: see %s", p.Name, code, p.Log)
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("%s does not end: see %s", p.Name, p.Log)
	}
}

// end kills all that still runs.
func (s *stage) end() {
	for _, p := range s.cast {
		p.Kill()
	}
}
