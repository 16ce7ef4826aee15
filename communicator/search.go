package communicator

import (
	"context"
	"time"

	"chordtorrent/chord/discovery"
)

const (
	// dialStagger is the head start of one dial over the next.
	dialStagger = 100 * time.Millisecond
	maxDials    = 4
	// queryEvery is how often a round of multicast questions begins; one
	// round takes discovery 6.3 s. A caller that begins to wait begins a new
	// one, but not within eagerQuery.
	queryEvery = 10 * time.Second
	eagerQuery = time.Second
	// resolveEvery is how often the user's list is looked up while nothing
	// on it answers.
	resolveEvery = 5 * time.Second
	// loopbackGrace is how long a member on a loopback address waits for one
	// that is not: LocalAddr is what peers on other machines are told.
	loopbackGrace = 20 * time.Millisecond
	// sideGrace is the same for one that was reached by an address which it does not tell
	// its ring, as that of a bridge for containers on its machine: from there the local
	// address may be one that nobody else can call.
	sideGrace = 100 * time.Millisecond
)

// dialed is the end of one attempt to connect.
type dialed struct {
	addr    string
	c       conn
	members []string // of the ring, as the member says
	front   bool     // it was reached by the address that it tells its ring
	err     error
}

// search races all sources (the user's list, the members known from earlier,
// multicast) and gives the connection to the first member that answers; nil
// when the pool is closed. It goes on for as long as it takes.
func (p *pool) search() conn {
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	results := make(chan dialed)
	var hints <-chan discovery.Hint
	query, step, lookup := time.NewTimer(0), time.NewTimer(0), time.NewTimer(0)
	defer query.Stop()
	defer step.Stop()
	defer lookup.Stop()
	if p.cfg.cast != nil {
		hints = p.cfg.cast.Hints()
		defer p.cfg.cast.StopQuery()
	} else {
		query.Stop()
	}
	if p.cfg.resolve == nil {
		lookup.Stop()
	}
	var asked time.Time
	resolved := make(chan []string)
	flying := 0
	var best conn
	var grace <-chan time.Time
	for {
		select {
		case <-p.ctx.Done():
			if best != nil {
				_ = best.Close()
			}
			return nil
		case <-grace:
			return best
		case r := <-results:
			flying--
			p.attempted(r)
			switch {
			case r.err != nil:
				step.Reset(0)
			case !r.c.LocalAddr().IsLoopback() && r.front:
				if best != nil {
					_ = best.Close()
				}
				return r.c
			case best != nil && best.LocalAddr().IsLoopback() && !r.c.LocalAddr().IsLoopback():
				_ = best.Close()
				best, grace = r.c, time.After(sideGrace)
			case best != nil:
				_ = r.c.Close()
			default:
				best, grace = r.c, time.After(sideGrace)
				if r.c.LocalAddr().IsLoopback() {
					grace = time.After(loopbackGrace)
				}
				step.Reset(0)
			}
		case h, ok := <-hints:
			if !ok {
				hints = nil
			}
			p.heard(h)
			step.Reset(0)
		case <-query.C:
			p.cfg.cast.Query()
			asked = time.Now()
			query.Reset(queryEvery)
		case <-lookup.C:
			p.wg.Go(func() { p.lookUp(ctx, resolved) })
		case addrs := <-resolved:
			p.listed(addrs)
			lookup.Reset(resolveEvery)
			step.Reset(0)
		case <-p.kick:
			p.mu.Lock()
			p.book.hurry(time.Now())
			p.mu.Unlock()
			if p.cfg.cast != nil && time.Since(asked) > eagerQuery {
				query.Reset(0)
			}
			step.Reset(0)
		case <-step.C:
			if flying < maxDials {
				if addr := p.take(best != nil); addr != "" {
					flying++
					p.wg.Go(func() { p.attempt(ctx, addr, results) })
				}
			}
			p.mu.Lock()
			wait, ok := p.book.wait(time.Now())
			p.mu.Unlock()
			if ok && flying < maxDials {
				step.Reset(max(wait, dialStagger))
			}
		}
	}
}

// take picks an address to dial and marks it. With beyond it must not be a
// loopback address, nor one that its member does not tell its ring.
func (p *pool) take(beyond bool) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.book.next(time.Now(), beyond)
	if e == nil {
		return ""
	}
	e.dialing = true
	return e.addr
}

// attempt dials a member, asks it who is in the ring, which shows that it
// answers, and hands the outcome to search, if it still wants it.
func (p *pool) attempt(ctx context.Context, addr string, results chan<- dialed) {
	c, err := p.cfg.dial(ctx, addr)
	r := dialed{addr: addr, c: c, err: err}
	if err == nil {
		if r.members, r.front, r.err = askMembers(ctx, c); r.err != nil {
			_ = c.Close()
		}
	}
	select {
	case results <- r:
	case <-ctx.Done():
		p.mu.Lock()
		if e := p.book.entries[addr]; e != nil {
			e.dialing = false
		}
		p.mu.Unlock()
		if r.err == nil {
			_ = c.Close()
		}
	}
}

func (p *pool) attempted(r dialed) {
	p.mu.Lock()
	if e := p.book.entries[r.addr]; e != nil {
		e.dialing = false
		e.side = r.err == nil && !r.front
	}
	if r.err != nil {
		p.lastErr = r.err
		p.book.failed(r.addr, time.Now(), p.waiting > 0)
	} else {
		p.book.answered(r.addr)
	}
	p.mu.Unlock()
	if r.err != nil {
		p.cfg.log.Debug("ring member does not answer", "addr", r.addr, "err", r.err)
		return
	}
	p.learn(r.members)
}

func (p *pool) lookUp(ctx context.Context, resolved chan<- []string) {
	addrs, err := p.cfg.resolve(ctx)
	if err != nil && ctx.Err() == nil {
		p.cfg.log.Warn("list of ring members cannot be looked up", "err", err)
		p.mu.Lock()
		p.lastErr = err
		p.mu.Unlock()
	}
	select {
	case resolved <- addrs:
	case <-ctx.Done():
	}
}

func (p *pool) listed(addrs []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, addr := range addrs {
		p.book.list(addr, now)
	}
}
