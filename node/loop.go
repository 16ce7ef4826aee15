package node

import (
	"log/slog"
	"sync/atomic"
	"time"

	"chordtorrent/chord"
	"chordtorrent/node/store"
)

// loop drives the Member: it is the only goroutine that touches it.
type loop struct {
	log    *slog.Logger
	member *chord.Member
	queue  *queue
	db     *store.DB
	send   func(chord.Envelope) // never blocks
	view   func() []chord.Ref   // gossip's, self included
	clock  clock
	self   chord.Ref

	refused refusals

	token   uint64
	pending map[uint64]asked // operations under way, by token
	release func()           // ends the message being handled; nil: none, or passed on
	wake    chord.Time       // when the Member wants to be called again
	hasLeft bool

	members atomic.Int64  // in the view that the Member was last given
	ready   chan struct{} // closed when the Member is part of a ring
	left    chan struct{} // closed when it has left
	stop    chan struct{} // closed by the node: end without a word
	done    chan struct{} // closed when the loop has ended
}

// run is the loop. It returns when stop is closed.
func (l *loop) run() {
	defer close(l.done)
	defer l.refuseRest()
	timer := time.NewTimer(0)
	defer timer.Stop()
	l.member.Start(l.clock.now())
	isReady := false
	var events []any
	for {
		var viewChanged bool
		events, viewChanged = l.queue.take(events)
		now := l.clock.now()
		// Timers first, and output after each step, so that nothing reaches a
		// Member that has left.
		l.step(func() { l.member.Tick(now) })
		if viewChanged {
			refs := l.view()
			l.members.Store(int64(len(refs)))
			l.step(func() { l.member.View(now, refs) })
		}
		for _, event := range events {
			l.handle(now, event)
		}
		if !isReady && l.member.Ready() {
			isReady = true
			close(l.ready)
		}
		timer.Reset(l.clock.until(l.wake))
		select {
		case <-l.queue.wake:
		case <-timer.C:
		case <-l.stop:
			return
		}
	}
}

// step does one thing with the Member, unless it has left, and carries out
// what comes of it.
func (l *loop) step(do func()) {
	if !l.hasLeft {
		do()
		l.carryOut(l.member.Take())
	}
}

func (l *loop) handle(now chord.Time, event any) {
	if e, ok := event.(asked); ok {
		switch {
		case l.hasLeft:
			e.reply(refusal(e.op, chord.CodeLeaving)) // nobody else will answer
			return
		case e.isStale():
			// Whoever has given a write up must not find it done later.
			e.reply(refusal(e.op, chord.CodeUnavailable))
			return
		}
	}
	if e, ok := event.(received); ok && e.done != nil {
		l.release = e.done
		defer func() {
			if l.release != nil { // nothing of it is on its way to the disk
				l.release()
				l.release = nil
			}
		}()
	}
	l.step(func() {
		switch e := event.(type) {
		case received:
			l.member.Receive(now, e.env)
		case unreachable:
			l.member.Unreachable(now, e.to, e.seq, e.sent)
		case stored:
			l.member.Stored(now, e.token, e.err)
		case asked:
			l.token++
			l.pending[l.token] = e
			if e.deadline.IsZero() {
				l.member.Do(now, l.token, e.op)
			} else {
				l.member.DoWithin(now, l.token, e.op, time.Until(e.deadline))
			}
		case leave:
			l.member.Leave(now)
		}
	})
}

// carryOut does what the Member wants done.
func (l *loop) carryOut(out chord.Output) {
	l.wake = out.Wake
	if len(out.Store) > 0 {
		l.db.Apply(out.Store, l.confirmation(out.Store))
	}
	for _, env := range out.Send {
		if env.To.ID == l.self.ID {
			l.queue.post(received{env: env})
			continue
		}
		l.send(env)
	}
	for _, d := range out.Done {
		if e, ok := l.pending[d.Token]; ok {
			delete(l.pending, d.Token)
			e.reply(d.Reply)
		}
	}
	for _, e := range out.Events {
		if e.Kind == chord.EventRefused {
			l.refused.add(e.Text, e.Ref)
			continue
		}
		attrs := []any{"event", e.Kind, "text", e.Text}
		if !e.Ref.IsZero() {
			attrs = append(attrs, "node", e.Ref.ID.String(), "addr", e.Ref.Addr)
		}
		l.log.Info("ring changed", attrs...)
		if e.Kind == "left" && !l.hasLeft {
			l.hasLeft, l.wake = true, 0
			l.refusePending()
			close(l.left)
		}
	}
}

// confirmation makes the callback of store operations. With the last of them
// the message that they came of is done with too.
func (l *loop) confirmation(ops []chord.StoreOp) func(uint64, error) {
	var left atomic.Int64
	for _, op := range ops {
		if op.Token != 0 {
			left.Add(1)
		}
	}
	var release func()
	if left.Load() > 0 {
		release, l.release = l.release, nil
	}
	return func(token uint64, err error) {
		l.queue.post(stored{token, err})
		if left.Add(-1) == 0 && release != nil {
			release()
		}
	}
}

// refuseRest answers the operations that the Member will not.
func (l *loop) refuseRest() {
	for _, event := range l.queue.close() {
		if e, ok := event.(asked); ok {
			e.reply(refusal(e.op, chord.CodeLeaving))
		}
	}
	l.refusePending()
}

func (l *loop) refusePending() {
	for token, e := range l.pending {
		delete(l.pending, token)
		e.reply(refusal(e.op, chord.CodeLeaving))
	}
}

// refusal is the reply to an operation that was not carried out; nil for
// something that is no operation.
func refusal(op any, code chord.Code) any {
	switch op.(type) {
	case chord.Get:
		return chord.GetReply{Code: code}
	case chord.Put:
		return chord.PutReply{Code: code}
	case chord.AssignID:
		return chord.AssignIDReply{Code: code}
	case chord.Forget:
		return chord.ForgetReply{Code: code}
	case chord.GetStatus:
		return chord.Status{State: "leaving"}
	}
	return nil
}

// clock is the machine's, made never to run backwards nor to stand still: a
// wall clock that is set back is not followed, one that is set forward (or a
// machine that was suspended) is.
type clock struct {
	base    chord.Time
	started time.Time // with its monotonic part
	wall    func() time.Time
	since   func(time.Time) time.Duration
}

func newClock() clock {
	now := time.Now()
	return clock{base: chord.Time(now.UnixNano()), started: now, wall: time.Now, since: time.Since}
}

// maxClockLag is how far the clock may be behind the machine's wall clock.
const maxClockLag = time.Second

func (c *clock) now() chord.Time {
	now := c.base.Add(c.since(c.started))
	if lag := chord.Time(c.wall().UnixNano()).Sub(now); lag > maxClockLag {
		c.base = c.base.Add(lag)
		now = now.Add(lag)
	}
	return now
}

// until is how long to wait for t; the zero Time is never.
func (c *clock) until(t chord.Time) time.Duration {
	if t == 0 {
		return time.Hour
	}
	return max(0, t.Sub(c.now()))
}
