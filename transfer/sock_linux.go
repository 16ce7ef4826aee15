package transfer

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

func openSocket(family, kind int) (int, error) {
	return unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

func accept(listener int) (int, netip.AddrPort, error) {
	fd, sa, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return -1, netip.AddrPort{}, err
	}
	tune(fd)
	return fd, fromSockaddr(sa), nil
}

// keepShort bounds what the kernel holds of a connection and has not sent yet,
// 128 KiB instead of megabytes: a HAVE or a cancel is not stuck behind them,
// and the two ends of a fast link take turns more finely (1 GiB over loopback
// took 0.5 s with it and 0.7-0.95 s without, at the same cost in CPU). With shallow it
// is a quarter of that.
func keepShort(fd int, shallow bool) {
	most := 128 << 10
	if shallow {
		most = 32 << 10 // a turn is over when half of it is left, see turns.go
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, most)
}

// send writes first and then, which are small, in one call. With more set the kernel
// keeps them back until the block that follows by sendFile, so that a header costs no
// packet of its own.
func send(fd int, first, then []byte, more bool) (int, error) {
	flags := unix.MSG_NOSIGNAL
	if more {
		flags |= unix.MSG_MORE
	}
	return rawSend(fd, first, then, flags)
}

// sendFile moves up to n bytes from a file to a socket inside the kernel. The Go runtime
// is told: a page that resident has seen may still be on its way from a disk, or be gone.
func sendFile(sock, file int, offset int64, n int) (int, error) {
	return unix.Sendfile(sock, file, &offset, n)
}

// receive reads into first and, when that is full, into then, in one call.
func receive(fd int, first, then []byte) (int, error) {
	if len(first) == 0 {
		return rawRead(fd, then)
	}
	if len(then) == 0 {
		return rawRead(fd, first)
	}
	return rawReadv(fd, first, then)
}

// resident tells whether n bytes from off of a file are in memory, so that
// sendFile would not wait for a disk. Where the kernel cannot tell (cachestat
// came with Linux 6.5) one byte in 64 KiB is asked for without waiting; a file
// system that knows neither is taken to be fast.
func resident(file int, off, n int64) bool {
	page := int64(unix.Getpagesize())
	if cached, err := rawCachestat(file, off, n); err == nil {
		return int64(cached.Cache) >= (off+n-1)/page-off/page+1
	}
	var one [1]byte
	for at := off; at < off+n; at += 64 << 10 {
		if _, err := unix.Preadv2(file, [][]byte{one[:]}, at, unix.RWF_NOWAIT); err == unix.EAGAIN {
			return false
		}
	}
	return true
}

// willNeed starts reading without waiting.
func willNeed(file int, off, n int64) { _ = unix.Fadvise(file, off, n, unix.FADV_WILLNEED) }

// roundTrip is the kernel's smoothed measure of the connection.
func roundTrip(fd int) time.Duration {
	info, err := rawTCPInfo(fd)
	if err != nil {
		return defaultRoundTrip
	}
	return time.Duration(info.Rtt) * time.Microsecond
}

// queued is how much memory the packets of a connection take that wait for a link, or for
// the card to have sent them.
func queued(fd int) int {
	info, err := rawMemInfo(fd)
	if err != nil {
		return 0
	}
	return int(info[unix.SK_MEMINFO_WMEM_ALLOC])
}
