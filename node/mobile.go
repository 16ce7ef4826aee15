package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"chordtorrent/chord"
	"chordtorrent/communicator"
)

// againPause is how long a Mobile waits before it tries again what did not succeed.
const againPause = 2 * time.Second

// Again ends a node, as one whose address is gone has to be, and starts it as the same
// member; of a pool it takes the directory that it had, though another may have become free
// before it. It is as Start, and may be called again after an error.
func (n *Node) Again(ctx context.Context) (*Node, error) {
	// Nobody can take what it holds, by the address that they know. It comes back with
	// all of it at once.
	hasty, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.Close(hasty) // says that nothing was handed over
	cfg := n.cfg.Config
	cfg.DataDir, cfg.DataPool = n.DataDir(), ""
	n.log.Info("starting again at the new address")
	return Start(ctx, cfg)
}

// Mobile is a node within another program, which goes along with its machine: when that
// gets another address the node starts again, as the same member, and calls wait for it. It is
// a communicator.Inside. Its methods may be called from any goroutine.
type Mobile struct {
	log     *slog.Logger
	closing context.Context // ends with Close
	close   context.CancelFunc
	ended   chan struct{} // closed when keep has ended

	mu    sync.Mutex
	node  *Node         // nil: on its way to another address
	local netip.Addr    // of the latest node
	there chan struct{} // closed while node is set
}

// StartMobile is Start for a node that goes along with its machine.
func StartMobile(ctx context.Context, cfg Config) (*Mobile, error) {
	n, err := Start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	m := &Mobile{log: n.log, ended: make(chan struct{}), there: make(chan struct{})}
	m.closing, m.close = context.WithCancel(context.Background())
	m.arrived(n)
	go m.keep(n)
	return m, nil
}

// keep has the node start again whenever it has moved, until Close.
func (m *Mobile) keep(n *Node) {
	defer close(m.ended)
	for {
		select {
		case <-n.Moved():
		case <-m.closing.Done():
			return
		}
		m.gone()
		if n = m.again(n); n == nil {
			return
		}
		m.arrived(n)
	}
}

// again tries until the node is there again; nil after Close. What is in its way, as a program
// that has taken its port meanwhile, may pass.
func (m *Mobile) again(n *Node) *Node {
	for {
		next, err := n.Again(m.closing)
		if err == nil {
			m.log.Info("ready at the new address", "node", next.Ref().ID.String(), "addr", next.Ref().Addr)
			return next
		}
		if m.closing.Err() != nil {
			return nil
		}
		m.log.Warn("the ring member inside cannot start again at the new address, it is tried again", "err", err)
		select {
		case <-time.After(againPause):
		case <-m.closing.Done():
			return nil
		}
	}
}

func (m *Mobile) arrived(n *Node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.node, m.local = n, n.addr()
	close(m.there)
}

func (m *Mobile) gone() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.node, m.there = nil, make(chan struct{})
}

// Call is Node.Call at the node as it is then. It waits while there is none;
// communicator.ErrNoRing means that it waited in vain.
func (m *Mobile) Call(ctx context.Context, op any) (any, error) {
	for {
		n, err := m.current(ctx)
		if err != nil {
			return nil, err
		}
		reply, err := n.Call(ctx, op)
		if errors.Is(err, chord.ErrLeaving) && m.closing.Err() == nil {
			continue // it was taken away in between
		}
		return reply, err
	}
}

func (m *Mobile) current(ctx context.Context) (*Node, error) {
	for {
		m.mu.Lock()
		n, there := m.node, m.there
		m.mu.Unlock()
		if n != nil {
			return n, nil
		}
		select {
		case <-there:
		case <-m.closing.Done():
			return nil, chord.ErrLeaving
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, fmt.Errorf("%w (the one inside is starting again at a new address)", communicator.ErrNoRing)
			}
			return nil, ctx.Err()
		}
	}
}

// Connected says whether the node is there. It does not block.
func (m *Mobile) Connected() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.node != nil
}

// LocalAddr is the address that others know the node by; the last one while it moves.
func (m *Mobile) LocalAddr() netip.Addr {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.local
}

// Close is Node.Close.
func (m *Mobile) Close(ctx context.Context) error {
	m.close()
	<-m.ended
	m.mu.Lock()
	n := m.node
	m.mu.Unlock()
	if n == nil {
		return nil // it had ended, to start again
	}
	return n.Close(ctx)
}
