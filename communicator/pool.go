package communicator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/discovery"
	"chordtorrent/chord/rpc"
)

// patience is how long a new connection is kept although its member says that
// it cannot reach the others.
const patience = 5 * time.Second

// conn is what the pool wants of an rpc.Client.
type conn interface {
	Caller
	Addr() string
	LocalAddr() netip.Addr
	Done() <-chan struct{}
	Close() error
}

// caster is what the pool wants of a discovery.Multicast.
type caster interface {
	Query() // asks now and a few times more, until StopQuery
	StopQuery()
	Hints() <-chan discovery.Hint
	Close() error
}

// poolConfig is how a pool reaches the outside.
type poolConfig struct {
	dial    func(ctx context.Context, addr string) (conn, error)
	resolve func(ctx context.Context) ([]string, error) // members listed by the user; nil: none
	cast    caster                                      // nil: no multicast
	cache   memberCache
	log     *slog.Logger
}

// pool is a Caller that keeps a connection to one ring member, knows several
// others, and moves on to them without its callers noticing. One goroutine,
// keep, owns the search for members; everything shared is under mu.
type pool struct {
	cfg      poolConfig
	inflight atomic.Int64
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	kick     chan struct{} // a caller waits for a connection
	busy     chan struct{} // the first call of a busy time begins

	mu      sync.Mutex
	cur     conn          // nil: none at hand
	since   time.Time     // when cur was set
	ready   chan struct{} // closed while cur is set
	waiting int           // callers that wait for a connection
	local   netip.Addr    // of the latest connection
	book    book
	lastErr error // of the latest vain attempt to connect
}

func newPool(cfg poolConfig) *pool {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pool{
		cfg: cfg, ctx: ctx, cancel: cancel,
		kick: make(chan struct{}, 1), busy: make(chan struct{}, 1),
		ready: make(chan struct{}), book: newBook(),
	}
	for _, addr := range cfg.cache.load() {
		p.book.add(addr, time.Now())
	}
	p.wg.Go(p.keep)
	return p
}

// Close ends the connection and the search.
func (p *pool) Close() error {
	p.cancel()
	p.mu.Lock()
	cur := p.cur
	p.mu.Unlock()
	if cur != nil {
		_ = cur.Close()
	}
	var err error
	if p.cfg.cast != nil {
		err = p.cfg.cast.Close()
	}
	p.wg.Wait()
	return err
}

// LocalAddr is the local end of the latest connection.
func (p *pool) LocalAddr() netip.Addr {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.local
}

// Connected says whether there is a connection.
func (p *pool) Connected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cur != nil
}

// Call implements Caller. An operation whose connection dies is sent again to
// another member: it may then be carried out twice, which does no harm as all
// operations are reads or idempotent updates of maps (the second AssignID of
// a pair merely wastes a number).
func (p *pool) Call(ctx context.Context, op any) (any, error) {
	for {
		c, err := p.current(ctx)
		if err != nil {
			return nil, err
		}
		if p.inflight.Add(1) == 1 {
			signal(p.busy)
		}
		rep, err := c.Call(ctx, op)
		p.inflight.Add(-1)
		switch {
		case err == nil:
			p.judge(c, replyCode(rep))
			return rep, nil
		case ctx.Err() != nil:
			return nil, err
		case errors.Is(err, rpc.ErrLost) || isDone(c):
			p.drop(c, err)
		default:
			return nil, err
		}
	}
}

var (
	errLeaves  = errors.New("member is leaving the ring")
	errCutOff  = errors.New("member cannot reach enough of the ring")
	errNoReply = errors.New("member does not answer")
)

// judge moves on from a member whose answers say that another may do better:
// it is leaving, or it cannot reach the others. The latter may be the ring's
// fault and not this member's, so nobody is given up for it within patience.
func (p *pool) judge(c conn, code chord.Code) {
	switch code {
	case chord.CodeLeaving:
		p.drop(c, errLeaves)
	case chord.CodeUnavailable:
		p.mu.Lock()
		old := time.Since(p.since) >= patience && len(p.book.entries) > 1
		p.mu.Unlock()
		if old {
			p.drop(c, errCutOff)
		}
	}
}

func isDone(c conn) bool {
	select {
	case <-c.Done():
		return true
	default:
		return false
	}
}

// current waits until there is a connection.
func (p *pool) current(ctx context.Context) (conn, error) {
	p.mu.Lock()
	for p.cur == nil {
		ready := p.ready
		p.waiting++
		p.mu.Unlock()
		signal(p.kick)
		var err error
		select {
		case <-ready:
		case <-ctx.Done():
			err = ctx.Err()
		case <-p.ctx.Done():
			err = ErrClosed
		}
		p.mu.Lock()
		p.waiting--
		if err != nil {
			last := p.lastErr
			p.mu.Unlock()
			if errors.Is(err, context.DeadlineExceeded) {
				if last != nil {
					return nil, fmt.Errorf("%w (%w)", ErrNoRing, last)
				}
				return nil, ErrNoRing
			}
			return nil, err
		}
	}
	c := p.cur
	p.mu.Unlock()
	return c, nil
}

// connected makes c the connection at hand; false if the pool is closed.
func (p *pool) connected(c conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return false
	}
	p.cur, p.since, p.local, p.lastErr = c, time.Now(), c.LocalAddr(), nil
	close(p.ready)
	return true
}

// drop gives a connection up. Its calls end with rpc.ErrLost and move on.
func (p *pool) drop(c conn, why error) {
	p.mu.Lock()
	mine := p.cur == c
	if mine {
		p.cur = nil
		p.ready = make(chan struct{})
		p.book.failed(c.Addr(), time.Now(), p.waiting > 0)
		p.lastErr = why
	}
	p.mu.Unlock()
	if mine {
		p.cfg.log.Info("connection to the ring given up", "addr", c.Addr(), "err", why)
		_ = c.Close()
	}
}

// keep finds a member, watches over the connection, and finds another one
// when it is gone, until Close.
func (p *pool) keep() {
	for {
		c := p.search()
		if c == nil {
			return
		}
		if !p.connected(c) {
			_ = c.Close()
			return
		}
		p.cfg.log.Info("connected to the ring", "addr", c.Addr())
		p.watch(c)
		if p.ctx.Err() != nil {
			_ = c.Close()
			return
		}
	}
}

// signal wakes whoever waits on a channel of capacity one, without blocking.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
