package tracker

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxRequest bounds the head of a request that is an announce; a longer one is net/http's.
	maxRequest = 4 << 10
	// idleConn is how long a connection may take for its next request; connRenew how often
	// that is told to the system, as it costs more than an answer.
	idleConn, connRenew = 70 * time.Second, 10 * time.Second
	// headWait is how long the head of a request may take from its first byte on.
	headWait = 5 * time.Second
)

// listener answers announces on connections by itself, as nearly everything that comes is
// one, and gives away those connections on which somebody asks anything else. It reads no
// more of HTTP than an announce needs: GET, HTTP/1.1, no body.
type listener struct {
	net.Listener
	t     *Tracker
	door  *doorkeeper
	other chan net.Conn // for Accept
	done  chan struct{} // closed by Close
	err   error         // why nothing is accepted any more; set before failed is closed
	fails chan struct{}

	mu    sync.Mutex
	conns map[net.Conn]bool // being served here
	ended bool
	wg    sync.WaitGroup
}

// Announces answers the announces that come through a listener, and returns a listener for
// all else, to be served by net/http with the Tracker or another handler before it. Close
// ends both and waits for the answers under way.
func (t *Tracker) Announces(ln net.Listener) net.Listener {
	l := &listener{Listener: ln, t: t, door: newDoorkeeper(), other: make(chan net.Conn), done: make(chan struct{}), fails: make(chan struct{}), conns: make(map[net.Conn]bool)}
	l.wg.Go(l.accept)
	return l
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.other:
		return c, nil
	case <-l.fails:
		return nil, l.err
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return nil
	}
	l.ended = true
	close(l.done)
	for c := range l.conns {
		_ = c.Close() // nobody is owed an answer
	}
	l.mu.Unlock()
	err := l.Listener.Close()
	l.wg.Wait()
	return err
}

func (l *listener) accept() {
	defer close(l.fails)
	pause := time.Duration(0)
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			var ne net.Error
			if errors.Is(err, net.ErrClosed) || !errors.As(err, &ne) {
				l.err = err
				return
			}
			// As when there are too many open files: others may be closed meanwhile.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(pause):
				continue
			case <-l.done:
				l.err = net.ErrClosed
				return
			}
		}
		pause = 0
		conn, err := l.door.admit(c)
		if err != nil {
			l.t.counts.refused(err)
			_ = c.Close()
			continue
		}
		l.mu.Lock()
		if l.ended {
			_ = conn.Close()
		} else {
			l.conns[conn] = true
			l.wg.Go(func() { l.serve(conn) })
		}
		l.mu.Unlock()
	}
}

// connection is one on which announces come.
type connection struct {
	exchange
	conn  net.Conn
	from  netip.Addr
	in    []byte // in[:have] has come and is not answered
	have  int
	whole []byte // an answer with its head
}

var connections = sync.Pool{New: func() any { return &connection{in: make([]byte, maxRequest)} }}

// serve answers announces until something else is asked or the connection ends.
func (l *listener) serve(conn net.Conn) {
	c, _ := connections.Get().(*connection)
	c.conn, c.have = conn, 0
	hand := l.t.announces(c)
	rest := bytes.Clone(c.in[:c.have])
	c.conn = nil
	connections.Put(c)
	l.mu.Lock()
	delete(l.conns, conn)
	ended := l.ended
	l.mu.Unlock()
	if !hand || ended || conn.SetDeadline(time.Time{}) != nil {
		_ = conn.Close()
		return
	}
	select {
	case l.other <- &begun{Conn: conn, rest: rest}:
	case <-l.done:
		_ = conn.Close()
	}
}

// begun is a connection of which something was read.
type begun struct {
	net.Conn
	rest []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.rest) > 0 {
		n := copy(p, b.rest)
		b.rest = b.rest[n:]
		return n, nil
	}
	return b.Conn.Read(p)
}

// announces answers what comes on a connection; true if the next request is none of its.
func (t *Tracker) announces(c *connection) (other bool) {
	var err error
	if c.from, err = t.source(c.conn.RemoteAddr().String()); err != nil {
		return false
	}
	var renewed time.Time // when idleConn began; zero: headWait has
	for {
		now := t.view.now()
		if c.have == 0 && now.Sub(renewed) > connRenew {
			renewed = now
			if c.conn.SetDeadline(time.Now().Add(idleConn)) != nil {
				return false
			}
		}
		end := bytes.Index(c.in[:c.have], crlf2)
		if end < 0 {
			if c.have == len(c.in) || !mayBeAnnounce(c.in[:c.have]) {
				return true
			}
			if c.have > 0 && !renewed.IsZero() {
				renewed = time.Time{}
				if c.conn.SetDeadline(time.Now().Add(headWait)) != nil {
					return false
				}
			}
			n, err := c.conn.Read(c.in[c.have:])
			if n <= 0 || err != nil {
				if c.have > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
					t.counts.slow.Add(1)
				}
				return false
			}
			c.have += n
			continue
		}
		if renewed.IsZero() { // the answer has time of its own
			renewed = now
			if c.conn.SetDeadline(time.Now().Add(idleConn)) != nil {
				return false
			}
		}
		path, query, closes, ok := parseRequest(c.in[:end+2])
		if !ok {
			return true
		}
		t.answerOn(c, path, query, now)
		if _, err := c.conn.Write(c.whole); err != nil || closes {
			return false
		}
		c.have = copy(c.in, c.in[end+4:c.have])
	}
}

// answerOn makes the whole answer to an announce.
func (t *Tracker) answerOn(c *connection, path, query []byte, now time.Time) {
	c.out = c.out[:0]
	err := errPasskey
	key := strings.TrimPrefix(strings.TrimSuffix(string(path), "announce"), "/")
	switch {
	case t.cfg.Passkeys == nil && key == "", t.cfg.Passkeys != nil && t.cfg.Passkeys.CheckPasskey(strings.TrimSuffix(key, "/")):
		err = t.announceBy(context.Background(), c.from, string(query), &c.exchange, now)
	case t.cfg.Passkeys == nil:
		err = errNoSuchPath
	}
	if err != nil {
		t.counts.refused(err)
		c.out = appendFailure(c.out[:0], words(err))
	}
	c.whole = append(c.whole[:0], "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\nDate: "...)
	c.whole = append(c.whole, httpDate(now)...)
	c.whole = append(c.whole, "\r\nContent-Length: "...)
	c.whole = strconv.AppendInt(c.whole, int64(len(c.out)), 10)
	c.whole = append(append(c.whole, crlf2...), c.out...)
}

var errNoSuchPath = errors.New("the tracker's path is /announce")

// dated is a time as HTTP writes it, made once a second.
type dated struct {
	second int64
	words  string
}

var lastDate atomic.Pointer[dated]

func httpDate(now time.Time) string {
	d := lastDate.Load()
	if d == nil || d.second != now.Unix() {
		d = &dated{now.Unix(), now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}
		lastDate.Store(d)
	}
	return d.words
}
