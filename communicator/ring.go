package communicator

import (
	"context"
	"time"

	"chordtorrent/chord"
)

// Member is a place on the ring.
type Member struct {
	ID   [chord.IDBytes]byte
	Addr string // host:port of its ring port
}

// Ring is what one member knows about itself and the ring it is part of.
type Ring struct {
	Self    Member // the one that was asked
	State   string // "joining", "member", "leaving"
	Version string // of its program
	Cluster string
	Members []Member // all that it knows of, in ring order, itself included
	HTTP    string   // host:port of its status page; empty: it has none

	Keys, SoftKeys   int   // that it holds
	Bytes            int64 // of the former
	UnderReplicated  int   // keys of its own that fewer members hold than should
	IncompleteRanges int   // ranges that it is still filling
	LastRepair       time.Time
	Trouble          string // why it cannot write to its disk; empty: it can
}

// Ring asks the member at hand how it and the ring are.
func (c *Communicator) Ring(ctx context.Context) (Ring, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	rep, err := c.call(ctx, chord.GetStatus{})
	if err != nil {
		return Ring{}, err
	}
	st := rep.(chord.Status)
	r := Ring{Self: member(st.Self), State: st.State, Version: st.Version, Cluster: st.Cluster, HTTP: st.HTTP,
		Keys: st.Keys, SoftKeys: st.SoftKeys, Bytes: st.Bytes, UnderReplicated: st.UnderReplicated,
		IncompleteRanges: st.IncompleteRanges, Trouble: st.Trouble}
	if st.LastRepair != 0 {
		r.LastRepair = time.UnixMilli(st.LastRepair)
	}
	for _, m := range st.Members {
		r.Members = append(r.Members, member(m))
	}
	return r, nil
}

func member(r chord.Ref) Member { return Member{ID: r.ID, Addr: r.Addr} }
