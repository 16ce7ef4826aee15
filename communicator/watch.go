package communicator

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/discovery"
	"chordtorrent/chord/rpc"
)

const (
	// refreshIdle is how often the member at hand is asked who else there is;
	// refreshBusy how often while calls are under way, which also finds out
	// that it has fallen silent.
	refreshIdle = 30 * time.Second
	refreshBusy = 2 * time.Second
	// silence is how long a member may take to answer that.
	silence = 3 * time.Second
)

// watch asks the member now and then who is in the ring, until the
// connection is gone or the member no longer answers.
func (p *pool) watch(c conn) {
	t := time.NewTimer(refreshBusy)
	defer t.Stop()
	var hints <-chan discovery.Hint
	if p.cfg.cast != nil {
		hints = p.cfg.cast.Hints()
	}
	asked, idle := time.Now(), false
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-c.Done():
			if p.ctx.Err() != nil {
				return
			}
			p.drop(c, fmt.Errorf("%s: %w", c.Addr(), rpc.ErrLost))
			return
		case h, ok := <-hints:
			if !ok {
				hints = nil
			}
			p.heard(h)
		case <-p.busy:
			if idle {
				t.Reset(refreshBusy)
				idle = false
			}
		case <-t.C:
			busy := p.inflight.Load() > 0
			if busy || time.Since(asked) >= refreshIdle {
				if !p.refresh(c) {
					return
				}
				asked = time.Now()
			}
			if idle = !busy; idle {
				t.Reset(refreshIdle)
			} else {
				t.Reset(refreshBusy)
			}
		}
	}
}

// askMembers asks for the addresses of the ring's members, the asked one's
// first. front: that one is reached by the host that it tells the others.
func askMembers(ctx context.Context, c conn) (members []string, front bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	rep, err := c.Call(ctx, chord.GetStatus{})
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w: %w", c.Addr(), errNoReply, err)
	}
	members, front = []string{c.Addr()}, true
	if st, ok := rep.(chord.Status); ok {
		front = sameHost(c.Addr(), st.Self.Addr)
		for _, m := range st.Members {
			if m.Addr != "" && m.Addr != c.Addr() {
				members = append(members, m.Addr)
			}
		}
	}
	return members, front, nil
}

// sameHost reports whether two addresses name one host, as far as can be told from
// numbers.
func sameHost(a, b string) bool {
	x, errA := netip.ParseAddrPort(a)
	y, errB := netip.ParseAddrPort(b)
	return errA != nil || errB != nil || x.Addr().Unmap() == y.Addr().Unmap()
}

// learn notes the ring's members. It is called by keep's goroutine only, and
// writes to the disk: mu is not held then.
func (p *pool) learn(members []string) {
	p.mu.Lock()
	now := time.Now()
	for _, addr := range members {
		p.book.add(addr, now)
	}
	p.mu.Unlock()
	if err := p.cfg.cache.save(members); err != nil {
		p.cfg.log.Warn("cache of ring members cannot be written", "err", err)
	}
}

// refresh learns the ring's members from c and drops c if it does not answer.
func (p *pool) refresh(c conn) bool {
	members, _, err := askMembers(p.ctx, c)
	if p.ctx.Err() != nil {
		return false
	}
	if err != nil {
		p.drop(c, err)
		return false
	}
	p.learn(members)
	return true
}

// heard notes what multicast told.
func (p *pool) heard(h discovery.Hint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, addr := range h.Addrs {
		if h.Leaving {
			p.book.failed(addr, now, false)
		} else {
			p.book.add(addr, now)
		}
	}
}
