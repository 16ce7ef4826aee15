package node

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/discovery"
	"chordtorrent/chord/rpc"
)

const (
	rejoinEvery  = 30 * time.Second       // between rounds of a member that has company
	rejoinSoon   = 5 * time.Second        // the same, while one was lost not long ago
	notLong      = 10 * time.Minute       // most partitions are over by then
	firstRetry   = 250 * time.Millisecond // of one that looks for company; doubles up to rejoinEvery
	retryAddress = 200 * time.Millisecond // the same member is not tried more often
	joinAtOnce   = 8                      // members dialed side by side
	joinPerRound = 8
	maxHints     = 256
	sayEvery     = time.Minute // while this member is alone because others refuse it
)

// joiner keeps the gossip of one ring together: memberlist forgets whom it
// has lost, so somebody else must go on looking for members that are not in
// the view, of whom --join, multicast, or the past has told.
type joiner struct {
	log  *slog.Logger
	self chord.Ref
	list discovery.JoinList
	dial func(addr string) error // exchanges views; blocks for seconds at worst
	view func() []presence
	// ask speaks to a member as a client does: gossip of another secret is
	// silent, and this says why. May be nil.
	ask func(ctx context.Context, addr string) error

	kick chan struct{}

	mu     sync.Mutex
	hints  map[chord.ID]discovery.Hint // heard of and not in the view
	former *knownMembers               // were in a view once, in this run or before
	tried  map[string]time.Time
	said   time.Time              // when it was told last why a member refuses this one
	lost   map[chord.ID]time.Time // members of former that are not in the view, since when
	// dialing holds the targets, by best address, that are being dialed or
	// wait for one of the slots.
	dialing map[string]bool

	slots chan struct{}
	dials sync.WaitGroup
}

func newJoiner(self chord.Ref, list discovery.JoinList, known *knownMembers, dial func(string) error, view func() []presence, log *slog.Logger) *joiner {
	return &joiner{
		log: log, self: self, list: list, dial: dial, view: view,
		kick:   make(chan struct{}, 1),
		hints:  map[chord.ID]discovery.Hint{},
		former: known,
		tried:  map[string]time.Time{},
		lost:   map[chord.ID]time.Time{},

		dialing: map[string]bool{},
		slots:   make(chan struct{}, joinAtOnce),
	}
}

// hint takes what multicast has heard; it does not block.
func (j *joiner) hint(h discovery.Hint) {
	if h.ID == j.self.ID || (len(h.Addrs) == 0 && !h.Leaving) {
		return
	}
	for _, p := range j.view() {
		if p.ID == h.ID && p.Epoch >= h.Epoch {
			return
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if h.Leaving {
		delete(j.hints, h.ID)
		return
	}
	if _, held := j.hints[h.ID]; !held && len(j.hints) >= maxHints {
		return // whoever is left out is heard again
	}
	j.hints[h.ID] = h
	j.wake()
}

// remember keeps the address of somebody who is or was a member.
func (j *joiner) remember(ref chord.Ref) {
	if ref.ID == j.self.ID || ref.Addr == "" || ref.Addr == j.self.Addr {
		return
	}
	if j.former.add(ref) {
		j.wake() // to write it down
	}
}

func (j *joiner) wake() {
	select {
	case j.kick <- struct{}{}:
	default:
	}
}

// run joins until ctx ends: at once, at every new hint, and every now and
// then. When it returns nothing is dialed any more.
func (j *joiner) run(ctx context.Context) {
	defer j.dials.Wait()
	retry := firstRetry
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.kick: // leaves the timer as it is: hints must not put it off
			if err := j.former.save(); err != nil {
				j.log.Warn("cannot write down the known members", "err", err)
			}
			j.round(ctx, false)
		case <-timer.C:
			j.round(ctx, true)
			if len(j.view()) > 1 {
				timer.Reset(j.pause(time.Now()))
				retry = firstRetry
			} else {
				timer.Reset(retry)
				retry = min(2*retry, rejoinEvery)
			}
		}
	}
}

