package node

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/discovery"
)

const (
	rejoinEvery  = 30 * time.Second       // between rounds of a member that has company
	firstRetry   = 250 * time.Millisecond // of one that looks for company; doubles up to rejoinEvery
	retryAddress = 2 * time.Second        // the same address is not tried more often
	joinAtOnce   = 4                      // addresses tried side by side
	joinPerRound = 8
	maxHints     = 256
	maxFormer    = 256
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

	kick chan struct{}

	mu     sync.Mutex
	hints  map[chord.ID]discovery.Hint // heard of and not in the view
	former map[chord.ID]string         // were in a view once, or in that of the last run
	tried  map[string]time.Time
}

func newJoiner(self chord.Ref, list discovery.JoinList, known []chord.Ref, dial func(string) error, view func() []presence, log *slog.Logger) *joiner {
	j := &joiner{
		log: log, self: self, list: list, dial: dial, view: view,
		kick:   make(chan struct{}, 1),
		hints:  map[chord.ID]discovery.Hint{},
		former: map[chord.ID]string{},
		tried:  map[string]time.Time{},
	}
	for _, ref := range known {
		j.remember(ref)
	}
	return j
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
	select {
	case j.kick <- struct{}{}:
	default:
	}
}

// remember keeps the address of somebody who is or was a member.
func (j *joiner) remember(ref chord.Ref) {
	if ref.ID == j.self.ID || ref.Addr == "" || ref.Addr == j.self.Addr {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, held := j.former[ref.ID]; !held && len(j.former) >= maxFormer {
		for id := range j.former { // any one makes room
			delete(j.former, id)
			break
		}
	}
	j.former[ref.ID] = ref.Addr
}

// run joins until ctx ends: at once, at every new hint, and every now and
// then.
func (j *joiner) run(ctx context.Context) {
	retry := firstRetry
	all := true
	for {
		j.round(ctx, all)
		wait := retry
		if len(j.view()) > 1 {
			wait, retry = rejoinEvery, firstRetry
		} else {
			retry = min(2*retry, rejoinEvery)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-j.kick:
			all = false
		case <-timer.C:
			all = true
		}
		timer.Stop()
	}
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
	slots := make(chan struct{}, joinAtOnce)
	var wg sync.WaitGroup
	for _, addr := range j.targets(fixed, all, time.Now()) {
		if ctx.Err() != nil {
			break
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := j.dial(addr); err != nil {
				j.log.Debug("cannot join", "addr", addr, "err", err)
			}
		})
	}
	wg.Wait()
}

// targets chooses the addresses of one round and notes that they were tried.
func (j *joiner) targets(fixed []string, all bool, now time.Time) (out []string) {
	inView, current := map[string]bool{j.self.Addr: true}, map[chord.ID]uint64{}
	for _, p := range j.view() {
		inView[p.Addr], current[p.ID] = true, p.Epoch
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	var hinted, former []string
	for id, h := range j.hints {
		if epoch, ok := current[id]; ok && epoch >= h.Epoch {
			delete(j.hints, id) // it came in
			continue
		}
		hinted = append(hinted, h.Addrs...)
	}
	if all {
		for id, addr := range j.former {
			if _, ok := current[id]; !ok {
				former = append(former, addr)
			}
		}
	}
	for addr, at := range j.tried {
		if now.Sub(at) >= retryAddress {
			delete(j.tried, addr)
		}
	}
	for _, from := range [][]string{fixed, hinted, former} {
		rand.Shuffle(len(from), func(a, b int) { from[a], from[b] = from[b], from[a] })
		room := joinPerRound
		for _, addr := range from {
			_, recent := j.tried[addr]
			if room == 0 || recent || inView[addr] {
				continue
			}
			j.tried[addr] = now
			inView[addr] = true
			out = append(out, addr)
			room--
		}
	}
	return out
}
