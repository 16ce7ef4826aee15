package transfer

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

const (
	maxAddresses = 4096 // per torrent; then one that failed makes room for a new one
	firstBackOff = time.Second
	lastBackOff  = 5 * time.Minute
	// comeWithin is how long a seed waits for those it was told of to call it.
	comeWithin = 5 * time.Second
)

// candidate is an address that a peer is said to listen on.
type candidate struct {
	addr     netip.AddrPort
	conn     *conn     // to whoever listens there, in either direction; nil: none
	failures int       // in a row
	covered  bool      // the next call begins with a cover, see cover.go
	next     time.Time // not dialled before
	late     bool      // a seed calls it, once: it was told of it, and it may not come itself
	never    string    // if set: why it is not dialled at all
	trouble  string    // how the last try ended
}

// book is the addresses of one torrent. order is walked round and round, so
// that each gets its turn.
type book struct {
	by      map[netip.AddrPort]*candidate
	order   []*candidate
	at      int
	refused []netip.AddrPort // who could not be called, since the last announce
}

// mostRefused are told of in one announce.
const mostRefused = 20

// refuses notes that nobody took a call.
func (b *book) refuses(a netip.AddrPort) {
	if len(b.refused) < mostRefused && !slices.Contains(b.refused, a) {
		b.refused = append(b.refused, a)
	}
}

func newBook() book { return book{by: make(map[netip.AddrPort]*candidate)} }

func (b *book) add(addrs []netip.AddrPort) {
	for _, a := range addrs {
		b.entry(a)
	}
}

// entry returns the candidate of an address, a new one if need be; nil when it
// is no address to connect to or the book is full.
func (b *book) entry(a netip.AddrPort) *candidate {
	a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	if k := b.by[a]; k != nil {
		return k
	}
	if !a.IsValid() || a.Port() == 0 || a.Addr().IsUnspecified() || a.Addr().IsMulticast() {
		return nil
	}
	if len(b.order) >= maxAddresses && !b.forgetOne() {
		return nil
	}
	k := &candidate{addr: a}
	b.by[a] = k
	b.order = append(b.order, k)
	return k
}

// forgetOne makes room by dropping the address that has failed most often, so
// that a peer which makes up addresses does not keep the real ones out. False
// when none has failed.
func (b *book) forgetOne() bool {
	worst := -1
	for i, k := range b.order {
		if k.conn == nil && k.never == "" && k.failures > 0 && (worst < 0 || k.failures > b.order[worst].failures) {
			worst = i
		}
	}
	if worst < 0 {
		return false
	}
	delete(b.by, b.order[worst].addr)
	b.order = slices.Delete(b.order, worst, worst+1)
	if b.at > worst {
		b.at--
	}
	return true
}

// next returns an address to dial now, nil when there is none.
func (b *book) next(now time.Time, seed bool) *candidate {
	for range b.order {
		k := b.order[b.at%len(b.order)]
		b.at++
		if k.callable(seed) && !now.Before(k.next) {
			return k
		}
	}
	return nil
}

// waiting tells whether any address may be dialled, now or later.
func (b *book) waiting(seed bool) bool {
	return slices.ContainsFunc(b.order, func(k *candidate) bool { return k.callable(seed) })
}

func (k *candidate) callable(seed bool) bool {
	return k.conn == nil && k.never == "" && (k.late || !seed)
}

// expect notes whom a seed was told of.
func (b *book) expect(addrs []netip.AddrPort, now time.Time) {
	for _, a := range addrs {
		k := b.entry(a)
		if k == nil || k.conn != nil || k.late {
			continue
		}
		k.late = true
		if soonest := now.Add(comeWithin); k.next.Before(soonest) {
			k.next = soonest
		}
	}
}

// failed puts the address off, longer each time. jitter in [0, 1) keeps those
// that failed together from coming back together.
func (k *candidate) failed(now time.Time, why string, jitter float64) {
	wait := backOff(firstBackOff, lastBackOff, k.failures)
	k.failures++
	k.trouble = why
	k.next = now.Add(wait + time.Duration(jitter*float64(wait)/2))
}

// backOff is how long to wait after so many failures in a row and one more.
func backOff(first, last time.Duration, failures int) time.Duration {
	return min(first<<min(failures, 16), last)
}

// troubles tells how many addresses could not be used, and of one of them why.
func (b *book) troubles() (tried int, one string) {
	for _, k := range b.order {
		if why := cmp.Or(k.never, k.trouble); why != "" {
			tried++
			one = fmt.Sprintf("%s: %s", k.addr, why)
		}
	}
	return tried, one
}

// putBack has nobody called at an IP address before then.
func (b *book) putBack(ip netip.Addr, until time.Time) {
	for _, k := range b.order {
		if k.addr.Addr() == ip && k.next.Before(until) {
			k.next = until
		}
	}
}
