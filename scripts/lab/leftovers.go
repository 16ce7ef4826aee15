package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
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

// Alive reports whether a pid is that of a process, and not of this one. Whatever else has
// got the pid of a maker by now keeps the leftovers for another time: better than to take a
// lab from a program that is only called otherwise than this one.
func Alive(pid string) bool {
	_, err := os.Stat(filepath.Join("/proc", pid))
	return err == nil && pid != strconv.Itoa(os.Getpid())
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
