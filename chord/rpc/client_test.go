package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chordtorrent/chord"
)

func onRequest(f func(Request)) option {
	return func(c *TransportConfig) { c.OnRequest = f }
}

func TestEveryOperationHasItsReply(t *testing.T) {
	replies := map[string]any{
		"chord.Get":       chord.GetReply{Fields: []chord.Field{{Name: "a"}}},
		"chord.Put":       chord.PutReply{Copies: 3, Want: 3},
		"chord.AssignID":  chord.AssignIDReply{ClientID: 9},
		"chord.GetStatus": chord.Status{State: "member"},
	}
	m := startMember(t, 1, onRequest(func(r Request) { r.Reply(replies[fmt.Sprintf("%T", r.Op)]) }))
	c := dialClient(t, m)
	if c.Member() != m.ref || c.Addr() != m.ref.Addr || c.LocalAddr().String() != "127.0.0.1" {
		t.Errorf("member %v, addr %s, local %s", c.Member(), c.Addr(), c.LocalAddr())
	}
	for _, op := range []any{chord.Get{Key: "a"}, chord.Put{Key: "a"}, chord.AssignID{}, chord.GetStatus{}} {
		got, err := c.Call(testContext(t), op)
		if want := replies[fmt.Sprintf("%T", op)]; err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%T: %v, %v; want %v", op, got, err, want)
		}
	}
	for _, op := range []any{nil, chord.PutReply{}, Hello{}, note{}, 5, &chord.Get{}} {
		if _, err := c.Call(testContext(t), op); !errors.Is(err, ErrUnknownKind) {
			t.Errorf("%T: %v", op, err)
		}
	}
}

func TestRequestsAreAnsweredInAnyOrder(t *testing.T) {
	var mu sync.Mutex
	var waiting []Request
	const n = maxInFlight
	m := startMember(t, 1, onRequest(func(r Request) {
		mu.Lock()
		defer mu.Unlock()
		if waiting = append(waiting, r); len(waiting) < n {
			return
		}
		for i := len(waiting) - 1; i >= 0; i-- { // the last one first
			w := waiting[i]
			w.Reply(chord.PutReply{Copies: w.Op.(chord.Get).Limit})
			w.Reply(chord.PutReply{Copies: -1}) // does not count
		}
		waiting = nil
	}))
	c := dialClient(t, m)
	var wg sync.WaitGroup
	for round := range 3 {
		for i := range n {
			wg.Go(func() {
				want := round*n + i
				got, err := c.Call(testContext(t), chord.Get{Limit: want})
				if err != nil || got.(chord.PutReply).Copies != want {
					t.Errorf("call %d: %+v, %v", want, got, err)
				}
			})
		}
		wg.Wait()
	}
}

func TestTheDeadlineTravels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lefts := make(chan time.Duration, 1)
		ln := newPipeListener()
		m := startMemberOn(t, 1, ln, onRequest(func(r Request) {
			lefts <- time.Until(r.Deadline)
			r.Reply(chord.AssignIDReply{})
		}))
		conn := ln.dial()
		r := newFrameReader(conn)
		if _, err := greet(conn, r, Hello{Version: Version, Cluster: "test"}); err != nil {
			t.Fatal(err)
		}
		for left, want := range map[time.Duration]time.Duration{
			0:               defaultLeft,
			2 * time.Second: 2 * time.Second,
			time.Hour:       maxLeft,
		} {
			if _, err := conn.Write(mustFrame(t, chord.AssignID{}, 1, false, left)); err != nil {
				t.Fatal(err)
			}
			if got := <-lefts; got != want {
				t.Errorf("%v left: the request says %v, want %v", left, got, want)
			}
			if _, err := r.next(); err != nil {
				t.Fatal(err)
			}
		}
		conn.Close()
		m.stop()
	})
}

