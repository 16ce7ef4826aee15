package rpc

import (
	"context"
	"net"
	"reflect"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"chordtorrent/chord"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience fails a test that hangs; no test waits for it when it passes.
const patience = 30 * time.Second

// note is a message between members that only these tests know. Its embedded
// interface is always nil and makes it a chord.Body.
type note struct {
	chord.Body
	Text string
}

const noteKind = maxKinds - 1

func init() {
	row := &known.byNumber[noteKind]
	row.role = message
	row.typ = reflect.TypeOf(note{})
	row.shape = &shape{class: record, fields: []*shape{{class: blob}, {class: blob}}}
	known.byType[row.typ] = noteKind
}

// member is a Transport with its Splitter on loopback, and what came out of it.
type member struct {
	*Transport
	ref    chord.Ref
	split  *Splitter
	served chan error
	got    chan chord.Envelope
	failed chan failure
}

// failure is a request that OnUnreachable was told of.
type failure struct {
	seq  uint64
	sent bool
}

type option func(*TransportConfig)

func startMember(t testing.TB, id byte, options ...option) *member {
	t.Helper()
	return startMemberAt(t, id, "127.0.0.1:0", options...)
}

func startMemberAt(t testing.TB, id byte, addr string, options ...option) *member {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return startMemberOn(t, id, ln, options...)
}

func startMemberOn(t testing.TB, id byte, ln net.Listener, options ...option) *member {
	t.Helper()
	m := &member{
		ref:    chord.Ref{ID: chord.ID{id}, Addr: ln.Addr().String()},
		split:  Split(ln, nil, nil),
		served: make(chan error, 1),
		got:    make(chan chord.Envelope, 10000),
		failed: make(chan failure, 10000),
	}
	cfg := TransportConfig{
		Self:          m.ref,
		Cluster:       "test",
		OnEnvelope:    func(e chord.Envelope, done func()) { m.got <- e; done() },
		OnUnreachable: func(_ chord.Ref, seq uint64, sent bool) { m.failed <- failure{seq, sent} },
		OnRequest:     func(r Request) { r.Reply(chord.AssignIDReply{ClientID: 7}) },
	}
	for _, o := range options {
		o(&cfg)
	}
	m.Transport = NewTransport(cfg)
	go func() { m.served <- m.Serve(m.split.RPC()) }()
	t.Cleanup(m.stop)
	return m
}

func (m *member) stop() {
	_ = m.Close()
	_ = m.split.Close()
	if m.served != nil {
		<-m.served
		m.served = nil
	}
}

// send sends a request with a text.
func (m *member) send(to chord.Ref, seq uint64, text string) {
	m.Send(chord.Envelope{From: m.ref, To: to, Seq: seq, Body: note{Text: text}})
}

// receive waits for something from a channel.
func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// until waits for a condition that other goroutines bring about.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	give := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-give:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func dialClient(t testing.TB, m *member) *Client {
	t.Helper()
	c, err := Dial(testContext(t), m.ref.Addr, "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// pipeListener accepts the connections that its dial makes in memory, so that
// a synctest bubble has its own clock for their deadlines.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) dial() net.Conn {
	near, far := net.Pipe()
	l.conns <- far
	return near
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
