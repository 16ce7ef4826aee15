package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"chordtorrent/chord/secret"
)

// tlsByte is the first byte of a TLS connection, a handshake record's type.
const tlsByte = 0x16

// isRejection reports whether the other side did not accept our certificate.
// An alert that was received has no type of its own: crypto/tls gives it as a
// net.OpError with these words.
func isRejection(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error" && op.Err.Error() == "tls: bad certificate"
}

// What those are told who have no secret, one too many, or another one.
const (
	sayClosed = "the ring is closed by a secret: give the ring's with --secret-file FILE"
	sayOpen   = "the ring has no secret, but you gave one: leave --secret-file out, or give the ring's members the same file"
	sayOther  = "the ring has another secret: give a copy of its members' file with --secret-file FILE"
)

// secure makes a dialed connection one that only those who know the secret
// can read, within the connection's deadline. Without a secret it stays as it
// is. An ErrRefused says what does not fit.
func secure(ctx context.Context, conn net.Conn, keeper *secret.Keeper) (net.Conn, error) {
	if !keeper.Closed() {
		return conn, nil
	}
	c := tls.Client(conn, keeper.TLS())
	return c, whyNotTLS(c.HandshakeContext(ctx))
}

// whyNotTLS puts into words why a dialed connection failed. The member checks
// our certificate after our own handshake is over: its alert comes as the
// error of the first read.
func whyNotTLS(err error) error {
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &plain):
		return fmt.Errorf("%w: %s", ErrRefused, sayOpen)
	case errors.Is(err, secret.ErrOther), isRejection(err):
		return fmt.Errorf("%w: %s", ErrRefused, sayOther)
	}
	return err
}

// unwrap is the accepting side of secure; conn's first byte is unread. reason
// says why it failed, in the counters' words.
func (s *Splitter) unwrap(conn net.Conn) (_ net.Conn, reason string) {
	if !s.secret.Closed() {
		lastWords(conn, sayOpen)
		return conn, "secret_where_none_is"
	}
	c := tls.Server(conn, s.secret.TLS())
	err := c.HandshakeContext(s.ctx)
	switch {
	case err == nil:
		return c, ""
	case errors.Is(err, secret.ErrOther), isRejection(err):
		drain(conn) // or the alert would be lost
		return conn, "other_secret"
	}
	return conn, "tls_failed"
}

// lastWords tells the other side why the connection ends.
func lastWords(conn net.Conn, why string) {
	refuse(conn, why)
	drain(conn)
}

// drain reads what the other side had sent before it could know: a connection
// that is closed with something unread is reset, and what was said last lost.
// It ends with the other side or with the connection's deadline.
func drain(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // it is being closed anyway
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = io.CopyN(io.Discard, conn, 32<<10)
}

// CloseWrite ends one direction, where the connection below can.
func (u *unread) CloseWrite() error {
	if half, ok := u.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// strangers logs that somebody was refused, each reason once a minute at most.
type strangers struct {
	log  *slog.Logger
	mu   sync.Mutex
	last map[string]time.Time
}

var strangerWords = map[string]string{
	"no_secret":            "somebody without the ring's secret was refused",
	"other_secret":         "somebody with another secret was refused",
	"secret_where_none_is": "somebody with a secret was refused: this ring has none",
}

func (s *strangers) refused(reason string, from net.Addr) {
	words, ok := strangerWords[reason]
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if at, ok := s.last[reason]; ok && now.Sub(at) < time.Minute {
		return
	}
	if s.last == nil {
		s.last = map[string]time.Time{}
	}
	s.last[reason] = now
	s.log.Warn(words, "addr", from)
}
