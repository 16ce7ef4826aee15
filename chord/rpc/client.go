package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/secret"
)

// ErrLost means that a Client's connection ended before the answer: whether
// the operation was carried out is unknown.
var ErrLost = errors.New("connection lost")

// Client is a connection to one ring member, for operations of a client. It
// is not made again when it ends: see Done.
type Client struct {
	addr   string
	l      *link
	member chord.Ref

	mu      sync.Mutex
	next    uint64
	pending map[uint64]chan any // reply, Refused, or closed at the end
	closed  bool
	wg      sync.WaitGroup
}

// Dial connects to a member at host:port and shakes hands, as long as ctx and
// its own time limits allow (1 s to connect, 2 s for the handshake). The error
// names the address; errors.Is(err, ErrRefused) when the member does not want
// us, because of another cluster, secret or version, say. keeper is nil for a
// ring without a secret.
func Dial(ctx context.Context, addr, cluster string, keeper *secret.Keeper) (*Client, error) {
	conn, r, theirs, err := dialHello(ctx, addr, Hello{Version: Version, Cluster: cluster}, keeper)
	if err != nil {
		return nil, fmt.Errorf("ring member %s: %w", addr, err)
	}
	c := &Client{
		addr:    addr,
		l:       newLink(conn, r, theirs, true, false),
		member:  theirs.Member,
		pending: make(map[uint64]chan any),
	}
	c.wg.Go(func() { _, _ = c.l.write() })
	c.wg.Go(c.read)
	return c, nil
}

// Addr is the address that was dialed.
func (c *Client) Addr() string { return c.addr }

// LocalAddr is this machine's address towards the member.
func (c *Client) LocalAddr() netip.Addr { return addrPort(c.l.conn.LocalAddr()).Addr() }

// Member says who answered.
func (c *Client) Member() chord.Ref { return c.member }

// Done is closed when the connection is gone: every call fails from then on.
func (c *Client) Done() <-chan struct{} { return c.l.done }

// Close ends the connection; pending calls fail. It is safe to call twice.
func (c *Client) Close() error {
	c.l.fail(net.ErrClosed)
	c.wg.Wait()
	return nil
}

// Call asks the member for one operation (chord.Get, Put, AssignID or
// GetStatus, by value) and waits for its reply (chord.GetReply, PutReply,
// AssignIDReply or Status, by value), which may carry a Code of failure. Any
// number of calls may be under way. The deadline of ctx travels with the
// request. Errors: ctx's, ErrLost, ErrRefused, and those of Encode.
func (c *Client) Call(ctx context.Context, op any) (any, error) {
	if kind, ok := kindOf(op); !ok || roleOf(kind) != request {
		return nil, fmt.Errorf("%w: %T is no client's operation", ErrUnknownKind, op)
	}
	var left time.Duration
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
		if left <= 0 {
			return nil, fmt.Errorf("ring member %s: %w", c.addr, context.DeadlineExceeded)
		}
	}
	id, answer, err := c.begin()
	if err != nil {
		return nil, err
	}
	if err := c.l.out.add(ticket{seq: id}, op, false, left); err != nil {
		c.end(id)
		if errors.Is(err, errBoxClosed) {
			return nil, c.lost()
		}
		return nil, err
	}
	select {
	case <-ctx.Done():
		c.end(id)
		return nil, fmt.Errorf("ring member %s: %w", c.addr, ctx.Err())
	case v, ok := <-answer:
		if !ok {
			return nil, c.lost()
		}
		if no, isNo := v.(Refused); isNo {
			return nil, fmt.Errorf("ring member %s: %w: %s", c.addr, ErrRefused, printable(no.Reason))
		}
		return v, nil
	}
}

// begin takes an id for a call.
func (c *Client) begin() (uint64, <-chan any, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, nil, c.lost()
	}
	c.next++
	answer := make(chan any, 1)
	c.pending[c.next] = answer
	return c.next, answer, nil
}

func (c *Client) end(id uint64) {
	c.mu.Lock()
	delete(c.pending, id)
	c.mu.Unlock()
}

// lost is the error of a call whose connection has ended.
func (c *Client) lost() error {
	<-c.l.done // the reason is known then
	return fmt.Errorf("ring member %s: %w: %w", c.addr, ErrLost, c.l.err)
}

// read hands replies to the calls that wait for them, until the connection
// ends; then it fails the calls that are left.
func (c *Client) read() {
	for {
		f, err := c.l.next()
		if err == nil {
			err = c.deliver(f)
		}
		if err != nil {
			c.l.fail(err)
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for id, answer := range c.pending {
		delete(c.pending, id)
		close(answer)
	}
}

func (c *Client) deliver(f frame) error {
	msg, err := decodeOf(c.l.speaks, f.kind, f.body)
	if err != nil {
		return err
	}
	if no, isNo := msg.(Refused); isNo && !f.reply {
		return fmt.Errorf("%w: %s", ErrRefused, printable(no.Reason))
	} else if !f.reply || (!isNo && roleOf(f.kind) != reply) {
		return fmt.Errorf("%w: number %d from a member to a client", ErrUnknownKind, f.kind)
	}
	c.mu.Lock()
	answer := c.pending[f.id] // nil: its call has given up
	delete(c.pending, f.id)
	c.mu.Unlock()
	if answer != nil {
		answer <- msg
	}
	return nil
}
