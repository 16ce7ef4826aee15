package rpc

import (
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

func (m *member) connections() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.links)
}

func TestMembersTalkBothWaysOverOneConnection(t *testing.T) {
	a, b := startMember(t, 1), startMember(t, 2)
	a.send(b.ref, 10, "ask")
	e := receive(t, "the request", b.got)
	if e.From != a.ref || e.To != b.ref || e.Seq != 10 || e.Reply || e.Body.(note).Text != "ask" {
		t.Errorf("%+v", e)
	}
	b.Send(chord.Envelope{From: b.ref, To: a.ref, Seq: 10, Reply: true, Body: note{Text: "answer"}})
	e = receive(t, "the reply", a.got)
	if e.From != b.ref || e.To != a.ref || e.Seq != 10 || !e.Reply || e.Body.(note).Text != "answer" {
		t.Errorf("%+v", e)
	}
	b.send(a.ref, 11, "another")
	receive(t, "a request the other way", a.got)
	if n, k := a.connections(), b.connections(); n != 1 || k != 1 {
		t.Errorf("%d and %d connections", n, k)
	}
}

func TestMessagesToAMemberKeepTheirOrder(t *testing.T) {
	a, b := startMember(t, 1), startMember(t, 2)
	const n = 2000
	for i := range uint64(n) {
		a.send(b.ref, i, strings.Repeat("x", int(i%50)*20))
	}
	for i := range uint64(n) {
		if e := receive(t, "a message", b.got); e.Seq != i {
			t.Fatalf("message %d in the place of %d", e.Seq, i)
		}
	}
}

func TestBothDialAtOnce(t *testing.T) {
	const members, messages = 5, 60
	for round := range 5 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			all := make([]*member, members)
			for i := range all {
				all[i] = startMember(t, byte(i+1))
			}
			start := make(chan struct{})
			var wg sync.WaitGroup
			for _, a := range all {
				wg.Go(func() {
					<-start
					for i := range uint64(messages) {
						for _, b := range all {
							if a != b {
								a.send(b.ref, i, "hello")
							}
						}
					}
				})
			}
			close(start)
			wg.Wait()
			for _, a := range all {
				for range (members - 1) * messages {
					receive(t, "a message", a.got)
				}
			}
			// Of each pair both prefer the same connection.
			for _, a := range all {
				for _, b := range all {
					if a.ref.ID.Compare(b.ref.ID) < 0 {
						comparePreferred(t, a, b)
					}
				}
			}
		})
	}
}

func comparePreferred(t *testing.T, a, b *member) {
	t.Helper()
	ends := func(m *member, of chord.ID) (local, remote string) {
		m.mu.Lock()
		defer m.mu.Unlock()
		l := m.preferred(m.peers[of])
		if l == nil {
			return "", ""
		}
		return l.conn.LocalAddr().String(), l.conn.RemoteAddr().String()
	}
	// The accepting end knows of the connection a moment later.
	until(t, "both ends prefer the same connection", func() bool {
		al, ar := ends(a, b.ref.ID)
		bl, br := ends(b, a.ref.ID)
		return al != "" && al == br && ar == bl
	})
}