func TestACallEndsWithItsContext(t *testing.T) {
	release := make(chan struct{})
	got := make(chan Request, 1)
	m := startMember(t, 1, onRequest(func(r Request) {
		if _, slow := r.Op.(chord.GetStatus); slow {
			got <- r
			go func() { <-release; r.Reply(chord.Status{}) }()
			return
		}
		r.Reply(chord.AssignIDReply{ClientID: 5})
	}))
	c := dialClient(t, m)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := c.Call(ctx, chord.GetStatus{})
		ended <- err
	}()
	r := receive(t, "the request", got)
	if !r.From.Addr().IsLoopback() || r.From.Port() == 0 {
		t.Errorf("from %v", r.From)
	}
	cancel()
	if err := receive(t, "its end", ended); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), c.Addr()) {
		t.Error(err)
	}
	if _, err := c.Call(ctx, chord.GetStatus{}); err == nil {
		t.Error("a call after the end of its context succeeded")
	}
	close(release) // the late reply harms nobody
	v, err := c.Call(testContext(t), chord.AssignID{})
	if err != nil || v.(chord.AssignIDReply).ClientID != 5 {
		t.Errorf("%v, %v", v, err)
	}
}

func TestPendingCallsFailWithTheConnection(t *testing.T) {
	asked := make(chan struct{}, 10)
	m := startMember(t, 1, onRequest(func(Request) { asked <- struct{}{} }))
	c := dialClient(t, m)
	ended := make(chan error, 3)
	for range cap(ended) {
		go func() {
			_, err := c.Call(testContext(t), chord.GetStatus{})
			ended <- err
		}()
		receive(t, "the request", asked)
	}
	m.stop()
	for range cap(ended) {
		err := receive(t, "the end of a call", ended)
		if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), m.ref.Addr) {
			t.Error(err)
		}
	}
	receive(t, "Done", c.Done())
	if _, err := c.Call(testContext(t), chord.GetStatus{}); !errors.Is(err, ErrLost) {
		t.Errorf("afterwards: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestAMemberIsToldThatAClientIsGone(t *testing.T) {
	asked := make(chan Request, 1)
	m := startMember(t, 1, onRequest(func(r Request) { asked <- r }))
	c := dialClient(t, m)
	ended := make(chan error, 1)
	go func() {
		_, err := c.Call(testContext(t), chord.GetStatus{})
		ended <- err
	}()
	r := receive(t, "the request", asked)
	select {
	case <-r.Gone:
		t.Error("gone while it waits")
	default:
	}
	c.Close()
	receive(t, "the end of the connection", r.Gone)
	r.Reply(chord.Status{}) // harmless
	receive(t, "the end of the call", ended)
}

func TestDialSaysWhyItFails(t *testing.T) {
	m := startMember(t, 1)
	closed := startMember(t, 2, onRequest(nil))
	mute, err := net.Listen("tcp", "127.0.0.1:0") // a listener that never answers
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	nobody := closedAddr(t)
	for _, c := range []struct{ addr, cluster, says string }{
		{m.ref.Addr, "lab", `it belongs to cluster "test", not "lab": --cluster`},
		{m.ref.Addr, strings.Repeat("x", 2000), "EOF"},
		{closed.ref.Addr, "test", "does not serve clients"},
		{nobody, "test", "refused"},
		{mute.Addr().String(), "test", "timeout"},
	} {
		_, err := Dial(testContext(t), c.addr, c.cluster, nil)
		if err == nil || !strings.Contains(err.Error(), c.addr) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v does not say %q", err, c.says)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Dial(ctx, m.ref.Addr, "test", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestAnotherVersionIsNamed(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	result := make(chan error, 1)
	go func() {
		_, err := welcome(far, newFrameReader(far), Hello{Version: Version, Cluster: "test"}, func(Hello) string { return "" })
		far.Close()
		result <- err
	}()
	// A Hello of version 300 with a fourth field.
	hello := []byte{0, 0, 0, 20, helloKind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x94, 0xcd, 1, 44, 0xa0, 0xc0, 0xc0}
	if _, err := near.Write(hello); err != nil {
		t.Fatal(err)
	}
	_, err := readHello(newFrameReader(near))
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), fmt.Sprintf("version %d of the ring protocol, not 300", Version)) {
		t.Error(err)
	}
	if err := <-result; !errors.Is(err, ErrRefused) {
		t.Error(err)
	}
}

