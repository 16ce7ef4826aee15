//go:build unix

package poller

import (
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const forever = -1

// implementations is extended by the system's own poller where there is one.
var implementations = map[string]func() (Poller, error){"poll": NewPoll, "best": New}

func TestConformance(t *testing.T) {
	cases := []struct {
		name string
		run  func(t *testing.T, p Poller)
	}{
		{"reports what is readable, again and again until it is read", levelTriggered},
		{"reports what is writable only when asked", writable},
		{"modify replaces the interest", modify},
		{"removed descriptors are not reported", remove},
		{"end of stream is readable", endOfStream},
		{"a refused connect is writable", refusedConnect},
		{"a hang-up is reported without any interest", hangUp},
		{"misuse has its own errors", misuse},
		{"a closed descriptor cannot be added", badDescriptor},
		{"the time-out ends a wait", timeOut},
		{"wake ends a wait and counts once", wake},
		{"a wake before the wait is not lost", wakeBefore},
		{"wakes from many goroutines lose no post", wakeStorm},
		{"more ready descriptors than room all get their turn", noStarvation},
		{"wake after close is harmless", wakeAfterClose},
	}
	for name, open := range implementations {
		for _, c := range cases {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				before := openDescriptors(t)
				p, err := open()
				if err != nil {
					t.Fatal(err)
				}
				c.run(t, p)
				p.Close()
				if err := p.Close(); !errors.Is(err, ErrClosed) {
					t.Errorf("second Close: %v", err)
				}
				if after := openDescriptors(t); after != before {
					t.Errorf("descriptors: %d before, %d after", before, after)
				}
			})
		}
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		if names, err := os.ReadDir(dir); err == nil {
			return len(names)
		}
	}
	return 0
}

// pair returns a connected, non-blocking socket pair, closed by the returned
// function.
func pair(t *testing.T) (a, b int, done func()) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if err := unix.SetNonblock(fd, true); err != nil {
			t.Fatal(err)
		}
	}
	return fds[0], fds[1], func() { unix.Close(fds[0]); unix.Close(fds[1]) }
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// look returns what is ready now, by descriptor.
func look(t *testing.T, p Poller, timeout time.Duration) map[int]Event {
	t.Helper()
	var room [16]Event
	n, err := p.Wait(room[:], timeout)
	must(t, err)
	found := make(map[int]Event)
	for _, e := range room[:n] {
		if _, twice := found[e.FD]; twice {
			t.Fatalf("descriptor %d twice in one Wait", e.FD)
		}
		found[e.FD] = e
	}
	return found
}

func levelTriggered(t *testing.T, p Poller) {
	a, b, done := pair(t)
	defer done()
	must(t, p.Add(a, Read))
	if got := look(t, p, 0); len(got) != 0 {
		t.Fatalf("nothing was written, got %v", got)
	}
	_, err := unix.Write(b, []byte("xy"))
	must(t, err)
	for range 2 {
		if got := look(t, p, forever)[a]; !got.Readable || got.Writable {
			t.Fatalf("want readable only, got %+v", got)
		}
		must2(unix.Read(a, make([]byte, 1)))(t)
	}
	if got := look(t, p, 0); len(got) != 0 {
		t.Fatalf("all was read, got %v", got)
	}
	must(t, p.Remove(a))
}

func must2(_ int, err error) func(*testing.T) {
	return func(t *testing.T) { t.Helper(); must(t, err) }
}

func writable(t *testing.T, p Poller) {
	a, b, done := pair(t)
	defer done()
	must(t, p.Add(a, Write))
	if got := look(t, p, forever)[a]; !got.Writable || got.Readable {
		t.Fatalf("want writable only, got %+v", got)
	}
	chunk := make([]byte, 4096)
	for {
		if _, err := unix.Write(a, chunk); err == unix.EAGAIN {
			break
		} else {
			must(t, err)
		}
	}
	if got := look(t, p, 0); len(got) != 0 {
		t.Fatalf("the socket is full, got %v", got)
	}
	for {
		if _, err := unix.Read(b, chunk); err == unix.EAGAIN {
			break
		} else {
			must(t, err)
		}
	}
	if got := look(t, p, forever)[a]; !got.Writable {
		t.Fatalf("want writable again, got %+v", got)
	}
	must(t, p.Remove(a))
}

func modify(t *testing.T, p Poller) {
	a, b, done := pair(t)
	defer done()
	must2(unix.Write(b, []byte("x")))(t)
	must(t, p.Add(a, Read))
	must(t, p.Modify(a, 0))
	if got := look(t, p, 0); len(got) != 0 {
		t.Fatalf("no interest, got %v", got)
	}
	must(t, p.Modify(a, Write))
	if got := look(t, p, forever)[a]; got.Readable || !got.Writable {
		t.Fatalf("want writable only, got %+v", got)
	}
	must(t, p.Modify(a, Read|Write))
	if got := look(t, p, forever)[a]; !got.Readable || !got.Writable {
		t.Fatalf("want both, got %+v", got)
	}
	must(t, p.Remove(a))
}

func remove(t *testing.T, p Poller) {
	a, b, done := pair(t)
	defer done()
	must2(unix.Write(a, []byte("x")))(t)
	must2(unix.Write(b, []byte("x")))(t)
	must(t, p.Add(a, Read))
	must(t, p.Add(b, Read))
	must(t, p.Remove(a))
	got := look(t, p, forever)
	if _, ok := got[a]; ok || !got[b].Readable {
		t.Fatalf("want only %d, got %v", b, got)
	}
	must(t, p.Add(a, Read))
	if got := look(t, p, forever); len(got) != 2 {
		t.Fatalf("want both after adding again, got %v", got)
	}
	must(t, p.Remove(b))
	must(t, p.Remove(a))
}

