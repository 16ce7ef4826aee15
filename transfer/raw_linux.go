package transfer

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Calls of the loop that do not tell the Go runtime of it: none of them waits for a disk
// or a peer, and each one told wakes the thread that looks after those that do. See
// poller/epoll_linux.go, which has what was measured.

func rawRead(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return outcome(n, errno)
}

func rawReadv(fd int, first, then []byte) (int, error) {
	iov := iovecs(first, then)
	n, _, errno := unix.RawSyscall(unix.SYS_READV, uintptr(fd), uintptr(unsafe.Pointer(&iov)), uintptr(len(iov)))
	return outcome(n, errno)
}

func rawSend(fd int, first, then []byte, flags int) (int, error) {
	iov := iovecs(first, then)
	message := unix.Msghdr{Iov: &iov[0]}
	message.SetIovlen(len(iov))
	n, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&message)), uintptr(flags))
	return outcome(n, errno)
}

func rawCachestat(file int, off, n int64) (cached unix.Cachestat_t, err error) {
	of := unix.CachestatRange{Off: uint64(off), Len: uint64(n)}
	_, _, errno := unix.RawSyscall6(unix.SYS_CACHESTAT, uintptr(file), uintptr(unsafe.Pointer(&of)), uintptr(unsafe.Pointer(&cached)), 0, 0, 0)
	_, err = outcome(0, errno)
	return cached, err
}

func rawTCPInfo(fd int) (info unix.TCPInfo, err error) {
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	_, err = outcome(0, errno)
	return info, err
}

// rawMemInfo is SO_MEMINFO: see include/uapi/linux/sock_diag.h for what is where.
func rawMemInfo(fd int) (info [9]uint32, err error) {
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	_, err = outcome(0, errno)
	return info, err
}

func iovecs(first, then []byte) (iov [2]unix.Iovec) {
	iov[0].Base, iov[1].Base = unsafe.SliceData(first), unsafe.SliceData(then)
	iov[0].SetLen(len(first))
	iov[1].SetLen(len(then))
	return iov
}

func outcome(n uintptr, errno unix.Errno) (int, error) {
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
