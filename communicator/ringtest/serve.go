package ringtest

import (
	"context"
	"crypto/sha1"
	"fmt"
	"net"
	"sync"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/rpc"
)

// Member is a Ring behind a real port of its own, as one ring member that
// clients can connect to. Several Members of one Ring are a ring to fail over
// in.
type Member struct {
	Ref   chord.Ref
	split *rpc.Splitter
	tr    *rpc.Transport
	end   context.CancelFunc
	wg    sync.WaitGroup
}

// Serve opens a free port on host (an IP of this machine, such as 127.0.0.1)
// for a cluster's clients. Close the Member in the end.
func (r *Ring) Serve(host, cluster string) (*Member, error) {
	ln, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("ringtest: opening a port: %w", err)
	}
	addr := ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	m := &Member{Ref: chord.Ref{ID: sha1.Sum([]byte(addr)), Addr: addr}, end: cancel}
	m.tr = rpc.NewTransport(rpc.TransportConfig{
		Self:    m.Ref,
		Cluster: cluster,
		OnRequest: func(req rpc.Request) {
			m.wg.Go(func() { m.answer(ctx, r, req) })
		},
		OnEnvelope:    func(_ chord.Envelope, done func()) { done() },
		OnUnreachable: func(chord.Ref, uint64, bool) {},
	})
	m.split = rpc.Split(ln, nil, nil)
	m.wg.Go(func() { _ = m.tr.Serve(m.split.RPC()) })
	return m, nil
}

// answer carries out a request. One that ends in an injected Err is never
// answered, like those of a member that hangs.
func (m *Member) answer(ctx context.Context, r *Ring, req rpc.Request) {
	ctx, cancel := context.WithDeadline(ctx, req.Deadline.Add(time.Second))
	defer cancel()
	if rep, err := r.Call(ctx, req.Op); err == nil {
		req.Reply(rep)
	}
}

// Close ends the member as a crash would: its port closes and connections
// break, in the middle of a call too.
func (m *Member) Close() error {
	m.end()
	err := m.split.Close()
	if e := m.tr.Close(); err == nil {
		err = e
	}
	m.wg.Wait()
	return err
}