// closedAddr is an address where nobody listens.
func closedAddr(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestWhatCannotBeDeliveredIsReported(t *testing.T) {
	a, b := startMember(t, 1), startMember(t, 2)
	gone := chord.Ref{ID: chord.ID{9}, Addr: closedAddr(t)}

	a.send(gone, 1, "")
	a.send(gone, 2, "") // while the dial is under way, or just after it
	seen := map[uint64]bool{receive(t, "a report", a.failed).seq: true, receive(t, "a report", a.failed).seq: true}
	if !seen[1] || !seen[2] {
		t.Errorf("reported %v", seen)
	}

	a.send(chord.Ref{ID: chord.ID{8}, Addr: b.ref.Addr}, 3, "") // another member lives there
	if f := receive(t, "a report", a.failed); f.seq != 3 {
		t.Errorf("reported %+v", f)
	}
	a.send(a.ref, 4, "")
	if f := receive(t, "a report", a.failed); f.seq != 4 {
		t.Errorf("reported %+v", f)
	}
	a.Send(chord.Envelope{To: gone, Seq: 5, Reply: true, Body: note{}}) // nobody waits for its fate
	a.send(chord.Ref{ID: chord.ID{7}, Addr: "not an address"}, 6, "")
	if f := receive(t, "a report", a.failed); f.seq != 6 {
		t.Errorf("reported %+v", f)
	}
	a.Send(chord.Envelope{To: b.ref, Seq: 7, Body: nil})
	if f := receive(t, "a report", a.failed); f.seq != 7 {
		t.Errorf("reported %+v", f)
	}
	if a.Counters()["wrong_member"] != 1 || a.Counters()["dial_failed"] < 2 {
		t.Errorf("%v", a.Counters())
	}
	a.send(b.ref, 8, "well")
	receive(t, "a message to the living", b.got)
}

func TestARequestIsUnreachableWhenItsConnectionBreaks(t *testing.T) {
	a, b := startMember(t, 1), startMember(t, 2)
	a.send(b.ref, 10, "answered")
	receive(t, "the first request", b.got)
	b.Send(chord.Envelope{From: b.ref, To: a.ref, Seq: 10, Reply: true, Body: note{Text: "answer"}})
	receive(t, "the reply", a.got)
	a.send(b.ref, 11, "never answered")
	receive(t, "the second request", b.got)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if f := receive(t, "the report", a.failed); f != (failure{11, true}) {
		t.Errorf("reported %+v", f)
	}
	a.send(b.ref, 12, "to nobody")
	if f := receive(t, "a report", a.failed); f != (failure{12, false}) {
		t.Errorf("reported %+v", f)
	}
}

// TestARequestIsReportedWhenTheLastOfAPairsConnectionsEnds has the one that a request
// went out on end before the other: the answer could yet come by that.
func TestARequestIsReportedWhenTheLastOfAPairsConnectionsEnds(t *testing.T) {
	a := startMember(t, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer := chord.Ref{ID: chord.ID{2}, Addr: ln.Addr().String()}
	hello := Hello{Version: Version, Cluster: "test", Member: peer}
	a.send(peer, 1, "dial me")
	dialed, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(dialed, make([]byte, len(Magic))); err != nil {
		t.Fatal(err)
	}
	r := newFrameReader(dialed)
	if _, err := welcome(dialed, r, hello, func(Hello) string { return "" }); err != nil {
		t.Fatal(err)
	}
	if f, err := r.next(); err != nil || f.id != 1 {
		t.Fatalf("%+v, %v", f, err)
	}
	other, _, _, err := dialHello(testContext(t), a.ref.Addr, hello, nil)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "there are two connections", func() bool { return a.connections() == 2 })
	_ = dialed.Close()
	until(t, "one has ended", func() bool { return a.connections() == 1 })
	_ = other.Close()
	if f := receive(t, "the report", a.failed); f != (failure{1, true}) {
		t.Errorf("reported %+v", f)
	}
}

func TestAMemberOfAnotherClusterIsUnreachable(t *testing.T) {
	a := startMember(t, 1)
	b := startMember(t, 2, func(c *TransportConfig) { c.Cluster = "other" })
	a.send(b.ref, 1, "")
	if f := receive(t, "a report", a.failed); f.seq != 1 {
		t.Errorf("reported %+v", f)
	}
	until(t, "it is counted", func() bool { return b.Counters()["hello_refused"] == 1 })
}

func TestTwoMembersOfOneIDRefuseEachOther(t *testing.T) {
	a, twin := startMember(t, 1), startMember(t, 1)
	_, _, _, err := dialHello(testContext(t), a.ref.Addr, twin.hello, nil)
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "same member id") {
		t.Error(err)
	}
}

func TestAMemberThatStartsAgainIsReachedAgain(t *testing.T) {
	a, b := startMember(t, 1), startMember(t, 2)
	a.send(b.ref, 1, "")
	receive(t, "the first", b.got)
	b.stop()
	until(t, "the end of the connection is noticed", func() bool { return a.connections() == 0 })
	a.send(b.ref, 2, "")
	receive(t, "the report", a.failed)

	again := startMemberAt(t, 2, b.ref.Addr)
	// Its dials are paused for a moment: whoever wants it asks again.
	for seq := uint64(3); ; seq++ {
		a.send(again.ref, seq, "")
		select {
		case <-again.got:
			return
		case <-a.failed:
		case <-time.After(patience):
			t.Fatal("neither arrived nor reported")
		}
	}
}

