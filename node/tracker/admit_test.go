package tracker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"chordtorrent/communicator"
	"chordtorrent/communicator/ringtest"
)

// street is a listener in memory, to which anybody may come from any address.
type street struct {
	conns chan net.Conn
	ended chan struct{}
}

func (s *street) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.ended:
		return nil, net.ErrClosed
	}
}
func (s *street) Close() error   { close(s.ended); return nil }
func (s *street) Addr() net.Addr { return &net.TCPAddr{} }

// from is a connection whose other end is at an address.
type from struct {
	net.Conn
	at net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.at }

func (s *street) dial(at string) net.Conn {
	a, b := net.Pipe()
	s.conns <- from{b, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(at))}
	return a
}

// onAStreet runs f with a tracker that is served there, in virtual time.
func onAStreet(t *testing.T, f func(s *street, tr *Tracker, door *doorkeeper)) {
	synctest.Test(t, func(t *testing.T) {
		ring := communicator.New(ringtest.New(1), netip.MustParseAddr("10.0.0.1"))
		tr := New(Config{Ring: ring})
		s := &street{conns: make(chan net.Conn), ended: make(chan struct{})}
		ln := tr.Announces(s)
		srv := &http.Server{Handler: tr, ReadHeaderTimeout: headWait}
		ended := make(chan error, 1)
		go func() { ended <- srv.Serve(ln) }()
		f(s, tr, ln.(*listener).door)
		srv.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		ring.Close()
	})
}

func isOpen(conn net.Conn) bool {
	_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := conn.Read(make([]byte, 1))
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestWhoDripsARequestIsLeftSoon(t *testing.T) {
	for what, begin := range map[string]string{
		"an announce": "GET /announce?x=", "net/http's": "POST /announce?x=",
		"behind another": "GET " + query([20]byte{1}, "a") + " HTTP/1.1\r\nHost: x\r\n\r\nGET /announce?x=",
	} {
		t.Run(what, func(t *testing.T) {
			onAStreet(t, func(s *street, tr *Tracker, door *doorkeeper) {
				conn := s.dial("10.0.0.7:1000")
				go func() { _, _ = io.Copy(io.Discard, conn) }()
				if _, err := io.WriteString(conn, begin); err != nil {
					t.Fatal(err)
				}
				bytes := 0
				for ; bytes < 100; bytes++ {
					if _, err := io.WriteString(conn, "y"); err != nil {
						break
					}
					pass(time.Second)
				}
				if bytes > 10 {
					t.Errorf("it could send %d bytes, one each second", bytes)
				}
				synctest.Wait()
				if door.open != 0 || len(door.of) != 0 {
					t.Errorf("%d connections are counted, %v", door.open, door.of)
				}
				if n := tr.Refused()["slow_request"]; (n == 1) != (what != "net/http's") {
					t.Errorf("%d were slow", n)
				}
			})
		})
	}
}

func TestAConnectionMayRestBetweenAnnounces(t *testing.T) {
	onAStreet(t, func(s *street, tr *Tracker, _ *doorkeeper) {
		conn := s.dial("10.0.0.7:1000")
		in := bufio.NewReader(conn)
		for i := range 5 {
			whole := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", query([20]byte{1}, "a"))
			for _, part := range []string{whole[:20], whole[20:40], whole[40:]} {
				if _, err := io.WriteString(conn, part); err != nil {
					t.Fatalf("announce %d: %v", i, err)
				}
				pass(time.Second)
			}
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("announce %d: %v", i, err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			pass(idleConn - 10*time.Second)
		}
		pass(idleConn)
		if isOpen(conn) {
			t.Error("it may rest for ever")
		}
		if n := tr.Refused()["slow_request"]; n != 0 {
			t.Errorf("%d were slow", n)
		}
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	onAStreet(t, func(s *street, tr *Tracker, door *doorkeeper) {
		door.mostOfOne, door.most = 3, 5
		var conns []net.Conn
		for i := range 4 {
			conns = append(conns, s.dial(fmt.Sprint("10.0.0.7:", 1000+i)))
		}
		if !isOpen(conns[2]) || isOpen(conns[3]) {
			t.Error("not three of one address are open")
		}
		// A network of IPv6 counts as one; some asks what is no announce.
		six := []net.Conn{s.dial("[2001:db8::1]:1"), s.dial("[2001:db8::2]:1")}
		if _, err := io.WriteString(six[0], "GET /t/x HTTP/1.1\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if last := s.dial("10.0.0.8:1"); !isOpen(six[0]) || !isOpen(six[1]) || isOpen(last) {
			t.Error("not five in all are open")
		}
		if r := tr.Refused(); r["source_connections"] != 1 || r["connections"] != 1 {
			t.Errorf("%v", r)
		}
		// Who goes makes room.
		conns[0].Close()
		six[0].Close()
		synctest.Wait()
		if again := []net.Conn{s.dial("10.0.0.7:2000"), s.dial("10.0.0.8:2")}; !isOpen(again[0]) || !isOpen(again[1]) {
			t.Error("there is no room after two have gone")
		}
	})
}

func TestMostDescriptorsStayForTheRing(t *testing.T) {
	if d := newDoorkeeper(); d.most > mostConns || d.most*descriptorShare > descriptors() || d.most == 0 {
		t.Errorf("%d connections with %d descriptors", d.most, descriptors())
	}
}
