package transfer

import (
	"net/netip"
	"testing"

	"chordtorrent/transfer/poller"
)

func TestTransfer(t *testing.T) {
	cases := []struct {
		name     string
		pieceLen int64
		sizes    []int
	}{
		{"one byte", 16 << 10, []int{1}},
		{"exactly one piece", 16 << 10, []int{16 << 10}},
		{"exact multiple of the piece length", 32 << 10, []int{20 * 32 << 10}},
		{"last piece is short", 64 << 10, []int{3<<20 + 12345}},
		{"piece length that is no multiple of a block", 40000, []int{1<<20 + 7}},
		{"several files, some empty, borders inside of blocks", 32 << 10, []int{100, 0, 70000, 0, 1, 32 << 10, 200001, 0}},
		{"many tiny files in a block", 16 << 10, repeat(300, 200)},
		{"large pieces", 4 << 20, []int{17 << 20}},
	}
	pollers := map[string]func() (poller.Poller, error){"best": poller.New, "poll": poller.NewPoll}
	for name, open := range pollers {
		for _, c := range cases {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				f := makeTorrent(t, 1, c.pieceLen, c.sizes...)
				on := func(cfg *Config) { cfg.newPoller = open }
				seed, leech := start(t, on), start(t, on)
				from := seed.add(t, f.seedSpec(t))
				spec := f.leechSpec(t)
				to := leech.add(t, spec)
				to.AddPeers([]netip.AddrPort{seed.addr()})
				done(t, to)
				done(t, from)
				f.same(t, spec.Content)
				st := to.Status()
				if st.BytesDone != int64(len(f.data)) || st.Downloaded-st.Wasted != int64(len(f.data)) {
					t.Errorf("status %+v of %d bytes", st, len(f.data))
				}
				if len(st.From) != 1 || st.From[0].Bytes != int64(len(f.data)) || st.From[0].PeerID != seed.PeerID() {
					t.Errorf("from %+v", st.From)
				}
				if up := from.Status().Uploaded; up != int64(len(f.data)) {
					t.Errorf("uploaded %d", up)
				}
				if used := leech.buffers.inUse(); used != 0 {
					t.Errorf("%d bytes of buffers are still handed out", used)
				}
			})
		}
	}
}

func repeat(n, size int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = size + i
	}
	return all
}
