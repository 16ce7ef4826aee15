package transfer

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"chordtorrent/transfer/poller"
)

// µTP (BEP 29) is not spoken here, but many clients try it first and wait for its time-out
// before they call by TCP: three seconds, and Transmission without DHT for ever. So who
// calls is told at once that there is nobody, on the UDP port of the listener's number.

const (
	utpVersion    = 1
	utpReset      = 3
	utpSyn        = 4
	utpHeaderLen  = 20
	refusalsATime = 64
)

// utpDoor is that port.
type utpDoor struct {
	l  *loop
	fd int
}

// openUTP takes the port, at the address of the listener, if it can be had; without it
// others only wait longer.
func (l *loop) openUTP(listener int) {
	if err := l.takeUTP(listener); err != nil {
		l.log.Debug("those who try µTP first are not told that there is none", "port", l.e.port, "err", err)
	}
}

func (l *loop) takeUTP(listener int) error {
	name, err := unix.Getsockname(listener)
	if err != nil {
		return err
	}
	fd, err := newSocket(fromSockaddr(name).Addr(), unix.SOCK_DGRAM)
	if err != nil {
		return err
	}
	d := &utpDoor{l: l, fd: fd}
	if err = unix.Bind(fd, name); err == nil {
		err = l.watch(fd, d, poller.Read)
	}
	if err != nil {
		closeFD(fd)
		return err
	}
	l.utp = d
	return nil
}

func (d *utpDoor) readable() {
	for range refusalsATime {
		n, from, err := unix.Recvfrom(d.fd, d.l.scratch, 0)
		if again(err) {
			return
		}
		if err != nil || from == nil {
			continue // of what was sent before, perhaps
		}
		if reset, ok := refuseUTP(d.l.scratch[:n]); ok {
			_ = unix.Sendto(d.fd, reset[:], 0, from) // lost, as a packet may be
		}
	}
}

func (d *utpDoor) writable() {}

func (d *utpDoor) close() { d.l.forget(d.fd) }

// refuseUTP gives the answer to a packet that opens a connection; others get none, so
// that nobody makes two of us talk to each other. It is never longer than the packet.
func refuseUTP(packet []byte) (reset [utpHeaderLen]byte, ok bool) {
	if len(packet) < utpHeaderLen || packet[0] != utpSyn<<4|utpVersion {
		return reset, false
	}
	reset[0] = utpReset<<4 | utpVersion
	copy(reset[2:4], packet[2:4])     // the connection's id
	copy(reset[18:20], packet[16:18]) // acknowledged: its sequence number
	binary.BigEndian.PutUint16(reset[16:], 1)
	return reset, true
}