func endOfStream(t *testing.T, p Poller) {
	a, b, done := pair(t)
	defer done()
	must(t, p.Add(a, Read))
	must(t, unix.Shutdown(b, unix.SHUT_WR))
	if got := look(t, p, forever)[a]; !got.Readable {
		t.Fatalf("want readable, got %+v", got)
	}
	must(t, p.Remove(a))
}

func hangUp(t *testing.T, p Poller) {
	r, w := pipeEnds(t)
	defer unix.Close(r)
	must(t, p.Add(r, 0))
	unix.Close(w)
	if got := look(t, p, forever)[r]; !got.Readable {
		t.Fatalf("want the hang-up as readable, got %+v", got)
	}
	must(t, p.Remove(r))
}

func pipeEnds(t *testing.T) (r, w int) {
	t.Helper()
	var ends [2]int
	must(t, pipe(&ends))
	return ends[0], ends[1]
}

func refusedConnect(t *testing.T, p Poller) {
	// A socket that was bound and not listening gives a port nobody answers on.
	held, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	must(t, err)
	defer unix.Close(held)
	must(t, unix.Bind(held, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	name, err := unix.Getsockname(held)
	must(t, err)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.SetNonblock(fd, true))
	if err := unix.Connect(fd, name); err != unix.EINPROGRESS && err != unix.ECONNREFUSED {
		t.Fatal(err)
	}
	must(t, p.Add(fd, Write))
	if got := look(t, p, forever)[fd]; !got.Writable {
		t.Fatalf("want writable, got %+v", got)
	}
	must(t, p.Remove(fd))
}

func misuse(t *testing.T, p Poller) {
	a, _, done := pair(t)
	defer done()
	if err := p.Modify(a, Read); !errors.Is(err, ErrUnknown) {
		t.Errorf("Modify: %v", err)
	}
	if err := p.Remove(a); !errors.Is(err, ErrUnknown) {
		t.Errorf("Remove: %v", err)
	}
	must(t, p.Add(a, Read))
	if err := p.Add(a, Read); !errors.Is(err, ErrKnown) {
		t.Errorf("Add twice: %v", err)
	}
	if n, err := p.Wait(nil, forever); n != 0 || err != nil {
		t.Errorf("Wait without room: %d, %v", n, err)
	}
	must(t, p.Close())
	if err := p.Add(a, Read); !errors.Is(err, ErrClosed) {
		t.Errorf("Add after Close: %v", err)
	}
	if err := p.Modify(a, Read); !errors.Is(err, ErrClosed) {
		t.Errorf("Modify after Close: %v", err)
	}
	if err := p.Remove(a); !errors.Is(err, ErrClosed) {
		t.Errorf("Remove after Close: %v", err)
	}
	if _, err := p.Wait(make([]Event, 1), 0); !errors.Is(err, ErrClosed) {
		t.Errorf("Wait after Close: %v", err)
	}
}

func badDescriptor(t *testing.T, p Poller) {
	a, _, done := pair(t)
	done()
	if err := p.Add(a, Read); !errors.Is(err, unix.EBADF) {
		t.Errorf("want EBADF, got %v", err)
	}
}

func timeOut(t *testing.T, p Poller) {
	if got := look(t, p, time.Millisecond); len(got) != 0 {
		t.Fatalf("got %v", got)
	}
	if got := look(t, p, 1); len(got) != 0 { // 1 ns is rounded up, not down to a spin
		t.Fatalf("got %v", got)
	}
	if milliseconds(1) != 1 || milliseconds(-5) != -1 || milliseconds(0) != 0 || milliseconds(1<<62) != 1<<30 {
		t.Error("rounding of time-outs")
	}
}

func wake(t *testing.T, p Poller) {
	started := make(chan struct{})
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		close(started)
		if n, err := p.Wait(make([]Event, 4), forever); n != 0 || err != nil {
			t.Errorf("Wait: %d, %v", n, err)
		}
	}()
	<-started
	p.Wake()
	<-returned
	for range 1000 {
		p.Wake()
	}
	look(t, p, forever)
	// All of them were one: this Wait would return early and prove nothing, so
	// ask the descriptor itself.
	a, b, done := pair(t)
	defer done()
	must(t, p.Add(a, Read))
	must2(unix.Write(b, []byte("x")))(t)
	if got := look(t, p, forever); len(got) != 1 {
		t.Fatalf("a wake was left over: %v", got)
	}
	must(t, p.Remove(a))
}

func wakeBefore(t *testing.T, p Poller) {
	p.Wake()
	look(t, p, forever)
}

func wakeStorm(t *testing.T, p Poller) {
	const posters, posts = 8, 500
	inbox := make(chan int, posters*posts)
	var wg sync.WaitGroup
	for range posters {
		wg.Go(func() {
			for i := range posts {
				inbox <- i
				p.Wake()
			}
		})
	}
	seen := 0
	for seen < posters*posts {
		look(t, p, forever)
		for len(inbox) > 0 {
			<-inbox
			seen++
		}
	}
	wg.Wait()
}

func noStarvation(t *testing.T, p Poller) {
	waiting := make(map[int]bool)
	for range 5 {
		a, b, done := pair(t)
		defer done()
		must2(unix.Write(b, []byte("x")))(t)
		must(t, p.Add(a, Read))
		waiting[a] = true
	}
	var room [2]Event
	for turn := 0; len(waiting) > 0; turn++ {
		if turn > 20 {
			t.Fatalf("never reported: %v", waiting)
		}
		n, err := p.Wait(room[:], 0)
		must(t, err)
		for _, e := range room[:n] {
			delete(waiting, e.FD)
		}
	}
}

func wakeAfterClose(t *testing.T, p Poller) {
	must(t, p.Close())
	for range 3 {
		p.Wake()
	}
}
