package rpc

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"chordtorrent/chord/secret"
)

// GossipByte is the first byte of a memberlist stream that has a label.
const GossipByte = 244

const (
	firstByteTimeout = 5 * time.Second
	maxUnsorted      = 1024 // connections whose first bytes are awaited
)

// Splitter takes one listener apart by what its connections begin with, so
// that ring messages and gossip share a port.
type Splitter struct {
	ln       net.Listener
	secret   *secret.Keeper
	strange  strangers
	log      *slog.Logger
	counters counters
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	slots    chan struct{}
	rpc      *branch
	gossip   *branch
}

// Split begins to accept from ln, which it owns from now on. Connections that
// begin with Magic come out of RPC, those with GossipByte out of Gossip, all
// others are closed and counted, as are those that say nothing for 5 s. With a
// secret ring connections come in TLS, and whoever comes without is told so.
func Split(ln net.Listener, keeper *secret.Keeper, log *slog.Logger) *Splitter {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Splitter{ln: ln, secret: keeper, strange: strangers{log: log}, log: log, slots: make(chan struct{}, maxUnsorted)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.rpc, s.gossip = newBranch(s), newBranch(s)
	s.wg.Go(s.accept)
	return s
}

// RPC is the listener of ring connections; Magic has been read from them.
func (s *Splitter) RPC() net.Listener { return s.rpc }

// Gossip is the listener of gossip's connections, their first byte unread.
func (s *Splitter) Gossip() net.Listener { return s.gossip }

// Counters tells which connections were not taken, by reason.
func (s *Splitter) Counters() map[string]uint64 { return s.counters.snapshot() }

// Close closes the listener and all connections that nobody has accepted.
func (s *Splitter) Close() error {
	s.cancel()
	err := s.ln.Close()
	s.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

func (s *Splitter) accept() {
	defer s.cancel() // a listener that ended ends its branches
	var pause time.Duration
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			if s.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors, most likely: others will be closed.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.counters.add("accept_failed")
			s.log.Warn("cannot accept a connection", "addr", s.ln.Addr(), "err", err)
			select {
			case <-time.After(pause):
				continue
			case <-s.ctx.Done():
				return
			}
		}
		pause = 0
		select {
		case s.slots <- struct{}{}:
		default:
			s.counters.add("too_many_silent")
			_ = conn.Close()
			continue
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetKeepAliveConfig(keepAlive) // an old system's defaults do too
			if raw, err := tcp.SyscallConn(); err == nil {
				_ = endWhenUnheard("", "", raw)
			}
		}
		s.wg.Go(func() {
			defer func() { <-s.slots }()
			s.sort(conn)
		})
	}
}

// sort reads the first bytes of a connection and hands it to its branch.
func (s *Splitter) sort(raw net.Conn) {
	stop := context.AfterFunc(s.ctx, func() { _ = raw.Close() })
	_ = raw.SetDeadline(time.Now().Add(firstByteTimeout)) // an error shows in the read
	to, conn, reason := s.branchOf(raw)
	if _, told := strangerWords[reason]; !stop() && !told {
		reason = "closing"
	}
	if reason == "" && conn.SetDeadline(time.Time{}) != nil {
		reason = "broken"
	}
	if reason == "" && !to.hand(conn) {
		reason = "not_accepted"
	}
	if reason != "" {
		s.counters.add(reason)
		s.strange.refused(reason, conn.RemoteAddr())
		s.log.Debug("connection not taken", "addr", conn.RemoteAddr(), "err", reason)
		_ = conn.Close()
	}
}

// branchOf decides by the first bytes, or says why it is nobody's.
func (s *Splitter) branchOf(conn net.Conn) (to *branch, _ net.Conn, reason string) {
	var first [len(Magic)]byte
	if _, err := io.ReadFull(conn, first[:1]); err != nil {
		return nil, conn, "silent"
	}
	inside := first[0] == tlsByte
	if inside {
		if conn, reason = s.unwrap(&unread{Conn: conn, first: first[:1]}); reason != "" {
			return nil, conn, reason
		}
		first = [len(Magic)]byte{}
		if _, err := io.ReadFull(conn, first[:1]); err != nil {
			return nil, conn, "silent"
		}
		if first[0] != Magic[0] { // gossip has a cipher of its own
			return nil, conn, "unknown_protocol"
		}
	}
	switch first[0] {
	case GossipByte:
		return s.gossip, &unread{Conn: conn, first: first[:1]}, ""
	case Magic[0]:
		if _, err := io.ReadFull(conn, first[1:]); err != nil {
			return nil, conn, "silent"
		}
		if string(first[:]) == Magic && s.secret.Closed() && !inside {
			lastWords(conn, sayClosed)
			return nil, conn, "no_secret"
		}
		if string(first[:]) == Magic {
			return s.rpc, conn, ""
		}
	}
	return nil, conn, "unknown_protocol"
}

// unread is a connection with bytes put back in front.
type unread struct {
	net.Conn
	first []byte
}

func (u *unread) Read(p []byte) (int, error) {
	if len(u.first) > 0 {
		n := copy(p, u.first)
		u.first = u.first[n:]
		return n, nil
	}
	return u.Conn.Read(p)
}

// branch is one of the listeners of a Splitter.
type branch struct {
	s     *Splitter
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newBranch(s *Splitter) *branch {
	return &branch{s: s, conns: make(chan net.Conn), done: make(chan struct{})}
}

// hand gives a connection to whoever accepts; false when nobody does so.
func (b *branch) hand(conn net.Conn) bool {
	wait := time.NewTimer(firstByteTimeout)
	defer wait.Stop()
	select {
	case b.conns <- conn:
		return true
	case <-wait.C:
	case <-b.done:
	case <-b.s.ctx.Done():
	}
	return false
}

// Accept waits for the next connection; net.ErrClosed after Close of this
// listener or of the Splitter.
func (b *branch) Accept() (net.Conn, error) {
	select {
	case <-b.done:
	case <-b.s.ctx.Done():
	case conn := <-b.conns:
		return conn, nil
	}
	return nil, net.ErrClosed
}

// Close ends this listener only.
func (b *branch) Close() error {
	b.once.Do(func() { close(b.done) })
	return nil
}

// Addr is the address of the listener that was split.
func (b *branch) Addr() net.Addr { return b.s.ln.Addr() }
