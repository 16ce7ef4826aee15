package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Leftovers removes the namespaces of earlier runs that were themselves killed, and names
// them: names carry the pid of their maker behind what kind of lab it is.
func (l Lab) Leftovers() ([]string, error) {
	names, err := exec.Command("ip", "netns", "list").Output()
	if err != nil {
		return nil, err
	}
	gone := orphans(string(names), strings.TrimRight(l.Prefix, "0123456789"), Alive)
	for _, name := range gone {
		if err := run("ip", "netns", "del", name); err != nil {
			return nil, err
		}
	}
	return gone, nil
}

// Alive reports whether a pid is that of a process which runs the same program as this one.
func Alive(pid string) bool {
	self, err := comm("self")
	if err != nil {
		return false
	}
	maker, err := comm(pid)
	return err == nil && maker == self
}

// orphans are those of a kind of lab whose makers are not alive.
func orphans(names, kind string, alive func(pid string) bool) (gone []string) {
	for _, m := range regexp.MustCompile(`(?m)^(`+regexp.QuoteMeta(kind)+`(\d+)-\S+)`).FindAllStringSubmatch(names, -1) {
		if !alive(m[2]) {
			gone = append(gone, m[1])
		}
	}
	return gone
}

// comm is the name of the program that a process runs.
func comm(pid string) (string, error) {
	b, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
	return strings.TrimSpace(string(b)), err
}
