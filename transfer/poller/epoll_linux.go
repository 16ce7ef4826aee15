package poller

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

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

	// A goroutine that waits in epoll_wait holds a thread in a system call, and a thread
	// of the Go runtime (sysmon) looks after that one at up to 50,000 times a second. So
	// fd is only asked without waiting, by a call that the runtime is not told of, and to
	// wait the goroutine is parked on fd itself, which the runtime's own epoll watches.
	// The loop's reads and sends are not told either (raw_linux.go in transfer). What that
	// saves twelve clients on links of 10 Mbit/s is in bench/swarm/parked.json.
	parked syscall.RawConn
	file   *os.File           // owns fd
	until  time.Time          // the deadline that file has; zero for none
	look   func(uintptr) bool // lookNow, made once

	room, got int // of lookNow: places in raw, and how many it has filled
	failed    error
}

// NewEpoll returns a poller over epoll(7). Wait costs the same with 10 or
// 10,000 idle descriptors.
func NewEpoll() (Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("poller: epoll_create: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // what NewFile goes by
		unix.Close(fd)
		return nil, fmt.Errorf("poller: epoll descriptor: %w", err)
	}
	p := &epoll{fd: fd, known: make(map[int]struct{}), file: os.NewFile(uintptr(fd), "epoll")}
	p.look = p.lookNow
	if err := p.open(); err != nil {
		p.file.Close()
		return nil, err
	}
	return p, nil
}

func (p *epoll) open() error {
	if err := p.file.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("poller: the runtime does not watch the epoll descriptor: %w", err)
	}
	var err error
	if p.parked, err = p.file.SyscallConn(); err != nil {
		return fmt.Errorf("poller: epoll descriptor: %w", err)
	}
	wakes, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("poller: eventfd: %w", err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wakes)}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, wakes, &ev); err != nil {
		unix.Close(wakes)
		return fmt.Errorf("poller: epoll_ctl: %w", err)
	}
	p.wakes = wakes
	one := binary.NativeEndian.AppendUint64(nil, 1)
	var count [8]byte
	p.signal = func() {
		_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(wakes), uintptr(unsafe.Pointer(&one[0])), uintptr(len(one)))
	}
	p.drain = func() {
		_, _, _ = unix.RawSyscall(unix.SYS_READ, uintptr(wakes), uintptr(unsafe.Pointer(&count[0])), uintptr(len(count)))
	}
	p.release = func() { unix.Close(wakes); p.file.Close() }
	return nil
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
	n, err := p.wait(len(events), timeout)
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

// wait is epoll_wait into p.raw[:room], with the goroutine parked and not its thread.
func (p *epoll) wait(room int, timeout time.Duration) (int, error) {
	p.room = room
	if timeout == 0 {
		p.look(0)
		return p.got, p.failed
	}
	if err := p.wakeBy(timeout); err != nil {
		return 0, err
	}
	// Read looks before it parks. An event between the two is not lost: the runtime watches fd
	// edge-triggered, and remembers an edge until somebody parks.
	if err := p.parked.Read(p.look); errors.Is(err, os.ErrDeadlineExceeded) {
		p.look(0) // the deadline may have passed before it could look
	} else if err != nil {
		return 0, err
	}
	return p.got, p.failed
}

// lookNow asks what is ready now; true when there is something to tell.
func (p *epoll) lookNow(uintptr) bool {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.raw[0])), uintptr(p.room), 0, 0, 0)
	switch errno {
	case 0:
		p.got, p.failed = int(n), nil
		return n > 0
	case unix.EINTR:
		p.got, p.failed = 0, nil
	default:
		p.got, p.failed = 0, errno
	}
	return true
}

// wakeBy sets the deadline for a wait that begins now. One that was set before and is a
// little early is left as it is: setting it costs more than the turn it may cause.
func (p *epoll) wakeBy(timeout time.Duration) error {
	now := time.Now()
	var until time.Time
	if timeout > 0 {
		until = now.Add(time.Duration(milliseconds(timeout)) * time.Millisecond)
	}
	if p.until.Equal(until) || timeout > 0 && p.until.After(now) && !p.until.After(until) {
		return nil
	}
	p.until = until
	return p.file.SetReadDeadline(until)
}

func (p *epoll) Wake() { p.wake() }

func (p *epoll) Close() error {
	if !p.shut() {
		return ErrClosed
	}
	return nil
}
