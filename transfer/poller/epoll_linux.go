package poller

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// New returns the best poller of this system: epoll.
func New() (Poller, error) { return NewEpoll() }

type epoll struct {
	fd    int
	wakes int // the eventfd
	known map[int]struct{}
	raw   []unix.EpollEvent
	waker
}

// NewEpoll returns a poller over epoll(7). Wait costs the same with 10 or
// 10,000 idle descriptors.
func NewEpoll() (Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("poller: epoll_create: %w", err)
	}
	wakes, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("poller: eventfd: %w", err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wakes)}
	if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, wakes, &ev); err != nil {
		unix.Close(wakes)
		unix.Close(fd)
		return nil, fmt.Errorf("poller: epoll_ctl: %w", err)
	}
	p := &epoll{fd: fd, wakes: wakes, known: make(map[int]struct{})}
	one := binary.NativeEndian.AppendUint64(nil, 1)
	var count [8]byte
	p.signal = func() { unix.Write(wakes, one) }
	p.drain = func() { unix.Read(wakes, count[:]) }
	p.release = func() { unix.Close(wakes); unix.Close(fd) }
	return p, nil
}

func epollBits(want Interest) uint32 {
	var bits uint32
	if want&Read != 0 {
		bits |= unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if want&Write != 0 {
		bits |= unix.EPOLLOUT
	}
	return bits
}

func (p *epoll) Add(fd int, want Interest) error {
	if p.closed {
		return ErrClosed
	}
	if _, ok := p.known[fd]; ok {
		return ErrKnown
	}
	ev := unix.EpollEvent{Events: epollBits(want), Fd: int32(fd)}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("poller: add descriptor %d: %w", fd, err)
	}
	p.known[fd] = struct{}{}
	return nil
}

func (p *epoll) Modify(fd int, want Interest) error {
	if p.closed {
		return ErrClosed
	}
	if _, ok := p.known[fd]; !ok {
		return ErrUnknown
	}
	ev := unix.EpollEvent{Events: epollBits(want), Fd: int32(fd)}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, fd, &ev); err != nil {
		return fmt.Errorf("poller: modify descriptor %d: %w", fd, err)
	}
	return nil
}

func (p *epoll) Remove(fd int) error {
	if p.closed {
		return ErrClosed
	}
	if _, ok := p.known[fd]; !ok {
		return ErrUnknown
	}
	delete(p.known, fd)
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil); err != nil {
		return fmt.Errorf("poller: remove descriptor %d: %w", fd, err)
	}
	return nil
}

func (p *epoll) Wait(events []Event, timeout time.Duration) (int, error) {
	if p.closed {
		return 0, ErrClosed
	}
	if len(events) == 0 {
		return 0, nil
	}
	// The eventfd may take one of the places; what then does not fit is reported
	// by the next Wait (level-triggered).
	if len(p.raw) < len(events) {
		p.raw = make([]unix.EpollEvent, len(events))
	}
	n, err := unix.EpollWait(p.fd, p.raw[:len(events)], milliseconds(timeout))
	if err == unix.EINTR {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("poller: epoll_wait: %w", err)
	}
	filled := 0
	for _, ev := range p.raw[:n] {
		fd := int(ev.Fd)
		if fd == p.wakes {
			p.woken()
			continue
		}
		failed := ev.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0
		events[filled] = Event{
			FD:       fd,
			Readable: failed || ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP) != 0,
			Writable: failed || ev.Events&unix.EPOLLOUT != 0,
		}
		filled++
	}
	return filled, nil
}

func (p *epoll) Wake() { p.wake() }

func (p *epoll) Close() error {
	if !p.shut() {
		return ErrClosed
	}
	return nil
}
