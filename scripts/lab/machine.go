package lab

import (
	"fmt"
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

// CPUTimeOf is what a process and its ended children have used, on all cores
// (proc_pid_stat(5), which counts in hundredths of a second).
func CPUTimeOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	const first, last = 11, 14 // utime, stime, cutime, cstime
	if len(fields) <= last {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	var ticks int64
	for _, f := range fields[first : last+1] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// MemoryOf is what a process has in memory, in KiB: all, and what no file backs.
func MemoryOf(pid int) (resident, anonymous int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		for name, to := range map[string]*int64{"VmRSS:": &resident, "RssAnon:": &anonymous} {
			if rest, found := strings.CutPrefix(line, name); found && err == nil {
				_, err = fmt.Sscan(rest, to)
			}
		}
	}
	return resident, anonymous, err
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

// Use is what the cores of this machine have done since it was started, in ticks.
type Use struct{ busy, all int64 }

// MachineUse reads it (proc_stat(5)).
func MachineUse() (u Use, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return u, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(strings.TrimPrefix(line, "cpu "))
	const idle, iowait, steal = 3, 4, 7 // behind that is the time of guests, which is in the first two as well
	if len(fields) <= steal {
		return u, fmt.Errorf("/proc/stat begins with %q", line)
	}
	for i, f := range fields[:steal+1] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return u, fmt.Errorf("/proc/stat: %w", err)
		}
		u.all += n
		if i != idle && i != iowait {
			u.busy += n
		}
	}
	return u, nil
}

// Since is the part of the time that the cores were busy, from 0 to 1: with what runs here,
// and with what their owner has taken away from a virtual machine.
func (u Use) Since(before Use) float64 {
	if u.all == before.all {
		return 0
	}
	return float64(u.busy-before.busy) / float64(u.all-before.all)
}
