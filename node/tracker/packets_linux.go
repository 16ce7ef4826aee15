package tracker

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchSize is how many packets are read and written by one system call.
const batchSize = 64

// packets reads and writes UDP packets, many in one system call (recvmmsg(2), sendmmsg(2)),
// in memory of its own that it uses again. golang.org/x/net has the same calls, with two
// allocations for each packet's address. It belongs to one goroutine.
type packets struct {
	raw     syscall.RawConn
	in, out [batchSize]mmsghdr
	inVec   [batchSize]unix.Iovec
	outVec  [batchSize]unix.Iovec
	from    [batchSize]unix.RawSockaddrInet6 // as the kernel has it: of IPv4 too
	bufs    [batchSize][maxPacket]byte
	rooms   [batchSize][maxReply]byte
	replies int

	got, sent     int
	errno         unix.Errno
	receive, send func(fd uintptr) bool // made once
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	unix.Msghdr
	n uint32
}

func newPackets(conn *net.UDPConn) (*packets, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	p := &packets{raw: raw}
	for i := range p.in {
		p.inVec[i].Base = &p.bufs[i][0]
		p.inVec[i].SetLen(maxPacket)
		p.in[i].Namelen = unix.SizeofSockaddrInet6
		p.in[i].Name = (*byte)(unsafe.Pointer(&p.from[i]))
		p.in[i].Iov = &p.inVec[i]
		p.in[i].SetIovlen(1)
		p.out[i].Iov = &p.outVec[i]
		p.out[i].SetIovlen(1)
	}
	p.receive = func(fd uintptr) bool {
		p.got, p.errno = mmsg(unix.SYS_RECVMMSG, fd, p.in[:])
		return p.errno != unix.EAGAIN && p.errno != unix.EINTR
	}
	p.send = func(fd uintptr) bool {
		p.sent, p.errno = mmsg(unix.SYS_SENDMMSG, fd, p.out[:p.replies])
		return p.errno != unix.EAGAIN && p.errno != unix.EINTR
	}
	return p, nil
}

func mmsg(call, fd uintptr, messages []mmsghdr) (int, unix.Errno) {
	n, _, errno := unix.Syscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(messages))), uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// read waits for packets and gives how many came; net.ErrClosed when the socket is closed.
func (p *packets) read() (int, error) {
	for i := range p.got { // the last read has written its own
		p.in[i].Namelen = unix.SizeofSockaddrInet6
	}
	p.got, p.replies = 0, 0
	if err := p.raw.Read(p.receive); err != nil {
		return 0, err
	}
	if p.errno != 0 {
		p.got = 0
		return 0, p.errno
	}
	return p.got, nil
}

// packet is the i-th that was read, good until the next read.
func (p *packets) packet(i int) []byte { return p.bufs[i][:min(p.in[i].n, maxPacket)] }

// source is where it comes from.
func (p *packets) source(i int) (ip [16]byte) {
	if from := &p.from[i]; from.Family == unix.AF_INET6 {
		return from.Addr
	}
	four := (*unix.RawSockaddrInet4)(unsafe.Pointer(&p.from[i]))
	copy(ip[:], mapped[:])
	copy(ip[12:], four.Addr[:])
	return ip
}

// room is where the answer to the i-th may be written; longer ones find their own.
func (p *packets) room(i int) []byte { return p.rooms[i][:0] }

// reply has an answer sent by the next write.
func (p *packets) reply(i int, b []byte) {
	vec, out := &p.outVec[p.replies], &p.out[p.replies]
	vec.Base = unsafe.SliceData(b)
	vec.SetLen(len(b))
	out.Name, out.Namelen = p.in[i].Name, p.in[i].Namelen
	p.replies++
}

// write sends the answers. What cannot be sent is left out: who misses it asks again.
func (p *packets) write() {
	for p.replies > 0 {
		if p.raw.Write(p.send) != nil {
			return
		}
		done := max(p.sent, 0)
		if p.errno != 0 {
			done = 1
		}
		// Those that are left move to the front.
		for i := done; i < p.replies; i++ {
			p.out[i-done].Name, p.out[i-done].Namelen = p.out[i].Name, p.out[i].Namelen
			p.outVec[i-done] = p.outVec[i]
		}
		p.replies -= done
	}
}

// sender sends an answer to whoever sent the i-th packet, from any goroutine.
func (p *packets) sender(i int) func(b []byte) {
	raw, to, length := p.raw, p.from[i], p.in[i].Namelen
	return func(b []byte) {
		vec := unix.Iovec{Base: unsafe.SliceData(b)}
		vec.SetLen(len(b))
		one := [1]mmsghdr{{Msghdr: unix.Msghdr{Name: (*byte)(unsafe.Pointer(&to)), Namelen: length, Iov: &vec}}}
		one[0].SetIovlen(1)
		_ = raw.Write(func(fd uintptr) bool { // who misses it asks again
			_, errno := mmsg(unix.SYS_SENDMMSG, fd, one[:])
			return errno != unix.EAGAIN
		})
	}
}
