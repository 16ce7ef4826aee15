package tracker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/bencode"
)

// serveHTTP starts the tracker on loopback as a node does.
func (w *world) serveHTTP() string {
	w.t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	ln := w.tr.Announces(inner)
	srv := &http.Server{Handler: w.tr}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	w.t.Cleanup(func() {
		srv.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			w.t.Error(err)
		}
	})
	return inner.Addr().String()
}

func TestAConnectionMayAskForAnything(t *testing.T) {
	w := newWorld(t, nil)
	hash := w.publish("x")
	addr := w.serveHTTP()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	type head struct {
		code   int
		length int64
		date   string
		closes bool
	}
	get := func(path, more string) (head, decoded) {
		t.Helper()
		// In two parts, as it may come.
		whole := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\nUser-Agent: t\r\n%s\r\n", path, more)
		for _, part := range []string{whole[:len(whole)/2], whole[len(whole)/2:]} {
			if _, err := io.WriteString(conn, part); err != nil {
				t.Fatal(err)
			}
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		var d decoded
		if resp.Header.Get("Content-Type") == "text/plain" {
			if err := bencode.Unmarshal(b, &d); err != nil {
				t.Fatalf("%q: %v", b, err)
			}
		}
		return head{resp.StatusCode, resp.ContentLength, resp.Header.Get("Date"), resp.Close}, d
	}
	for i, peer := range []string{"a", "b", "c"} {
		h, d := get(query(hash, peer, "port", fmt.Sprint(7001+i)), "")
		if h.code != 200 || d.Failure != "" || d.Incomplete != i+1 || h.date == "" || h.length <= 0 {
			t.Errorf("announce %d: %+v %+v", i, h, d)
		}
	}
	if _, d := get("/announce?info_hash=x", ""); !strings.Contains(d.Failure, "info_hash has 1 bytes") {
		t.Errorf("a bad one: %+v", d)
	}
	if _, d := get("/wrong"+query(hash, "a"), ""); !strings.Contains(d.Failure, "path") {
		t.Errorf("another path: %+v", d)
	}
	// What is no announce is net/http's, and all that follows it.
	if h, _ := get("/files.json", ""); h.code != 200 {
		t.Errorf("the list: %+v", h)
	}
	if h, d := get(query(hash, "d", "port", "7004"), "Connection: close\r\n"); h.code != 200 || d.Incomplete != 4 || !h.closes {
		t.Errorf("an announce after it: %+v %+v", h, d)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("after Connection: close: %v", err)
	}
}

func TestAnAnnounceMayBeTheLastOfItsConnection(t *testing.T) {
	w := newWorld(t, nil)
	hash := w.publish("x")
	addr := w.serveHTTP()
	for what, request := range map[string]string{
		"HTTP/1.1": "GET " + query(hash, "a") + " HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n",
		"HTTP/1.0": "GET " + query(hash, "a") + " HTTP/1.0\r\n\r\n",
		"two":      strings.Repeat("GET "+query(hash, "a")+" HTTP/1.1\r\nHost: x\r\n\r\n", 2) + "GET /t/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"no host":  "GET " + query(hash, "a") + " HTTP/1.1\r\nConnection: close\r\n\r\n",
		"long":     "GET " + query(hash, "a") + " HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", maxRequest) + "\r\nConnection: close\r\n\r\n",
		"rubbish":  "\x16\x03\x01" + strings.Repeat("x", 100) + "\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(conn)
		conn.Close()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		ok := 1
		switch what {
		case "two":
			ok = 2
		case "no host", "rubbish":
			ok = 0
		}
		if n := strings.Count(string(b), " 200 OK\r\n"); n != ok {
			t.Errorf("%s: %q", what, b)
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte("GET /announce?info_hash=x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"))
	f.Add([]byte("GET /a/announce? HTTP/1.1\r\nhost:x\r\nContent-Length: 1\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path, query, _, ok := parseRequest(b)
		if !ok {
			return
		}
		// net/http finds the same in it, or refuses it for what an announce does not need.
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(b) + "\r\n")))
		if err == nil && (r.Method != http.MethodGet || r.URL.EscapedPath() != string(path) && r.URL.Path != string(path) || r.URL.RawQuery != string(query)) {
			t.Fatalf("%q: %q %q instead of %s %s", b, path, query, r.Method, r.URL)
		}
	})
}
