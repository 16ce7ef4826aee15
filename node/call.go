package node

import (
	"context"
	"fmt"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/rpc"
)

// Call carries out a client's operation (chord.Get, Put, AssignID or
// GetStatus, by value) and waits for its reply, which may carry a Code of
// failure. What op refers to must not be changed afterwards. The error is
// ctx's, or chord.ErrLeaving when the node has stopped.
func (n *Node) Call(ctx context.Context, op any) (any, error) {
	if refusal(op, chord.CodeOK) == nil {
		panic(fmt.Sprintf("node: %T is no client's operation", op))
	}
	return await(ctx, op, n.ask)
}

// Alive waits until the node's loop has answered. The error is as of Call.
func (n *Node) Alive(ctx context.Context) error {
	_, err := n.look(ctx)
	return err
}

// look is the loop's own status, past the count of clients' operations: looking should not
// change what is seen. The error is as of Call.
func (n *Node) look(ctx context.Context) (chord.Status, error) {
	reply, err := await(ctx, chord.GetStatus{}, func(a asked) bool {
		return n.loop.queue.post(asked{op: a.op, reply: a.reply}) // never stale: a refusal is no look
	})
	st, _ := reply.(chord.Status)
	return st, err
}

// await passes an operation on by give, and waits for its reply.
func await(ctx context.Context, op any, give func(asked) bool) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	answer := make(chan any, 1)
	deadline, _ := ctx.Deadline()
	if !give(asked{op: op, deadline: deadline, gone: ctx.Done(), reply: func(reply any) { answer <- reply }}) {
		return nil, chord.ErrLeaving
	}
	select {
	case reply := <-answer:
		return reply, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// onRequest takes a client's operation from the network.
func (n *Node) onRequest(r rpc.Request) {
	if !n.ask(asked{op: r.Op, deadline: r.Deadline, gone: r.Gone, reply: r.Reply}) {
		r.Reply(refusal(r.Op, chord.CodeLeaving))
	}
}

// ask gives the loop an operation, which begins it unless nobody waits for it
// any more by then; false when the loop has ended.
func (n *Node) ask(a asked) bool {
	began, reply := time.Now(), a.reply
	var tiers [][]string
	if _, asks := a.op.(chord.GetStatus); asks {
		tiers = n.clients.Tiers() // here: the loop has no time to go through all members
	}
	a.reply = func(answer any) {
		if st, ok := answer.(chord.Status); ok {
			answer = n.complete(st, tiers)
		}
		n.metrics.operation(a.op, answer, time.Since(began))
		reply(answer)
	}
	return n.loop.queue.post(a)
}

// complete adds to a Status what the Member does not know. It runs on the loop.
func (n *Node) complete(st chord.Status, trackers [][]string) chord.Status {
	st.Version, st.Cluster, st.HTTP = n.cfg.Version, n.cfg.Cluster, n.self.HTTP
	st.Trackers = trackers
	if err := n.db.Trouble(); err != nil {
		st.Trouble = err.Error()
	}
	return st
}