func TestAMemberAtANewAddressReplacesItsOldConnection(t *testing.T) {
	a, b := startMember(t, 1), startMember(t, 2)
	a.send(b.ref, 1, "")
	receive(t, "the first", b.got)
	moved := startMember(t, 2) // while the old one lives on, as on a machine that lost its network
	moved.send(a.ref, 2, "here I am")
	receive(t, "its message", a.got)
	a.send(moved.ref, 3, "")
	if e := receive(t, "the answer", moved.got); e.Seq != 3 {
		t.Errorf("%+v", e)
	}
	until(t, "the old connection is closed", func() bool { return b.connections() == 0 })
}

func TestGarbageCostsOnlyItsConnection(t *testing.T) {
	a, b := startMember(t, 1), startMember(t, 2)
	a.send(b.ref, 1, "")
	receive(t, "a message", b.got)

	hello := mustFrame(t, Hello{Version: Version, Cluster: "test", Member: chord.Ref{ID: chord.ID{7}, Addr: "x:1"}}, 0, false, 0)
	client := mustFrame(t, Hello{Version: Version, Cluster: "test"}, 0, false, 0)
	for _, c := range []struct {
		name    string
		bytes   []byte
		counter string
	}{
		{"no Hello but a request", mustFrame(t, chord.GetStatus{}, 1, false, 0), "hello_malformed"},
		{"a Hello of 2 MiB", []byte{0, 0x20, 0, 0, 1}, "hello_malformed"},
		{"noise for a Hello", []byte{0, 0, 0, 20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7}, "hello_malformed"},
		{"an oversized frame", append(hello, 0xff, 0xff, 0xff, 0xff), "connection_malformed"},
		{"a malformed body", append(hello, 0, 0, 0, 14, noteKind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xc1), "connection_malformed"},
		{"a client's request from a member", append(hello, mustFrame(t, chord.GetStatus{}, 1, false, 0)...), "connection_unknown_kind"},
		{"a member's message from a client", append(client, mustFrame(t, note{}, 1, false, 0)...), "connection_unknown_kind"},
		{"a reply from a client", append(client, mustFrame(t, chord.PutReply{}, 1, true, 0)...), "connection_unknown_kind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := b.Counters()[c.counter]
			conn, err := net.Dial("tcp", b.ref.Addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(append([]byte(Magic), c.bytes...)); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, conn); err != nil && errors.Is(err, errIdle) {
				t.Fatal(err)
			}
			until(t, "it is counted", func() bool { return b.Counters()[c.counter] == before+1 })
		})
	}
	a.send(b.ref, 2, "still there")
	if e := receive(t, "a message of the others", b.got); e.Seq != 2 {
		t.Errorf("%+v", e)
	}
	if n := a.connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// pipeMember connects to a Transport served from ln as a member that the test
// plays by hand.
func pipeMember(t *testing.T, ln *pipeListener, as chord.Ref) (net.Conn, *frameReader) {
	t.Helper()
	conn := ln.dial()
	r := newFrameReader(conn)
	if _, err := greet(conn, r, Hello{Version: Version, Cluster: "test", Member: as}); err != nil {
		t.Fatal(err)
	}
	return conn, r
}

func TestASlowReaderIsDroppedAndStallsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		a := startMemberOn(t, 1, ln)
		slow, fast := chord.Ref{ID: chord.ID{2}}, chord.Ref{ID: chord.ID{3}}
		slowConn, _ := pipeMember(t, ln, slow)
		fastConn, fastReader := pipeMember(t, ln, fast)
		defer slowConn.Close()
		defer fastConn.Close()
		synctest.Wait()

		start := time.Now()
		a.send(slow, 0, "x")
		synctest.Wait() // it is being written, and nobody reads it
		for i := range uint64(maxQueuedFrames + 100) {
			a.send(slow, i, "x")
		}
		a.send(fast, 1, "y")
		if f, err := fastReader.next(); err != nil || f.id != 1 {
			t.Fatalf("%+v, %v", f, err)
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("the fast one waited %v for the slow one", waited)
		}
		if n := a.Counters()["queue_full"]; n != 100 {
			t.Errorf("%d over the limit of the queue", n)
		}
		<-time.After(writeTimeout + time.Second) // on the bubble's clock
		synctest.Wait()
		if n := a.Counters()["connection_slow_reader"]; n != 1 {
			t.Errorf("%v", a.Counters())
		}
		// Every request is reported: dropped at once, or with the connection.
		if n := len(a.failed); n != 1+maxQueuedFrames+100 {
			t.Errorf("%d reported", n)
		}
		if n := a.connections(); n != 1 {
			t.Errorf("%d connections", n)
		}
		a.stop()
	})
}

func TestSilentAndIdleConnectionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		a := startMemberOn(t, 1, ln)
		start := time.Now()

		silent := ln.dial()
		if _, err := io.WriteString(silent, Magic); err != nil {
			t.Fatal(err)
		}
		if _, err := silent.Read(make([]byte, 1)); err != io.EOF {
			t.Error(err)
		}
		if waited := time.Since(start); waited != helloTimeout {
			t.Errorf("waited %v for a Hello", waited)
		}

		b := chord.Ref{ID: chord.ID{2}}
		_, r := pipeMember(t, ln, b)
		start = time.Now()
		<-time.After(idleTimeout - time.Minute)
		a.send(b, 1, "") // keeps it alive
		if _, err := r.next(); err != nil {
			t.Fatal(err)
		}
		_, err := r.next()
		if err != io.EOF {
			t.Error(err)
		}
		if waited := time.Since(start); waited < 2*idleTimeout-time.Minute || waited > 2*idleTimeout {
			t.Errorf("ended after %v", waited)
		}
		synctest.Wait()
		if c := a.Counters(); c["hello_timeout"] != 1 || c["connection_idle"] != 1 {
			t.Errorf("%v", c)
		}
		a.stop()
	})
}

func TestASecondConnectionOfAPairEndsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		a := startMemberOn(t, 1, ln)
		b := chord.Ref{ID: chord.ID{2}}
		_, first := pipeMember(t, ln, b)
		// The same member dials again, as after losing its end of the first.
		conn, second := pipeMember(t, ln, b)
		if _, err := first.next(); err != io.EOF {
			t.Errorf("the first: %v", err)
		}
		// A connection that a, the smaller id, dialed is preferred.
		mine, theirs := net.Pipe()
		l := newLink(mine, newFrameReader(mine), Hello{Version: Version, Member: b}, true, true)
		a.wg.Go(func() { a.runMember(l) })
		synctest.Wait()
		go a.send(b, 1, "")
		if f, err := newFrameReader(theirs).next(); err != nil || f.id != 1 {
			t.Errorf("%+v, %v", f, err)
		}
		start := time.Now()
		if _, err := second.next(); err != io.EOF {
			t.Error(err)
		}
		if waited := time.Since(start); waited > 2*spareIdle {
			t.Errorf("it lived on for %v", waited)
		}
		conn.Close()
		theirs.Close()
		a.stop()
	})
}

// Whoever introduces itself by ever new ids leaves nothing behind.
func TestMembersThatAreGoneAreForgotten(t *testing.T) {
	a := startMember(t, 1)
	for i := range 20 {
		hello := Hello{Version: Version, Cluster: "test", Member: chord.Ref{ID: chord.ID{9, byte(i)}, Addr: "127.0.0.1:1"}}
		conn, _, _, err := dialHello(testContext(t), a.ref.Addr, hello, nil)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	until(t, "nobody is remembered", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.peers) == 0 && a.inbound == 0
	})
}

func TestInboundConnectionsAreLimited(t *testing.T) {
	m := startMember(t, 1, func(c *TransportConfig) { c.MaxInbound, c.MaxClients = 3, 2 })
	one, two := dialClient(t, m), dialClient(t, m)
	if _, err := Dial(testContext(t), m.ref.Addr, "test", nil); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "ask another") {
		t.Errorf("a third client: %v", err)
	}
	until(t, "the one refused has given back its place", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.inbound == 2
	})
	b := startMember(t, 2)
	b.send(m.ref, 1, "members are let in")
	receive(t, "a member's message", m.got)
	if _, err := Dial(testContext(t), m.ref.Addr, "test", nil); err == nil {
		t.Error("a fourth connection was served")
	}
	until(t, "it is counted", func() bool { return m.Counters()["too_many_connections"] >= 1 })
	one.Close()
	two.Close()
	until(t, "there is room again", func() bool {
		c, err := Dial(testContext(t), m.ref.Addr, "test", nil)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
}

func TestCloseWritesWhatWaits(t *testing.T) {
	a, b := startMember(t, 1), startMember(t, 2)
	a.send(b.ref, 0, "connect")
	receive(t, "the first", b.got)
	const n = 500
	for i := range uint64(n) {
		a.send(b.ref, i, "bye")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for range n {
		receive(t, "a last message", b.got)
	}
	a.send(b.ref, 1, "too late") // neither panics nor blocks
	if err := a.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := <-a.served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	a.served = nil
}
