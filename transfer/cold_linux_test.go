package transfer

import (
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Pages that are not in memory are read by a worker before they are sent.
func TestColdFile(t *testing.T) {
	f := makeTorrent(t, 73, 1<<20, 4<<20)
	file, err := os.OpenFile(f.path, os.O_RDWR, 0)
	must(t, err)
	defer file.Close()
	must(t, file.Sync())
	fd := int(file.Fd())
	if !resident(fd, 0, 4<<20) {
		t.Error("a file just written is not in memory")
	}
	must(t, unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED)) // on tmpfs this does nothing
	seed, leech := start(t), start(t)
	seed.add(t, f.seedSpec(t))
	spec := f.leechSpec(t)
	to := leech.add(t, spec)
	to.AddPeers([]netip.AddrPort{seed.addr()})
	done(t, to)
	f.same(t, spec.Content)
	if !resident(fd, 0, 4<<20) {
		t.Error("sent without being read?")
	}
}
