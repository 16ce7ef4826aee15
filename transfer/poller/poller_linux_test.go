package poller

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() { implementations["epoll"] = NewEpoll }

// A deadline that has passed before Wait could look hides nothing.
func TestAPassedDeadlineHidesNothing(t *testing.T) {
	made, err := NewEpoll()
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	p := made.(*epoll)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	if _, err := unix.Write(pipe[1], []byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := p.Add(pipe[0], Read); err != nil {
		t.Fatal(err)
	}
	p.until = time.Now().Add(time.Minute) // as if it were the file's, which has passed
	if err := p.file.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	var events [4]Event
	if n, err := p.Wait(events[:], time.Hour); err != nil || n != 1 || events[0].FD != pipe[0] {
		t.Errorf("%d events, %v: %v", n, err, events[:n])
	}
}
