package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/secret"
)

// TransportConfig is what a member's Transport needs to know. The callbacks
// come from the goroutines of the connections, several at a time: whoever
// blocks in one stalls the connection it is about, and no other.
type TransportConfig struct {
	Self    chord.Ref
	Cluster string
	Secret  *secret.Keeper // nil: none
	Log     *slog.Logger   // nil: silence

	// OnEnvelope gets what other members send, and calls done once the message
	// no longer takes memory: until then it counts against MaxMemory. done may
	// be called from any goroutine and does not block.
	OnEnvelope func(env chord.Envelope, done func())
	// OnUnreachable is told of requests, never of replies, to which there will be
	// no answer: they could not be delivered or, if sent, the connection that they
	// went out on has ended, and they may have arrived. It is never called during
	// Send. No call does not mean that the request arrived.
	OnUnreachable func(to chord.Ref, seq uint64, sent bool)
	// OnRequest gets clients' operations. nil refuses clients.
	OnRequest func(Request)

	MaxInbound int // connections accepted at a time; 0 means 4096
	MaxClients int // of them, those of clients; 0 means 3072
	// MaxMemory bounds the bytes of messages that others have sent and that
	// are not done with, and of replies to clients that are not written: half
	// of it is for clients. Whoever sends more is not read for a while. 0
	// means 256 MiB. Each connection has up to 100 KiB of its own besides.
	MaxMemory int64
}

// Request is a client's operation.
type Request struct {
	From     netip.AddrPort
	Op       any // chord.Get, chord.Put, chord.AssignID or chord.GetStatus
	Deadline time.Time
	Gone     <-chan struct{} // closed when the client's connection has ended
	// Reply sends the answer, a reply struct by value. Any goroutine may call
	// it; it does not block, and counts once.
	Reply func(reply any)
}

// Timings of dialing other members.
const (
	dialTimeout  = time.Second
	greetTimeout = 2 * time.Second
	minBackoff   = 50 * time.Millisecond // after a dial that failed; doubles
	maxBackoff   = 500 * time.Millisecond
)

// Transport carries a member's messages and takes clients' requests. Between
// two members it uses one connection for both directions; when both dial at
// once there are two for a while, of which both prefer the one that the
// member with the smaller id dialed.
type Transport struct {
	cfg      TransportConfig
	log      *slog.Logger
	hello    Hello
	counters counters
	budgets  budgets

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	failed notices

	mu        sync.Mutex
	closed    bool
	peers     map[chord.ID]*peer
	links     map[*link]struct{}
	listeners map[net.Listener]struct{}
	inbound   int
	clients   int
}

// NewTransport makes a Transport that can Send at once; Serve lets others in.
func NewTransport(cfg TransportConfig) *Transport {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.MaxInbound <= 0 {
		cfg.MaxInbound = 4096
	}
	if cfg.MaxClients <= 0 {
		cfg.MaxClients = 3072
	}
	if cfg.MaxMemory <= 0 {
		cfg.MaxMemory = defaultMemory
	}
	t := &Transport{
		budgets:   newBudgets(cfg.MaxMemory),
		cfg:       cfg,
		log:       cfg.Log,
		hello:     Hello{Version: Version, Cluster: cfg.Cluster, Member: cfg.Self},
		peers:     make(map[chord.ID]*peer),
		links:     make(map[*link]struct{}),
		listeners: make(map[net.Listener]struct{}),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.failed.wake = make(chan struct{}, 1)
	t.wg.Go(func() { t.failed.run(t.ctx, cfg.OnUnreachable) })
	return t
}

// Counters tells what went wrong so far, by reason.
func (t *Transport) Counters() map[string]uint64 { return t.counters.snapshot() }

// Serve accepts connections whose Magic was read already, as those of
// Splitter.RPC are, until ln or the Transport closes; then it returns nil.
// Any other error of ln is returned.
func (t *Transport) Serve(ln net.Listener) error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return ln.Close()
	}
	t.listeners[ln] = struct{}{}
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		delete(t.listeners, ln)
		t.mu.Unlock()
	}()
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("accepting ring connections on %s: %w", ln.Addr(), err)
		}
		t.accept(conn)
	}
}

