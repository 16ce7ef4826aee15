package rpc

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func accept(t *testing.T, ln net.Listener) net.Conn {
	t.Helper()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestConnectionsAreSortedByTheirFirstBytes(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := Split(ln, nil, nil)
	defer s.Close()
	open := func(first string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", s.RPC().Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := io.WriteString(c, first); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, wrong := range []string{"GET / HTTP/1.1\r\n", "CHR2", "CHAT", "\x00"} {
		c := open(wrong)
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%q: %d bytes, %v", wrong, n, err)
		}
	}
	open(Magic + "body")
	open("\xf4label")
	for want, ln := range map[string]net.Listener{"body": s.RPC(), "\xf4label": s.Gossip()} {
		c := accept(t, ln)
		b := make([]byte, len(want))
		if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
			t.Errorf("%q, %v; want %q", b, err, want)
		}
		c.Close()
	}
	until(t, "the others are counted", func() bool { return s.Counters()["unknown_protocol"] == 4 })

	if err := s.RPC().Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.RPC().Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close of the branch: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := s.Gossip().Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestSilenceIsNotWaitedForLongerThanFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		s := Split(ln, nil, nil)
		defer s.Close()
		for _, first := range []string{"", "C", "CHR"} {
			start := time.Now()
			c := ln.dial()
			if _, err := io.WriteString(c, first); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("%q: %v", first, err)
			}
			if waited := time.Since(start); waited != firstByteTimeout {
				t.Errorf("%q: waited %v", first, waited)
			}
		}
		if n := s.Counters()["silent"]; n != 3 {
			t.Errorf("%d counted", n)
		}
	})
}

func TestAConnectionThatNobodyAcceptsIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		s := Split(ln, nil, nil)
		defer s.Close()
		c := ln.dial()
		if _, err := c.Write([]byte{GossipByte}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%v", err)
		}
		if n := s.Counters()["not_accepted"]; n != 1 {
			t.Errorf("%d counted", n)
		}
	})
}

func TestSilentConnectionsDoNotKeepOthersOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		s := Split(ln, nil, nil)
		defer s.Close()
		var silent []net.Conn
		for range maxUnsorted {
			silent = append(silent, ln.dial())
		}
		one := ln.dial() // over the limit: closed at once
		if _, err := one.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%v", err)
		}
		if n := s.Counters()["too_many_silent"]; n != 1 {
			t.Errorf("%d counted", n)
		}
		for _, c := range silent {
			_, _ = c.Read(make([]byte, 1)) // until it is closed
		}
		c := ln.dial()
		go func() { _, _ = io.WriteString(c, Magic) }()
		_ = accept(t, s.RPC()).Close()
	})
}

// failingListener cannot accept a few times, as without free descriptors.
type failingListener struct {
	*pipeListener
	failures int
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		return nil, errors.New("too many open files")
	}
	return l.pipeListener.Accept()
}

func TestAcceptingGoesOnAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &failingListener{newPipeListener(), 20}
		s := Split(ln, nil, nil)
		defer s.Close()
		c := ln.dial()
		go func() { _, _ = io.Copy(c, strings.NewReader(Magic)) }()
		_ = accept(t, s.RPC()).Close()
		if n := s.Counters()["accept_failed"]; n != 20 {
			t.Errorf("%d counted", n)
		}
	})
}
