package lab

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Machine says where figures come from.
type Machine struct {
	CPU    string  `json:"cpu"`
	Cores  int     `json:"cores"`
	Load   float64 `json:"load_average_at_start"` // others may be using it too
	Commit string  `json:"commit"`
	Date   string  `json:"date"`
}

// ThisMachine describes this one.
func ThisMachine(commit string) Machine {
	m := Machine{Cores: runtime.NumCPU(), Commit: commit, Date: time.Now().UTC().Format(time.RFC3339)}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		first, _, _ := strings.Cut(string(text), " ")
		m.Load, _ = strconv.ParseFloat(first, 64)
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, found := strings.CutPrefix(line, "model name"); found {
				m.CPU = strings.Trim(name, " \t:\n")
				break
			}
		}
	}
	return m
}

// CPUTime is what this process has used, on all cores: on a machine that others use too,
// time by the clock says little.
func CPUTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it knows no reason to fail
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
