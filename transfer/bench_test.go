package transfer

import (
	"net/netip"
	"testing"
)

// BenchmarkTransfer moves one torrent over loopback between two engines of this
// process: socket, SHA-1 and file on both ends share the machine's cores. Run it
// with TMPDIR on a tmpfs to leave the disk out.
func BenchmarkTransfer(b *testing.B) {
	cases := []struct {
		name     string
		size     int
		requests int
	}{
		{"1GiB", 1 << 30, largestRequest},
		{"1GiB/16KiB requests", 1 << 30, blockLen},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			f := makeTorrent(b, 1, 1<<20, c.size)
			b.SetBytes(int64(c.size))
			seed := start(b)
			seed.add(b, f.seedSpec(b))
			for b.Loop() {
				b.StopTimer()
				leech := start(b)
				leech.askAtMost = c.requests
				spec := f.leechSpec(b)
				b.StartTimer()
				to := leech.add(b, spec)
				to.AddPeers([]netip.AddrPort{seed.addr()})
				done(b, to)
				b.StopTimer()
				stop(b, to)
				leech.Close()
				spec.Content.Close()
				b.StartTimer()
			}
		})
	}
}