func TestAStrangersWordsAreMadeHarmless(t *testing.T) {
	if got := printable("no\x1b[31m\nway\xff"); got != "no?[31m?way?" {
		t.Errorf("%q", got)
	}
	if got := printable(strings.Repeat("x", 1000)); len(got) != 300 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestAReplyThatCannotTravelIsAnError(t *testing.T) {
	m := startMember(t, 1, onRequest(func(r Request) {
		switch r.Op.(type) {
		case chord.Get:
			r.Reply(chord.GetReply{Fields: []chord.Field{{Entry: chord.Entry{Value: make([]byte, MaxFrame)}}}})
		case chord.Put:
			r.Reply("what?")
		default:
			r.Reply(chord.AssignIDReply{})
		}
	}))
	c := dialClient(t, m)
	for _, op := range []any{chord.Get{}, chord.Put{}} {
		if v, err := c.Call(testContext(t), op); !errors.Is(err, ErrRefused) {
			t.Errorf("%T: %v, %v", op, v, err)
		}
	}
	if _, err := c.Call(testContext(t), chord.AssignID{}); err != nil {
		t.Errorf("the connection is lost too: %v", err)
	}
	long := chord.Put{Updates: []chord.Update{{Value: make([]byte, MaxFrame)}}}
	if _, err := c.Call(testContext(t), long); !errors.Is(err, ErrMalformed) {
		t.Errorf("a request that is too long: %v", err)
	}
}

func TestAMemberThatSendsNonsenseLosesItsClient(t *testing.T) {
	for name, answer := range map[string][]byte{
		"noise":               []byte("HTTP/1.1 400 Bad Request\r\n"),
		"a request":           mustFrame(t, chord.GetStatus{}, 1, false, 0),
		"a body of its own":   {0, 0, 0, 10, 19 | replyBit, 0, 0, 0, 0, 0, 0, 0, 1, 0xc1},
		"a message":           mustFrame(t, note{}, 1, true, 0),
		"a refusal of it all": mustFrame(t, Refused{"going home"}, 0, false, 0),
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			served := make(chan struct{})
			go func() {
				defer close(served)
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = io.ReadFull(conn, make([]byte, len(Magic)))
				r := newFrameReader(conn)
				_, err = welcome(conn, r, Hello{Version: Version, Cluster: "test", Member: chord.Ref{Addr: "x"}}, func(Hello) string { return "" })
				if err == nil {
					_, _ = r.next()
					_, _ = conn.Write(answer)
					_, _ = r.next()
				}
			}()
			c, err := Dial(testContext(t), ln.Addr().String(), "test", nil)
			if err != nil {
				t.Fatal(err)
			}
			if v, err := c.Call(testContext(t), chord.GetStatus{}); !errors.Is(err, ErrLost) {
				t.Errorf("%v, %v", v, err)
			}
			c.Close()
			<-served
		})
	}
}

func TestAClientThatDoesNotReadIsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests := make(chan Request, 10*maxInFlight)
		ln := newPipeListener()
		m := startMemberOn(t, 1, ln, onRequest(func(r Request) { requests <- r }))
		conn := ln.dial()
		if _, err := greet(conn, newFrameReader(conn), Hello{Version: Version, Cluster: "test"}); err != nil {
			t.Fatal(err)
		}
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			for i := range uint64(2 * maxInFlight) {
				if _, err := conn.Write(mustFrame(t, chord.GetStatus{}, i, false, 0)); err != nil {
					return
				}
			}
		}()
		synctest.Wait()
		if n := len(requests); n != maxInFlight {
			t.Errorf("%d requests under way", n)
		}
		for range maxInFlight {
			r := <-requests
			r.Reply(chord.Status{})
		}
		<-gone // dropped: it never reads its replies
		synctest.Wait()
		if n := m.Counters()["connection_slow_reader"]; n != 1 {
			t.Errorf("%v", m.Counters())
		}
		m.stop()
	})
}
