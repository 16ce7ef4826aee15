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
	ctx    context.Context // ends with close
	cancel context.CancelFunc
	dials  sync.WaitGroup // those under way; added to under mu, before ctx ends

	mu   sync.Mutex
	open map[*webConn]bool
}

type webConn struct {
	net.Conn
	w *web
}

func newWeb() *web {
	w := &web{}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	transport := &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: w.dial, TLSHandshakeTimeout: handshakeWithin, MaxIdleConnsPerHost: webAtOnce, IdleConnTimeout: webSilence,
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

// dial makes a connection. The transport goes on with that when nobody wants it any more,
// but not after close.
func (w *web) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	if w.ctx.Err() != nil {
		w.mu.Unlock()
		return nil, ErrClosed
	}
	w.dials.Add(1)
	w.mu.Unlock()
	defer w.dials.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.ctx, cancel)()
	dialer := &net.Dialer{Timeout: connectWithin}
	c, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return w.keep(c)
}

// keep notes a connection that was made.
func (w *web) keep(c net.Conn) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() != nil {
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

// Close implements net.Conn. Who finds the connection gone from those that are open can
// rely on it.
func (c *webConn) Close() error {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	delete(c.w.open, c)
	return c.Conn.Close()
}

// close ends all connections, and those that are still being made.
func (w *web) close() {
	w.mu.Lock()
	w.cancel()
	open := w.open
	w.open = nil
	w.mu.Unlock()
	for c := range open {
		c.Close()
	}
	w.client.CloseIdleConnections()
	w.dials.Wait()
}
