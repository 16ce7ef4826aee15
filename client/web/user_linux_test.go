package web

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// nobody is a user who is not the one that runs the test.
const nobody = 65534

// dialAs connects as another user, which root can. The socket is of who its thread is.
func dialAs(t *testing.T, addr string, uid int) net.Conn {
	t.Helper()
	type dialled struct {
		conn net.Conn
		err  error
	}
	done := make(chan dialled)
	go func() {
		runtime.LockOSThread() // which ends with this goroutine
		unix.RawSyscall(unix.SYS_SETFSUID, uintptr(uid), 0, 0)
		var d net.Dialer
		conn, err := d.DialContext(t.Context(), "tcp", addr)
		done <- dialled{conn, err}
	}()
	d := <-done
	if d.err != nil {
		t.Fatal(d.err)
	}
	return d.conn
}

func TestTheUserOfAConnection(t *testing.T) {
	for _, host := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
		ln, err := net.Listen("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		users := []int{os.Geteuid()}
		if os.Geteuid() == 0 {
			users = append(users, nobody)
		}
		addr := strings.Replace(ln.Addr().String(), "[::]", "127.0.0.1", 1)
		for _, user := range users {
			conn := dialAs(t, addr, user)
			in, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			local, remote := addrOf(in.RemoteAddr()), addrOf(in.LocalAddr())
			if uid, told := userOf(local, remote); uid != user || !told {
				t.Errorf("%s: the connection of %d is of %d, %v", host, user, uid, told)
			}
			// Closed, with something that the other end has not read: nobody's, and not root's.
			if _, err := conn.Write([]byte("GET")); err != nil {
				t.Fatal(err)
			}
			conn.Close()
			if uid, told := userOf(local, remote); uid != -1 || !told {
				t.Errorf("%s: the closed connection of %d is of %d, %v", host, user, uid, told)
			}
			in.Close()
		}
		ln.Close()
	}
}

func TestWhatTheTableOfSocketsSays(t *testing.T) {
	local, remote := netip.MustParseAddrPort("127.0.0.1:36970"), netip.MustParseAddrPort("127.0.0.1:8780")
	ends := fmt.Sprintf("%s:906A %s:224C", word(127, 0, 0, 1), word(127, 0, 0, 1))
	mapped := fmt.Sprintf("0000000000000000%s%s:906A 0000000000000000%s%s:224C", word(0, 0, 0xff, 0xff), word(127, 0, 0, 1), word(0, 0, 0xff, 0xff), word(127, 0, 0, 1))
	for line, want := range map[string]int{
		"1: " + ends + " 01 0:0 00:0 0 1000 0 2562024 2":   1000,
		"1: " + mapped + " 01 0:0 00:0 0 1000 0 2562024 2": 1000,
		"1: " + ends + " 06 0:0 00:0 0 0 0 0 2":            -1, // TIME_WAIT
		"1: " + ends + " 01 0:0 00:0 0 0 0 0 2":            -1, // no process has it any more
		"1: " + ends + " 01 0:0 00:0 0 x 0 7 2":            -1,
		"1: " + ends + " 01":                               -1,
		"1: zz:906A " + ends + " 01 0 0 0 0 0 7":           -1,
		"":                                                 -1,
	} {
		uid, found := socketUser(strings.NewReader("  sl  local_address\n"+line+"\n"), local, remote)
		if found != (want >= 0) || found && uid != want {
			t.Errorf("%q: %d, %v; want %d", line, uid, found, want)
		}
	}
}

// word is four bytes as the table has them.
func word(b ...byte) string { return fmt.Sprintf("%08X", binary.NativeEndian.Uint32(b)) }

// Another user of this machine cannot do what the page's user can, unless with the token.
func TestAnotherUserNeedsTheToken(t *testing.T) {
	s := &Server{cfg: Config{Token: "the-token"}, log: slog.New(slog.DiscardHandler), hosts: ownHosts(nil)}
	s.handler = s.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = s.Serving()
	srv.Start()
	defer srv.Close()
	ask := func(uid int, token string) int {
		conn := dialAs(t, srv.Listener.Addr().String(), uid)
		defer conn.Close()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/api/v1/publications", strings.NewReader(`{"path":"/etc/shadow"}`))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		if err := req.Write(conn); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if status := ask(os.Geteuid(), ""); status != http.StatusNoContent {
		t.Errorf("its own user: %d", status)
	}
	if os.Geteuid() != 0 {
		return // only root can be somebody else
	}
	if status := ask(nobody, ""); status != http.StatusUnauthorized {
		t.Errorf("another user: %d", status)
	}
	if status := ask(nobody, "the-token"); status != http.StatusNoContent {
		t.Errorf("another user with the token: %d", status)
	}
}
