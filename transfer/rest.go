package transfer

import (
	"time"

	"chordtorrent/transfer/wire"
)

// A torrent of which nothing is missing rests while nobody is connected: it has no
// swarm, only an entry in the register and one in the calendar of announces. Whoever
// connects wakes it. So a machine can serve many more torrents than anybody fetches.

// restAfter is how long after its last connection a torrent rests: peers that come back
// soon find what is known of them.
const restAfter = time.Minute

// rested is what stays of the swarm of a torrent that rests. It does not change.
type rested struct {
	down, up, wasted int64
	from             []Source
}

// untouched is the rest of all those over which nothing has moved.
var untouched = new(rested)

// wake gives the torrent its swarm, unless it has one; nil when it has ended.
func (t *Torrent) wake() *swarm {
	if t.gone || t.s != nil {
		return t.s
	}
	s := newSwarm(t.l, t)
	if r := t.rest.Load(); r != nil {
		s.down.total, s.up.total, s.wasted = r.down, r.up, r.wasted
		for _, f := range r.from {
			src := &source{addr: f.Addr, id: f.PeerID, url: f.URL, bytes: f.Bytes, gave: true}
			s.sources[src.key()] = src
		}
	}
	t.s = s
	t.rest.Store(nil)
	t.l.swarms[s] = struct{}{}
	return s
}

// drowsy tells whether it rests when some time passes and nobody comes.
func (s *swarm) drowsy() bool { return s.complete() && !s.stopping && len(s.conns) == 0 }

// mayRest tells whether that time has passed and nothing is under way.
func (s *swarm) mayRest() bool {
	return s.drowsy() && s.away == 0 && s.l.now.Sub(s.lonelySince) >= restAfter
}

// rest gives up the swarm and the open files.
func (s *swarm) rest() {
	r := untouched
	if from := s.gave(); len(from) > 0 || s.up.total > 0 || s.down.total > 0 {
		r = &rested{down: s.down.total, up: s.up.total, wasted: s.wasted, from: from}
	}
	t := s.t
	delete(s.l.swarms, s)
	t.s, t.spec.Have = nil, nil
	t.spec.content.Rest()
	t.rest.Store(r)
}

// status is that of a torrent that rests.
func (r *rested) status(t *Torrent) Status {
	total := t.spec.Layout.Total
	st := Status{BytesDone: total, BytesTotal: total, Downloaded: r.down, Uploaded: r.up, Wasted: r.wasted, From: r.from}
	if err := t.Err(); err != nil {
		st.Reason = err.Error()
	}
	return st
}

// progress is what an announce says; on the loop only.
func (t *Torrent) progress() Progress {
	p := Progress{PeerID: t.e.cfg.PeerID, Port: t.e.port}
	if s := t.s; s != nil {
		p.Uploaded, p.Downloaded, p.Left = s.up.total, s.down.total, t.spec.Layout.Total-s.done
		if s.quest != nil {
			p.Left = metadataPart // nobody knows; it is no seed
		}
		if s.left > 0 {
			p.RateDown = s.down.rate
		}
		p.Have = s.have.Shares(256)
		return p
	}
	if r := t.rest.Load(); r != nil {
		p.Uploaded, p.Downloaded = r.up, r.down
	}
	p.Have = everything(t.spec.Layout.NumPieces()).Shares(256)
	return p
}

// everything is every one of n pieces.
func everything(n int) *wire.Bits {
	b := wire.NewBits(n)
	b.SetAll()
	return b
}
