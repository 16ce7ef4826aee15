package transfer

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
)

const (
	maxRedirects = 5
	maxWebHeader = 64 << 10
)

// web is the HTTP client of an engine. It knows its connections, as the engine's Close
// leaves none open.
type web struct {
	client http.Client

	mu     sync.Mutex
	open   map[*webConn]bool
	closed bool
}

type webConn struct {
	net.Conn
	w *web
}

func newWeb() *web {
	w := &web{}
	dialer := &net.Dialer{Timeout: connectWithin}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return w.keep(c)
		},
		TLSHandshakeTimeout: handshakeWithin, MaxIdleConnsPerHost: webAtOnce, IdleConnTimeout: webSilence,
		MaxResponseHeaderBytes: maxWebHeader, DisableCompression: true,
		Protocols: new(http.Protocols), // HTTP/2 reads ahead what a limit holds up
	}
	transport.Protocols.SetHTTP1(true)
	w.client = http.Client{Transport: transport, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return errors.New("too many redirects")
		}
		return nil
	}}
	return w
}

// keep notes a connection that was made.
func (w *web) keep(c net.Conn) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		c.Close()
		return nil, ErrClosed
	}
	if w.open == nil {
		w.open = make(map[*webConn]bool)
	}
	kept := &webConn{c, w}
	w.open[kept] = true
	return kept, nil
}

func (c *webConn) Close() error {
	c.w.mu.Lock()
	delete(c.w.open, c)
	c.w.mu.Unlock()
	return c.Conn.Close()
}

// close ends all connections, and those that are still being made.
func (w *web) close() {
	w.mu.Lock()
	w.closed = true
	open := w.open
	w.open = nil
	w.mu.Unlock()
	for c := range open {
		c.Close()
	}
	w.client.CloseIdleConnections()
}
