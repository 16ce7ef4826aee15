package web_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"chordtorrent/client/api"
	"chordtorrent/client/daemon"
	"chordtorrent/client/daemontest"
	"chordtorrent/client/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "the-token-of-this-test"

// site is a daemon with its page on a loopback port.
type site struct {
	t   *testing.T
	d   *daemon.Daemon
	url string
}

func open(t *testing.T, h *daemontest.House, storage string, change func(*web.Config)) *site {
	t.Helper()
	d := h.Daemon(storage)
	p := h.Parts(d)
	cfg := web.Config{Daemon: d, Client: p.Client, Ring: p.Ring, Token: token, Version: "test", Cluster: "house", Log: p.Log}
	if change != nil {
		change(&cfg)
	}
	handler, err := web.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = handler.Serving()
	srv.Start()
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		srv.Client().CloseIdleConnections()
	})
	return &site{t: t, d: d, url: srv.URL}
}

// answer is what came back, but for the body.
type answer struct {
	Status     string
	StatusCode int
	Header     http.Header
}

// do sends a request as a program does, and gives the answer and its body.
func (s *site) do(method, path, body string, headers ...string) (answer, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp.Status, resp.StatusCode, resp.Header}, string(b)
}

// ask is do for what has to work, with JSON both ways.
func (s *site) ask(method, path string, in, out any) {
	s.t.Helper()
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			s.t.Fatal(err)
		}
	}
	resp, text := s.do(method, api.Prefix+path, body.String(), "Content-Type", "application/json")
	if resp.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(text), out); err != nil {
			s.t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
}
