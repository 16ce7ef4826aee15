package transfer

import (
	"sync/atomic"
	"time"
)

// Stats is what an engine does and has done since it was started, over all torrents, those
// that have ended included. Counts only grow.
type Stats struct {
	Downloaded, Uploaded, Wasted uint64 // bytes of piece data, as in Status
	PiecesVerified, PiecesWrong  uint64 // by their hashes
	Banned                       uint64 // peers and web seeds that sent wrong data
	Drops                        map[string]uint64

	Connections        int   // with peers, those being called included
	Swarms             int   // torrents that do not rest
	BufferUsed         int64 // bytes of pieces in memory, or asked for
	BufferLimit        int64
	LimitDown, LimitUp int64 // bytes per second, 0: none

	Turns     uint64        // of all event loops
	Busy      time.Duration // that the loops took for them, waiting for the network not included
	LongHolds uint64        // handlers that held a loop for more than 50 ms
	Longest   time.Duration // that a handler has held one
}

// counts is what one loop has counted. The loop adds, others read.
type counts struct {
	down, up, wasted        atomic.Int64
	verified, wrong, banned atomic.Uint64
	conns, swarms           atomic.Int64
	turns, longHolds        atomic.Uint64
	busy, longest           atomic.Int64 // nanoseconds
}

// turned notes a turn of the loop that took so long.
func (c *counts) turned(took time.Duration) {
	c.turns.Add(1)
	c.busy.Add(int64(took))
}

// held notes that a handler took so long. Only the loop writes.
func (c *counts) held(took time.Duration) {
	if took > longHold {
		c.longHolds.Add(1)
	}
	if int64(took) > c.longest.Load() {
		c.longest.Store(int64(took))
	}
}

// Stats tells what there is now. It does not wait for the loops.
func (e *Engine) Stats() Stats {
	st := Stats{Drops: e.Drops(), BufferUsed: e.buffers.inUse(), BufferLimit: e.cfg.BufferBytes,
		LimitDown: e.limits.down.value(), LimitUp: e.limits.up.value()}
	for _, l := range e.loops {
		c := &l.counts
		st.Downloaded += uint64(c.down.Load())
		st.Uploaded += uint64(c.up.Load())
		st.Wasted += uint64(c.wasted.Load())
		st.PiecesVerified += c.verified.Load()
		st.PiecesWrong += c.wrong.Load()
		st.Banned += c.banned.Load()
		st.Connections += int(c.conns.Load())
		st.Swarms += int(c.swarms.Load())
		st.Turns += c.turns.Load()
		st.LongHolds += c.longHolds.Load()
		st.Busy += time.Duration(c.busy.Load())
		st.Longest = max(st.Longest, time.Duration(c.longest.Load()))
	}
	return st
}

// came notes bytes of blocks that have come.
func (s *swarm) came(n int) {
	s.down.add(n)
	s.l.counts.down.Add(int64(n))
	s.lastMove = s.l.now
}

// waste notes bytes that came and were of no use.
func (s *swarm) waste(n int64) {
	s.wasted += n
	s.l.counts.wasted.Add(n)
}
