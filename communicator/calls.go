package communicator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"chordtorrent/chord"
)

const (
	// opBudget is how long one operation may take, retries included.
	opBudget = 15 * time.Second
	// firstPause and maxPause bound the waits between two tries; each wait is
	// jittered by half, so that clients do not come back in step.
	firstPause = 50 * time.Millisecond
	maxPause   = time.Second
	// smallPage is asked for where one short field is wanted.
	smallPage = 4 << 10
)

// bounded ends with ctx, with Close, or when the operation's budget is spent.
func (c *Communicator) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeoutCause(ctx, opBudget, errBudget)
	stop := context.AfterFunc(c.ending, cancel)
	return ctx, func() { stop(); cancel() }
}

var errBudget = fmt.Errorf("no ring member gave an answer that counts within %v", opBudget)

// call carries out one operation and checks that the answer's type fits it.
func (c *Communicator) call(ctx context.Context, op any) (any, error) {
	rep, err := c.caller.Call(ctx, op)
	if err != nil {
		if c.ending.Err() != nil {
			return nil, ErrClosed
		}
		if errors.Is(context.Cause(ctx), errBudget) {
			return nil, fmt.Errorf("%w: %w", errBudget, err)
		}
		return nil, err
	}
	ok := false
	switch op.(type) {
	case chord.Get:
		_, ok = rep.(chord.GetReply)
	case chord.Put:
		_, ok = rep.(chord.PutReply)
	case chord.AssignID:
		_, ok = rep.(chord.AssignIDReply)
	case chord.Forget:
		_, ok = rep.(chord.ForgetReply)
	case chord.GetStatus:
		_, ok = rep.(chord.Status)
	}
	if !ok {
		return nil, fmt.Errorf("ring member answered a %T with a %T", op, rep)
	}
	return rep, nil
}

// retry calls op until its outcome is one to live with. What the ring says in
// passing (it is moving the data, too few members answered, this member is
// leaving) is tried again after a pause; every operation is a read or a map
// update, which may be done twice without harm.
func (c *Communicator) retry(ctx context.Context, op any) (any, error) {
	pause := firstPause
	for {
		rep, err := c.call(ctx, op)
		if err != nil {
			return nil, err
		}
		code := replyCode(rep)
		switch code {
		case chord.CodeNotReady, chord.CodeUnavailable, chord.CodeLeaving, chord.CodeNotOwner:
		default:
			return rep, nil
		}
		t := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			if c.ending.Err() != nil {
				return nil, ErrClosed
			}
			return nil, fmt.Errorf("%w (%w)", code.Err(), context.Cause(ctx))
		}
		pause = min(2*pause, maxPause)
	}
}

func replyCode(rep any) chord.Code {
	switch rep := rep.(type) {
	case chord.GetReply:
		return rep.Code
	case chord.PutReply:
		return rep.Code
	case chord.AssignIDReply:
		return rep.Code
	}
	return chord.CodeOK
}

// get reads one page. A map without any matching field is an empty page, not
// an error: whether nothing is wrong is for the caller to say. But a hard map
// that is empty only as far as too few replicas know is ErrNotReady: that is
// no claim that there is nothing.
func (c *Communicator) get(ctx context.Context, op chord.Get) (chord.GetReply, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	rep, err := c.retry(ctx, op)
	if err != nil {
		return chord.GetReply{}, err
	}
	r := rep.(chord.GetReply)
	if r.Code == chord.CodeNotFound {
		return chord.GetReply{Unconfirmed: r.Unconfirmed}, nil
	}
	if r.Code == chord.CodeOK && len(r.Fields) == 0 && r.Unconfirmed && op.After == "" && op.Key.Class() == chord.Hard {
		return r, chord.ErrNotReady
	}
	return r, r.Code.Err()
}

// getAll reads all pages.
func (c *Communicator) getAll(ctx context.Context, op chord.Get) (chord.GetReply, error) {
	var all chord.GetReply
	for {
		r, err := c.get(ctx, op)
		if err != nil {
			return all, err
		}
		all.Fields = append(all.Fields, r.Fields...)
		all.Unconfirmed = all.Unconfirmed || r.Unconfirmed
		if !r.More || len(r.Fields) == 0 {
			all.Total = len(all.Fields)
			return all, nil
		}
		op.After = r.Fields[len(r.Fields)-1].Name
	}
}

// getField reads the one field with this very name; found is false when the
// map does not have it. As names are read in order, it comes first under
// itself as a prefix.
func (c *Communicator) getField(ctx context.Context, key chord.Key, name string) (f chord.Field, found bool, err error) {
	r, err := c.get(ctx, chord.Get{Key: key, Prefix: name, Limit: smallPage})
	if err != nil || len(r.Fields) == 0 || r.Fields[0].Name != name {
		return chord.Field{}, false, err
	}
	return r.Fields[0], true, nil
}

// put writes; the reply is valid also with a Degraded error.
func (c *Communicator) put(ctx context.Context, key chord.Key, updates ...chord.Update) (chord.PutReply, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	rep, err := c.retry(ctx, chord.Put{Key: key, Updates: updates})
	if err != nil {
		return chord.PutReply{}, err
	}
	r := rep.(chord.PutReply)
	return r, r.Err()
}

// each runs f for 0..n-1, at most limit at a time, and gives the first error;
// after one, no further f is begun and the context of those running ends.
func each(ctx context.Context, n, limit int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(n, limit) {
		workers.Go(func() {
			for i := range next {
				if ctx.Err() != nil {
					continue
				}
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}

// Call carries out one operation of package chord (Get, Put, AssignID, Forget or
// GetStatus, by value) at a ring member within reach, as it is: for programs that
// look at the ring itself. Its reply may carry a Code of failure. It blocks until
// the reply is there or ctx ends.
func (c *Communicator) Call(ctx context.Context, op any) (any, error) { return c.call(ctx, op) }
