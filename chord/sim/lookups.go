package sim

import (
	"time"

	"chordtorrent/chord"
)

// lookup asks a member for the owner of a place. If the member dies first there
// is no answer.
func (w *World) lookup(h *host, target chord.ID, then func(chord.LookupReply)) {
	w.tokens++
	token := w.tokens
	w.asked[token] = then
	w.call(h, func(m *chord.Member) { m.Do(w.now, token, chord.Lookup{Target: target}) })
}

// try looks up a random place from a random member, once, and tells whether the
// answer is right: it names the member that was the owner when it was asked, or
// is when it is answered.
func (w *World) try(then func(r chord.LookupReply, right bool)) {
	h, target := w.anybody(), w.place()
	if h == nil {
		return
	}
	before := w.ring.owner(target)
	w.lookup(h, target, func(r chord.LookupReply) {
		right := r.Code == chord.CodeOK && (r.Owner.ID == before || r.Owner.ID == w.ring.owner(target)) && w.hosts[w.byID[r.Owner.ID]].in
		then(r, right)
	})
}

// keepAsking looks up keys at the configured rate, and counts.
func (w *World) keepAsking() {
	pause := time.Second / time.Duration(w.cfg.LookupsPerSec)
	var ask func()
	ask = func() {
		if w.on {
			w.try(w.countLookup)
		}
		w.in(pause, ask)
	}
	w.in(pause, ask)
}

// Recovery is how a ring came back after many died at once.
type Recovery struct {
	Members  int     `json:"members"`
	Killed   int     `json:"killed"`
	Seed     uint64  `json:"seed"`
	RightSec float64 `json:"right_after_sec"` // virtual seconds until every lookup was right, and stayed so
	// FirstRight is the share of right lookups in the first second.
	FirstRight float64 `json:"first_second_right_ratio"`
	Checked    int     `json:"lookups_checked"` // after RightSec, all right
	WallSec    float64 `json:"wall_sec"`
}

const (
	probes      = 2000            // lookups in each second of a recovery
	calmSeconds = 20              // that have to be right in a row
	recoverMax  = 5 * time.Minute // after which it is given up
)

// recover kills half of the members in one moment and watches until every lookup
// is right again.
func (w *World) recover() (r Recovery) {
	r = Recovery{Members: w.ring.size, Seed: w.cfg.Seed}
	for r.Killed < r.Members/2 {
		w.kill(w.anybody())
		r.Killed++
	}
	began, calm := w.now, 0
	for w.now.Sub(began) < recoverMax && calm < calmSeconds {
		at := w.now
		asked, right := 0, 0
		for range probes {
			asked++
			w.try(func(_ chord.LookupReply, ok bool) {
				if ok {
					right++
				}
			})
		}
		w.run(time.Second)
		// One whose answer is still due is not right: it took over a second.
		if at == began {
			r.FirstRight = float64(right) / float64(asked)
		}
		if right < asked {
			calm, r.Checked = 0, 0
			r.RightSec = w.now.Sub(began).Seconds()
			continue
		}
		calm++
		r.Checked += asked
	}
	if calm < calmSeconds {
		r.RightSec = -1
	}
	return r
}
