package client

import (
	"context"
	"sync/atomic"

	"chordtorrent/transfer"
)

// Stats is what a client does and has done since it was made.
type Stats struct {
	transfer.Stats
	Ring     Announced // to the ring
	Trackers Announced // to trackers that .torrents and magnet links name
}

// Announced is how many announces have ended, well or not.
type Announced struct{ OK, Failed uint64 }

// Stats tells what there is now. It does not block.
func (c *Client) Stats() Stats {
	st := Stats{Ring: c.told.ring.read(), Trackers: c.told.trackers.read()}
	if engine, err := c.running(); err == nil && engine != nil {
		st.Stats = engine.Stats()
	}
	return st
}

// told counts announces by whom they are made to.
type told struct{ ring, trackers outcomes }

type outcomes struct{ ok, failed atomic.Uint64 }

// note counts an announce that has ended; one that was cut short by its asker says nothing.
func (o *outcomes) note(ctx context.Context, err error) {
	switch {
	case err == nil:
		o.ok.Add(1)
	case ctx.Err() == nil:
		o.failed.Add(1)
	}
}

func (o *outcomes) read() Announced { return Announced{o.ok.Load(), o.failed.Load()} }

// counted is an announcer whose outcomes are counted.
type counted struct {
	transfer.Announcer
	in *outcomes
}

// Announce implements transfer.Announcer.
func (c counted) Announce(ctx context.Context, p transfer.Progress) (transfer.Answer, error) {
	answer, err := c.Announcer.Announce(ctx, p)
	c.in.note(ctx, err)
	return answer, err
}
