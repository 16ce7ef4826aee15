package transfer

import (
	"net/netip"
	"testing"
)

// TestStatsCountWhatHasHappened: of a download from a liar and an honest peer, also when the
// torrent has gone.
func TestStatsCountWhatHasHappened(t *testing.T) {
	f := makeTorrent(t, 12, 32<<10, 1<<20)
	leech := start(t)
	liar := serve(t, f, 1, spoiled)
	to := leech.add(t, f.leechSpec(t))
	to.AddPeers([]netip.AddrPort{liar.addr})
	until(t, "the ban", func() bool { return leech.drops[wrongPiece].Load() == 1 })
	honest := serve(t, f, 2, nil)
	to.AddPeers([]netip.AddrPort{honest.addr})
	done(t, to)
	told := to.Status()
	stop(t, to)
	st := leech.Stats()
	if st.PiecesVerified != 32 || st.PiecesWrong == 0 || st.Banned != 1 {
		t.Errorf("pieces and bans: %+v", st)
	}
	if st.Downloaded < 1<<20+32<<10 || int64(st.Downloaded) < told.Downloaded || int64(st.Wasted) < told.Wasted || st.Wasted == 0 {
		t.Errorf("bytes: %+v, the torrent says %+v", st, told)
	}
	if st.BufferLimit != 32<<20 || st.Drops[wrongPiece.String()] != 1 {
		t.Errorf("%+v", st)
	}
	until(t, "no connection", func() bool { st := leech.Stats(); return st.Connections == 0 && st.BufferUsed == 0 && st.Swarms == 0 })
	must(t, leech.Close()) // at the end of a turn, so that no handler is counted in one that is not
	if st = leech.Stats(); st.Turns == 0 || st.Longest <= 0 || st.Longest > st.Busy {
		t.Errorf("%+v", st)
	}
}

func TestStatsTellLimits(t *testing.T) {
	e := start(t)
	e.SetLimits(7<<20, 0)
	if st := e.Stats(); st.LimitDown != 7<<20 || st.LimitUp != 0 {
		t.Errorf("%+v", st)
	}
}
