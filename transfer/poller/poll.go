//go:build unix

package poller

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// poll keeps the array that poll(2) wants, with a map to find a descriptor in
// it. 0 <= at[fd] < len(set), set[at[fd]].Fd == fd, and set[0] is the waker.
type poll struct {
	set  []unix.PollFd
	at   map[int]int
	next int // where the last Wait stopped filling, so that no place is starved
	waker
}

// NewPoll returns a poller over poll(2). Each Wait costs time in proportion to
// the number of descriptors: the portable choice, not the one for 10,000 of
// them.
func NewPoll() (Poller, error) {
	var ends [2]int
	if err := pipe(&ends); err != nil {
		return nil, fmt.Errorf("poller: pipe: %w", err)
	}
	r, w := ends[0], ends[1]
	p := &poll{
		set: []unix.PollFd{{Fd: int32(r), Events: unix.POLLIN}},
		at:  make(map[int]int),
	}
	var sink [64]byte
	p.signal = func() { unix.Write(w, []byte{1}) }
	p.drain = func() {
		for {
			if n, err := unix.Read(r, sink[:]); n < len(sink) || err != nil {
				return
			}
		}
	}
	p.release = func() { unix.Close(r); unix.Close(w) }
	return p, nil
}

// pipe makes a pipe whose both ends are non-blocking and closed on exec, with
// calls that every Unix has.
func pipe(ends *[2]int) error {
	if err := unix.Pipe(ends[:]); err != nil {
		return err
	}
	for _, fd := range ends {
		unix.CloseOnExec(fd)
		if err := unix.SetNonblock(fd, true); err != nil {
			unix.Close(ends[0])
			unix.Close(ends[1])
			return err
		}
	}
	return nil
}

func pollBits(want Interest) int16 {
	var bits int16
	if want&Read != 0 {
		bits |= unix.POLLIN
	}
	if want&Write != 0 {
		bits |= unix.POLLOUT
	}
	return bits
}

func (p *poll) Add(fd int, want Interest) error {
	if p.closed {
		return ErrClosed
	}
	if _, ok := p.at[fd]; ok {
		return ErrKnown
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return fmt.Errorf("poller: add descriptor %d: %w", fd, err)
	}
	p.at[fd] = len(p.set)
	p.set = append(p.set, unix.PollFd{Fd: int32(fd), Events: pollBits(want)})
	return nil
}

func (p *poll) Modify(fd int, want Interest) error {
	if p.closed {
		return ErrClosed
	}
	i, ok := p.at[fd]
	if !ok {
		return ErrUnknown
	}
	p.set[i].Events = pollBits(want)
	return nil
}

func (p *poll) Remove(fd int) error {
	if p.closed {
		return ErrClosed
	}
	i, ok := p.at[fd]
	if !ok {
		return ErrUnknown
	}
	last := len(p.set) - 1
	p.set[i] = p.set[last]
	p.at[int(p.set[i].Fd)] = i
	p.set = p.set[:last]
	delete(p.at, fd)
	return nil
}

func (p *poll) Wait(events []Event, timeout time.Duration) (int, error) {
	if p.closed {
		return 0, ErrClosed
	}
	if len(events) == 0 {
		return 0, nil
	}
	n, err := unix.Poll(p.set, milliseconds(timeout))
	if err == unix.EINTR {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("poller: poll: %w", err)
	}
	if n > 0 && p.set[0].Revents != 0 {
		p.woken()
		n--
	}
	filled := 0
	watched := len(p.set) - 1
	for i := 0; i < watched && n > 0 && filled < len(events); i++ {
		at := 1 + (p.next+i)%watched
		got := p.set[at].Revents
		if got == 0 {
			continue
		}
		n--
		failed := got&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0
		events[filled] = Event{
			FD:       int(p.set[at].Fd),
			Readable: failed || got&unix.POLLIN != 0,
			Writable: failed || got&unix.POLLOUT != 0,
		}
		filled++
		if filled == len(events) {
			p.next = at % watched
		}
	}
	return filled, nil
}

func (p *poll) Wake() { p.wake() }

func (p *poll) Close() error {
	if !p.shut() {
		return ErrClosed
	}
	return nil
}