// pause is the time to the next round of a member that has company: as long as
// somebody was lost a short while ago, that may have been the network's fault,
// which ends.
func (j *joiner) pause(now time.Time) time.Duration {
	inView, current := map[string]bool{}, map[chord.ID]bool{}
	for _, p := range j.view() {
		inView[p.Addr], current[p.ID] = true, true
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	pause := rejoinEvery
	absent := map[chord.ID]time.Time{}
	for _, ref := range j.former.list() {
		// Who has taken over the address is who came instead.
		if current[ref.ID] || inView[ref.Addr] {
			continue
		}
		since, known := j.lost[ref.ID]
		if !known {
			since = now
		}
		absent[ref.ID] = since
		if now.Sub(since) < notLong {
			pause = rejoinSoon
		}
	}
	j.lost = absent
	return pause
}

// round tries some addresses that are not in the view: those of hints, and
// when all is set those of --join and of former members too.
func (j *joiner) round(ctx context.Context, all bool) {
	var fixed []string
	if all {
		var err error
		if fixed, err = j.list.Resolve(ctx); err != nil && ctx.Err() == nil {
			j.log.Warn("cannot resolve a member to join", "err", err)
		}
	}
	for _, member := range j.targets(fixed, all, time.Now()) {
		// Not waited for: an address that swallows packets takes seconds, and
		// the next hint may be a good one.
		j.dials.Go(func() {
			j.slots <- struct{}{}
			defer func() { <-j.slots }()
			j.dialFirst(ctx, member)
			j.mu.Lock()
			delete(j.dialing, member[0])
			j.mu.Unlock()
		})
	}
}

// dialFirst joins by the first address that works.
func (j *joiner) dialFirst(ctx context.Context, member target) {
	for _, addr := range member {
		if ctx.Err() != nil {
			return
		}
		err := j.dial(addr)
		if err == nil {
			return
		}
		j.log.Debug("cannot join", "addr", addr, "err", err)
		j.explain(ctx, addr)
	}
}

// explain tells, of a member that lives and cannot be joined, why it refuses this
// one, while this one is alone.
func (j *joiner) explain(ctx context.Context, addr string) {
	if j.ask == nil || !j.mayTell(false) || len(j.view()) > 1 {
		return
	}
	if err := j.ask(ctx, addr); errors.Is(err, rpc.ErrRefused) && j.mayTell(true) {
		j.log.Warn("alone: a member that was to be joined refuses this one", "addr", addr, "err", err)
	}
}

// mayTell reports whether nobody was told for a while; with tell somebody is now.
// Several members may be dialed side by side.
func (j *joiner) mayTell(tell bool) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if time.Since(j.said) < sayEvery {
		return false
	}
	if tell {
		j.said = time.Now()
	}
	return true
}

// target is one member's addresses, best first.
type target []string

// targets chooses the members of one round and notes that they are dialed.
func (j *joiner) targets(fixed []string, all bool, now time.Time) (out []target) {
	inView, current := map[string]bool{j.self.Addr: true}, map[chord.ID]uint64{}
	for _, p := range j.view() {
		inView[p.Addr], current[p.ID] = true, p.Epoch
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	var listed, hinted, former []target
	for _, addr := range fixed {
		listed = append(listed, target{addr})
	}
	for id, h := range j.hints {
		if epoch, ok := current[id]; ok && epoch >= h.Epoch {
			delete(j.hints, id) // it came in
			continue
		}
		hinted = append(hinted, h.Addrs)
	}
	if all {
		for _, ref := range j.former.list() {
			if _, ok := current[ref.ID]; !ok {
				former = append(former, target{ref.Addr})
			}
		}
	}
	for addr, at := range j.tried {
		if now.Sub(at) >= retryAddress {
			delete(j.tried, addr)
		}
	}
	for _, from := range [][]target{listed, hinted, former} {
		rand.Shuffle(len(from), func(a, b int) { from[a], from[b] = from[b], from[a] })
		room := joinPerRound
		for _, t := range from {
			// A member is known by its best address.
			_, recent := j.tried[t[0]]
			if room == 0 || recent || j.dialing[t[0]] || inView[t[0]] {
				continue
			}
			j.tried[t[0]], j.dialing[t[0]] = now, true
			inView[t[0]] = true
			out = append(out, t)
			room--
		}
	}
	return out
}
