package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/secret"
)

// peer is what a Transport knows of another member. Guarded by Transport.mu.
type peer struct {
	links   []*link // usually one; two for a while when both dialed
	waiting *outbox // for a link; non-nil exactly while a dial is under way
	addr    string  // to dial, as the last envelope said
	backoff time.Duration
	retry   time.Time // no dial before it
}

// Send puts an envelope on its way to env.To and never blocks. Without a
// connection it dials env.To.Addr. What cannot go is reported by
// OnUnreachable when it is a request, and forgotten when it is a reply.
func (t *Transport) Send(env chord.Envelope) {
	for {
		box, l, err := t.boxFor(env.To)
		if err == nil {
			tk := ticket{to: env.To, seq: env.Seq, request: !env.Reply}
			err = t.enqueue(box, tk, env)
		}
		switch {
		case err == nil:
			return
		case errors.Is(err, errBoxClosed):
			if l != nil {
				t.detach(l)
			}
			continue
		case errors.Is(err, errQueueFull):
			t.counters.add("queue_full")
		default:
			t.counters.add("unsendable")
			t.log.Debug("ring message not sent", "node", env.To.ID.Short(), "addr", env.To.Addr, "err", err)
		}
		if !env.Reply {
			t.failed.add(ticket{to: env.To, seq: env.Seq})
		}
		return
	}
}

func (t *Transport) enqueue(box *outbox, tk ticket, env chord.Envelope) error {
	if kind, ok := kindOf(env.Body); !ok || roleOf(kind) != message {
		return fmt.Errorf("%w: %T between members", ErrUnknownKind, env.Body)
	}
	return box.add(tk, env.Body, env.Reply, 0)
}

// boxFor gives the outbox where an envelope to that member goes now, and the
// link it belongs to, if any: it dials when there is none.
func (t *Transport) boxFor(to chord.Ref) (*outbox, *link, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return nil, nil, net.ErrClosed
	case to.ID == t.cfg.Self.ID:
		return nil, nil, errors.New("it is addressed to its own sender")
	}
	p := t.peers[to.ID]
	if p == nil {
		p = &peer{}
		t.peers[to.ID] = p
	}
	if to.Addr != p.addr {
		p.addr, p.retry, p.backoff = to.Addr, time.Time{}, 0
	}
	if l := t.preferred(p); l != nil {
		return l.out, l, nil
	}
	if p.waiting != nil {
		return p.waiting, nil, nil
	}
	if time.Now().Before(p.retry) {
		return nil, nil, errors.New("dialing it failed a moment ago")
	}
	p.waiting = newOutbox(true)
	t.wg.Go(func() { t.dial(to) })
	return p.waiting, nil, nil
}

// preferred is the link to send on: of two, both sides choose the one that
// the smaller id dialed.
func (t *Transport) preferred(p *peer) *link {
	for _, l := range p.links {
		if l.dialed == (t.cfg.Self.ID.Compare(l.peer.ID) < 0) {
			return l
		}
	}
	if len(p.links) > 0 {
		return p.links[0]
	}
	return nil
}

// dial connects to a member, and then runs the connection to its end.
func (t *Transport) dial(to chord.Ref) {
	conn, r, theirs, err := dialHello(t.ctx, to.Addr, t.hello, t.cfg.Secret)
	if err == nil && theirs.Member.ID != to.ID {
		_ = conn.Close()
		err = fmt.Errorf("%w: at %s is member %s, not %s", ErrRefused, to.Addr, theirs.Member.ID.Short(), to.ID.Short())
		t.counters.add("wrong_member")
	}
	if err == nil {
		t.runMember(newLink(conn, r, theirs, true, true))
		return
	}
	if t.ctx.Err() == nil {
		t.counters.add("dial_failed")
		t.log.Debug("ring member not reached", "node", to.ID.Short(), "addr", to.Addr, "err", err)
	}
	t.mu.Lock()
	p := t.peers[to.ID]
	box := p.waiting
	p.waiting = nil
	p.backoff = min(max(2*p.backoff, minBackoff), maxBackoff)
	p.retry = time.Now().Add(p.backoff)
	t.mu.Unlock()
	t.giveUp(box.close())
	t.prune()
}

// prune forgets members with whom nothing is going on.
func (t *Transport) prune() {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for id, p := range t.peers {
		if len(p.links) == 0 && p.waiting == nil && now.After(p.retry.Add(time.Minute)) {
			delete(t.peers, id)
		}
	}
}

