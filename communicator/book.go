package communicator

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"time"
)

const (
	// maxBook bounds the addresses kept; hints can be forged.
	maxBook = 256
	// A member that did not answer is tried again after firstRetry, then
	// twice as long each time, up to maxRetry, or eagerRetry while a caller
	// waits. After forgetAfter vain attempts in a row it is forgotten, unless
	// the user listed it.
	firstRetry  = 250 * time.Millisecond
	eagerRetry  = time.Second
	maxRetry    = 30 * time.Second
	forgetAfter = 10
)

// book holds the addresses at which ring members may be. It has no lock of
// its own.
type book struct{ entries map[string]*bookEntry }

type bookEntry struct {
	addr     string
	loopback bool
	side     bool // whoever answers there tells its ring another one
	listed   bool // by the user: never forgotten
	dialing  bool
	fails    int
	due      time.Time // not to be dialed before
}

func newBook() book { return book{make(map[string]*bookEntry)} }

// add notes an address; known ones are left as they are.
func (b *book) add(addr string, now time.Time) *bookEntry {
	if e := b.entries[addr]; e != nil {
		return e
	}
	if addr == "" || len(addr) > maxNameBytes {
		return nil
	}
	if len(b.entries) >= maxBook && !b.makeRoom() {
		return nil
	}
	e := &bookEntry{addr: addr, due: now}
	if ap, err := netip.ParseAddrPort(addr); err == nil {
		e.loopback = ap.Addr().IsLoopback()
	}
	b.entries[addr] = e
	return e
}

// list notes an address that the user gave.
func (b *book) list(addr string, now time.Time) {
	if e := b.add(addr, now); e != nil {
		e.listed = true
	}
}

// makeRoom forgets the address that has failed most.
func (b *book) makeRoom() bool {
	var worst *bookEntry
	for _, e := range b.entries {
		if !e.listed && !e.dialing && e.fails > 0 && (worst == nil || e.fails > worst.fails) {
			worst = e
		}
	}
	if worst == nil {
		return false
	}
	delete(b.entries, worst.addr)
	return true
}

// next gives the address to dial now, nil if none is due: those that failed
// least, listed ones and those beyond this machine first, else any. With beyond,
// only such as are neither loopback addresses nor other than their member tells its ring.
func (b *book) next(now time.Time, beyond bool) *bookEntry {
	var best *bookEntry
	ties := 0
	for _, e := range b.entries {
		if e.dialing || e.due.After(now) || (beyond && (e.loopback || e.side)) {
			continue
		}
		order := -1
		if best != nil {
			order = cmp.Or(cmp.Compare(e.fails, best.fails), -compareBool(e.listed, best.listed), compareBool(e.loopback, best.loopback), compareBool(e.side, best.side))
		}
		switch {
		case order < 0:
			best, ties = e, 1
		case order == 0:
			if ties++; rand.IntN(ties) == 0 {
				best = e
			}
		}
	}
	return best
}

// wait is the time until an address becomes due; false if none will.
func (b *book) wait(now time.Time) (time.Duration, bool) {
	var first time.Time
	for _, e := range b.entries {
		if !e.dialing && (first.IsZero() || e.due.Before(first)) {
			first = e.due
		}
	}
	return max(first.Sub(now), 0), !first.IsZero()
}

// failed puts an address off.
func (b *book) failed(addr string, now time.Time, eager bool) {
	e := b.entries[addr]
	if e == nil {
		return
	}
	e.fails++
	if e.fails >= forgetAfter && !e.listed && !e.dialing {
		delete(b.entries, addr)
		return
	}
	pause := min(firstRetry<<min(e.fails-1, 10), maxRetry)
	if eager {
		pause = min(pause, eagerRetry)
	}
	e.due = now.Add(pause*3/4 + rand.N(pause/2))
}

// answered notes that a member is there.
func (b *book) answered(addr string) {
	if e := b.entries[addr]; e != nil {
		e.fails = 0
	}
}

// hurry makes every address due soon: somebody waits.
func (b *book) hurry(now time.Time) {
	for _, e := range b.entries {
		if soon := now.Add(eagerRetry); e.due.After(soon) {
			e.due = soon
		}
	}
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
