//go:build unix

package poller

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"chordtorrent/scripts/lab"
)

// BenchmarkEcho is a byte that goes between two loops and back, each of which waits
// for it: what a wake-up costs, in time and in CPU of the whole process, system calls
// and the runtime's own threads included.
func BenchmarkEcho(b *testing.B) {
	for name, open := range implementations {
		b.Run(name, func(b *testing.B) { echo(b, open) })
	}
}

func echo(b *testing.B, open func() (Poller, error)) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(fds[0])
	for _, fd := range fds {
		if err := unix.SetNonblock(fd, true); err != nil {
			b.Fatal(err)
		}
	}
	turn := func(p Poller, fd int) {
		var ready [4]Event
		var one [1]byte
		for {
			if n, err := p.Wait(ready[:], time.Second); err != nil {
				b.Error(err)
				return
			} else if n == 0 {
				continue
			}
			if n, _ := unix.Read(fd, one[:]); n <= 0 {
				return
			}
			unix.Write(fd, one[:])
		}
	}
	var ends [2]Poller
	for i := range ends {
		if ends[i], err = open(); err != nil {
			b.Fatal(err)
		}
		defer ends[i].Close()
		if err := ends[i].Add(fds[i], Read); err != nil {
			b.Fatal(err)
		}
	}
	near, far := ends[0], ends[1]
	ended := make(chan struct{})
	go func() { defer close(ended); turn(far, fds[1]); unix.Close(fds[1]) }()
	var ready [4]Event
	one := []byte{1}
	before := lab.CPUTime()
	for b.Loop() {
		unix.Write(fds[0], one)
		for got := 0; got == 0; {
			if got, err = near.Wait(ready[:], time.Second); err != nil {
				b.Fatal(err)
			}
		}
		unix.Read(fds[0], one)
	}
	b.ReportMetric(float64(lab.CPUTime()-before)/float64(b.N), "cpu-ns/op")
	unix.Shutdown(fds[0], unix.SHUT_WR)
	<-ended
}