// dialHello connects to an address as a member or client and shakes hands.
func dialHello(ctx context.Context, addr string, mine Hello, keeper *secret.Keeper) (net.Conn, *frameReader, Hello, error) {
	dctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	d := net.Dialer{KeepAliveConfig: keepAlive, Control: endWhenUnheard}
	raw, err := d.DialContext(dctx, "tcp", addr)
	if err != nil {
		return nil, nil, Hello{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	_ = raw.SetDeadline(time.Now().Add(greetTimeout)) // an error shows in the handshake
	conn, err := secure(ctx, raw, keeper)
	if err != nil {
		_ = raw.Close()
		return nil, nil, Hello{}, err
	}
	r := newFrameReader(conn)
	theirs, err := greet(conn, r, mine)
	err = whyNotTLS(err)
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = conn.Close()
		return nil, nil, Hello{}, err
	}
	return conn, r, theirs, conn.SetDeadline(time.Time{})
}

// unheard is how long what was sent may lack the other machine's receipt before
// the connection counts as broken. Without it the system goes on for a quarter
// of an hour, at ever longer intervals: after a partition of minutes, a new
// connection would work at once, and the old one not for minutes.
const unheard = 5 * time.Second

// keepAlive notices in about 20 s that a machine is gone with whom nothing is
// under way.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 2}

// runMember runs a link to another member to its end.
func (t *Transport) runMember(l *link) {
	t.admitMember(l)
	t.attach(l)
	lost, rest := t.runLink(l, func(f frame) error {
		if roleOf(f.kind) != message {
			return fmt.Errorf("%w: number %d between members", ErrUnknownKind, f.kind)
		}
		if f.reply {
			t.answered(l, f.id)
		}
		msg, err := decodeOf(l.speaks, f.kind, f.body)
		if err != nil {
			return err
		}
		body, ok := msg.(chord.Body)
		if !ok {
			return fmt.Errorf("%w: number %d is not between members", ErrUnknownKind, f.kind)
		}
		if t.cfg.OnEnvelope == nil {
			f.held.give()
			return nil
		}
		t.cfg.OnEnvelope(chord.Envelope{From: l.peer, To: t.cfg.Self, Seq: f.id, Reply: f.reply, Body: body}, f.held.give)
		return nil
	})
	t.giveUp(lost)
	t.mu.Lock()
	var other *link
	var box *outbox
	if p := t.peers[l.peer.ID]; p != nil {
		if other = t.preferred(p); other != nil {
			box = other.out
		} else {
			box = p.waiting
		}
	}
	t.mu.Unlock()
	// With another link that stood beside it, the answer may come by that.
	if asked := l.asked.end(); other == nil || errors.Is(l.err, errReplaced) || !other.asked.add(asked) {
		t.giveUp(asked)
	}
	if box == nil || !box.addBatch(rest) {
		t.giveUp(rest)
	}
	t.prune()
}

// answered notes that a request has its answer, by whichever of the pair's links
// it was sent.
func (t *Transport) answered(l *link, seq uint64) {
	l.asked.remove(seq)
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.peers[l.peer.ID]; p != nil && len(p.links) > 1 {
		for _, other := range p.links {
			other.asked.remove(seq)
		}
	}
}

// attach makes a link known to Send, and ends those that it replaces: one of
// the same direction, or one to an address the member has left.
func (t *Transport) attach(l *link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peers[l.peer.ID]
	if p == nil {
		p = &peer{addr: l.peer.Addr}
		t.peers[l.peer.ID] = p
	}
	p.backoff, p.retry = 0, time.Time{}
	kept := []*link{l}
	for _, old := range p.links {
		if old.dialed == l.dialed || old.peer.Addr != l.peer.Addr {
			old.fail(errReplaced)
			continue
		}
		kept = append(kept, old)
	}
	p.links = kept
	best := t.preferred(p)
	for _, k := range kept {
		if k != best {
			k.demote()
		}
	}
	if p.waiting != nil {
		waiting := p.waiting
		if l.dialed {
			p.waiting = nil
		} else {
			p.waiting = newOutbox(true) // our own dial is still under way
		}
		l.out.addBatch(waiting.close())
	}
}

// detach hides a link from Send.
func (t *Transport) detach(l *link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peers[l.peer.ID]
	if p == nil {
		return
	}
	if i := slices.Index(p.links, l); i >= 0 {
		p.links = slices.Delete(p.links, i, i+1)
	}
}

// giveUp reports frames that will not be delivered, or not be answered.
func (t *Transport) giveUp(b batch) {
	for _, tk := range b.tickets {
		t.counters.add("undelivered")
		if tk.request {
			t.failed.add(tk)
		}
	}
}

// notices carries undeliverable requests to OnUnreachable on a goroutine of
// its own, so that Send never calls back into its caller.
type notices struct {
	wake chan struct{}
	mu   sync.Mutex
	list []ticket
}

func (n *notices) add(t ticket) {
	n.mu.Lock()
	n.list = append(n.list, t)
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *notices) run(ctx context.Context, tell func(chord.Ref, uint64, bool)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		}
		n.mu.Lock()
		list := n.list
		n.list = nil
		n.mu.Unlock()
		if tell == nil {
			continue
		}
		for _, tk := range list {
			tell(tk.to, tk.seq, tk.sent)
		}
	}
}
