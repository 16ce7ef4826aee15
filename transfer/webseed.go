package transfer

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"chordtorrent/transfer/picker"
	"chordtorrent/transfer/storage"
	"chordtorrent/transfer/wire"
)

// Web seeds (BEP 19): HTTP servers that have the files of a torrent. To the picker they
// are peers; but what they are asked for is long runs of pieces, one request at a time
// each, and not before peers have had a moment to come. One that has given less than the
// peers give now is spared: they do without it.
//
// What belongs to the loop is here and in webask.go, what is on a goroutine of its own in
// webfetch.go.

const (
	maxWebSeeds     = 64 // of a torrent; further ones are passed over
	webPatience     = 2 * time.Second
	firstWebBackOff = 5 * time.Second
	lastWebBackOff  = 5 * time.Minute
	longestWebWait  = time.Hour // that a server may ask for
)

// webSeed is a web seed of a torrent.
type webSeed struct {
	s     *swarm
	base  *url.URL
	name  string // the URL without a password
	id    picker.PeerID
	known bool       // the picker knows it
	bits  *wire.Bits // pieces of the files that it has
	from  *source
	down  meter
	gives float64   // bytes per second that its last request brought; 0: not known
	fetch *webFetch // nil: it is not asked for anything

	starved  bool // there was no room for what it could give
	failures int  // in a row
	next     time.Time
	trouble  string // how the last request ended
	never    string // if set: why it is asked no more
	lied     bool   // that is as it sent something wrong
}

// openWeb makes the web seeds of a download.
func (s *swarm) openWeb() {
	if s.complete() {
		return
	}
	seen := make(map[string]bool)
	for _, text := range s.t.spec.WebSeeds {
		base, err := storage.WebSeedURL(text)
		if err != nil {
			s.log.Info("web seed is passed over", "url", text, "err", err)
			continue
		}
		name := base.Redacted()
		if seen[name] || len(s.web) == maxWebSeeds {
			continue
		}
		seen[name] = true
		w := &webSeed{s: s, base: base, name: name, id: s.nextID, bits: everything(s.geo.Pieces), from: &source{url: name}}
		s.sources[w.from.key()] = w.from
		s.nextID++
		s.web = append(s.web, w)
	}
	if len(s.web) == 0 {
		return
	}
	if s.webFrom = s.l.now; s.t.spec.Announcer != nil {
		s.webFrom = s.webFrom.Add(webPatience)
	}
	s.l.wakes()
}

// webWaits tells whether a web seed may be asked, now or later, or that none may be has not
// been noticed yet.
func (s *swarm) webWaits() bool {
	if len(s.web) == 0 && !s.t.spec.OnlyWebSeeds || s.complete() || s.halted() {
		return false
	}
	return s.t.spec.OnlyWebSeeds || slices.ContainsFunc(s.web, func(w *webSeed) bool { return w.never == "" })
}

// webEnded fails a torrent that nobody can give anything to any more.
func (s *swarm) webEnded() {
	if !s.t.spec.OnlyWebSeeds || !s.webWaits() {
		return
	}
	err := errors.New("it has no web seed")
	for _, w := range s.web {
		switch {
		case w.never == "":
			return
		case w.lied:
			err = fmt.Errorf("%w from %s", ErrWrongData, w.name)
		default:
			err = fmt.Errorf("%s: %s", w.name, w.never)
		}
	}
	s.fail(err)
}

// webSeed is the one with this handle that may be asked; nil for none.
func (s *swarm) webSeed(id picker.PeerID) *webSeed {
	for _, w := range s.web {
		if w.id == id && w.known {
			return w
		}
	}
	return nil
}

// end ends the request, well or with the reason why not all has come.
func (w *webSeed) end(err error) {
	s, f := w.s, w.fetch
	w.cancel()
	if took := s.l.now.Sub(f.began); f.got > 0 {
		w.gives = float64(f.got) / max(took, time.Millisecond).Seconds()
	}
	if err != nil {
		w.rest(err)
	}
	s.askWeb()
}