// accept lets a connection in, if there is room.
func (t *Transport) accept(conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.inbound >= t.cfg.MaxInbound {
		if !t.closed {
			t.counters.add("too_many_connections")
		}
		_ = conn.Close()
		return
	}
	t.inbound++
	t.wg.Go(func() {
		t.inboundConn(conn)
		t.mu.Lock()
		t.inbound--
		t.mu.Unlock()
	})
}

// inboundConn serves an accepted connection from its Hello to its end.
func (t *Transport) inboundConn(conn net.Conn) {
	stop := context.AfterFunc(t.ctx, func() { _ = conn.Close() })
	r := newFrameReader(conn)
	_ = conn.SetDeadline(time.Now().Add(helloTimeout)) // an error shows in the first read
	client := false
	theirs, err := welcome(conn, r, t.hello, func(h Hello) string {
		reason := t.unwanted(h)
		client = reason == "" && h.Member.IsZero()
		return reason
	})
	if client {
		defer t.forgetClient()
	}
	stop()
	if err != nil {
		t.counters.add("hello_" + endReason(err))
		t.log.Debug("ring connection not taken", "addr", conn.RemoteAddr(), "err", err)
		_ = conn.Close()
		return
	}
	_ = conn.SetDeadline(time.Time{})
	l := newLink(conn, r, theirs, false, !client)
	if client {
		t.admitClient(l)
		t.runLink(l, t.clientFrames(l))
		return
	}
	t.runMember(l)
}

// unwanted says why somebody of our cluster is not let in. A client that is
// gets its place.
func (t *Transport) unwanted(h Hello) string {
	if h.Member.ID == t.cfg.Self.ID && !h.Member.IsZero() {
		return "it has the same member id as you: no two members may share a data directory or a copy of one"
	}
	if !h.Member.IsZero() {
		return ""
	}
	if t.cfg.OnRequest == nil {
		return "it does not serve clients"
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.clients >= t.cfg.MaxClients {
		t.counters.add("too_many_clients")
		return "it serves as many clients as it can: ask another member"
	}
	t.clients++
	return ""
}

func (t *Transport) forgetClient() {
	t.mu.Lock()
	t.clients--
	t.mu.Unlock()
}

// runLink runs both directions of a link to its end and gives what was not
// sent. handle gets each frame and gives back what it holds, unless it fails:
// that ends the link.
func (t *Transport) runLink(l *link, handle func(frame) error) (lost, rest batch) {
	t.mu.Lock()
	if t.closed {
		l.fail(net.ErrClosed)
	}
	t.links[l] = struct{}{}
	t.mu.Unlock()

	written := make(chan struct{})
	go func() {
		lost, rest = l.write()
		close(written)
	}()
	for {
		f, err := l.next()
		switch {
		case err != nil:
		case l.unheardOf(f.kind): // as if it were lost
			t.counters.add("newer_message")
			f.held.give()
		default:
			err = handle(f)
		}
		if err != nil {
			f.held.give()
			l.fail(err)
			break
		}
	}
	t.mu.Lock()
	delete(t.links, l)
	t.mu.Unlock()
	t.detach(l)
	<-written
	lost.release()
	rest.release()
	if reason := endReason(l.err); reason != "closed" {
		t.counters.add("connection_" + reason)
		t.log.Debug("ring connection ended", "addr", l.conn.RemoteAddr(), "node", l.peer.ID.Short(), "err", l.err)
	}
	return lost, rest
}

// Close ends all connections, after at most closeGrace for what waits to be
// written, and returns when no goroutine is left.
func (t *Transport) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		t.wg.Wait()
		return nil
	}
	t.closed = true
	for ln := range t.listeners {
		_ = ln.Close() // ends Serve
	}
	open := make([]*link, 0, len(t.links))
	for l := range t.links {
		open = append(open, l)
	}
	t.mu.Unlock()

	t.cancel() // dials and handshakes
	for _, l := range open {
		l.out.finish()
	}
	grace := time.AfterFunc(closeGrace, func() {
		for _, l := range open {
			l.fail(net.ErrClosed)
		}
	})
	t.wg.Wait()
	grace.Stop()
	return nil
}