// cancel gives up the request, if there is one.
func (w *webSeed) cancel() {
	f := w.fetch
	if f == nil {
		return
	}
	w.fetch = nil
	f.stop()
	for _, b := range f.left {
		if m := f.pieces[b.Piece]; w.s.partials[b.Piece] == m.p && !m.p.got(b) {
			w.s.pick.Release(w.id, b)
		}
		f.drop(b)
	}
	w.s.wakeAll()
}

// rest leaves it alone for a while, longer each time; or for good.
func (w *webSeed) rest(err error) {
	s := w.s
	var refusal *webRefusal
	wait := backOff(firstWebBackOff, lastWebBackOff, w.failures)
	if errors.As(err, &refusal) {
		wait = max(wait, min(refusal.wait, longestWebWait))
		if refusal.lacks != nil && !w.lose(refusal.lacks.Offset, refusal.lacks.Length) {
			wait = lastWebBackOff
		}
		if refusal.ever {
			w.never = err.Error()
		}
	}
	w.failures++
	w.trouble = err.Error()
	w.next = s.l.now.Add(wait + time.Duration(s.l.rnd.Float64()*float64(wait)/4))
	s.log.Info("web seed failed", "url", w.name, "err", err, "again", w.never == "", "wait", wait)
	w.leave()
}

// lose notes that it has not the pieces of n > 0 bytes of the torrent. When it would have
// none, false: all of them are looked for again some day.
func (w *webSeed) lose(off, n int64) bool {
	size := int64(w.s.geo.PieceLen)
	for i := off / size; i <= (off+n-1)/size; i++ {
		w.bits.Clear(int(i))
	}
	if w.bits.None() {
		w.bits.SetAll()
		return false
	}
	return true
}

// leave takes it out of the picker.
func (w *webSeed) leave() {
	if w.known {
		w.known = false
		w.s.bereft = true
		w.s.pick.RemovePeer(w.id)
	}
}

// dropWeb ends what is asked of web seeds.
func (s *swarm) dropWeb() {
	for _, w := range s.web {
		w.cancel()
		w.leave()
	}
}

// banWeb is ban for a web seed.
func (s *swarm) banWeb(src *source, why reason, of ...any) {
	for _, w := range s.web {
		if w.from == src && w.never == "" {
			s.l.counts.banned.Add(1)
			s.log.Warn("web seed is banned: it "+why.String(), append([]any{"url", w.name}, of...)...)
			s.l.e.drops.count(why)
			w.never, w.lied = why.String(), true
			w.cancel()
			w.leave()
		}
	}
}

// tell enters it into a status as a peer, while it may be asked.
func (w *webSeed) tell(st *Status) {
	if !w.known {
		return
	}
	p := PeerStatus{URL: w.name, Client: "web seed", Outgoing: true, Pieces: w.bits.Count(), Downloaded: w.down.total, RateDown: w.down.rate,
		Choked: true, Wanted: true}
	if w.fetch != nil {
		p.Requests = 1
	}
	st.Peers = append(st.Peers, p)
}

// webTrouble says why nothing comes from a web seed, the last of those that have a reason;
// "" when none has.
func (s *swarm) webTrouble() string {
	words := ""
	for _, w := range s.web {
		why := w.never
		switch {
		case why != "":
		case w.starved:
			why = "all piece buffers are in use by other downloads"
		case w.trouble == "" && w.fetch != nil:
			why = fmt.Sprintf("it is being asked, nothing has come for %d s", int(s.l.now.Sub(w.fetch.heard).Seconds()))
		case w.known && !s.pick.Interesting(w.id):
			why = "it lacks what is missing"
		case w.trouble == "":
			continue
		default:
			why = w.trouble
			if wait := w.next.Sub(s.l.now); wait > 0 {
				why += fmt.Sprintf(", it is asked again in %d s", int(wait.Seconds())+1)
			}
		}
		words = fmt.Sprintf("web seed %s: %s", w.name, why)
	}
	return words
}
