package trackers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chordtorrent/transfer"
)

const (
	// overtakeAfter is how long a tracker is waited for before the next one is asked as well.
	overtakeAfter = 3 * time.Second
	// roundLimit ends an announce that no tracker answers.
	roundLimit = 2 * time.Minute
)

// Announce implements transfer.Announcer. The event of p matters only where it is Completed
// or Stopped: whether a tracker hears that we started depends on whether it knows us.
// The error is that of the last tracker, when none has answered.
func (l *List) Announce(ctx context.Context, p transfer.Progress) (transfer.Answer, error) {
	if p.Event == transfer.Stopped {
		return transfer.Answer{}, l.stop(ctx, p)
	}
	now := time.Now()
	if p.Event != transfer.Completed && now.Before(l.least) {
		return transfer.Answer{Interval: l.next.Sub(now)}, nil
	}
	order, soonest := l.candidates(now)
	if len(order) == 0 {
		return transfer.Answer{Interval: soonest.Sub(now)}, nil
	}
	limited, cancel := context.WithTimeout(ctx, roundLimit)
	defer cancel()
	r, err := l.round(limited, order, p)
	if err != nil {
		if ctx.Err() == nil && !l.silent {
			l.silent = true
			l.c.log.Warn("no tracker answers: they are asked again", "info_hash", fmt.Sprintf("%x", l.infoHash), "trackers", l.Len(), "err", err)
		}
		return transfer.Answer{}, err
	}
	l.silent = false
	if len(r.peers) == 0 && p.Left > 0 {
		r.interval = r.least // somebody may come
	}
	now = time.Now()
	l.next, l.least = now.Add(r.interval), now.Add(r.least)
	return transfer.Answer{Peers: r.peers, Interval: r.interval}, nil
}

// try is how an announce to one tracker went.
type try struct {
	t   *tracker
	q   question
	r   reply
	err error
}

// round asks one tracker after the other until one answers. The next one is asked at once
// when one has failed, and after a while when it says nothing.
func (l *List) round(ctx context.Context, order []*tracker, p transfer.Progress) (reply, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tries := make(chan try, len(order))
	asked, open := 0, 0
	ask := func() {
		if asked < len(order) && ctx.Err() == nil {
			t := order[asked]
			q := l.question(t, p)
			asked++
			open++
			go func() {
				r, err := l.c.ask(ctx, t.url, q)
				tries <- try{t, q, r, err}
			}()
		}
	}
	overtake := time.NewTicker(overtakeAfter)
	defer overtake.Stop()
	var best *try
	var last error
	for ask(); open > 0; {
		select {
		case <-overtake.C:
			if best == nil {
				ask()
			}
		case done := <-tries:
			open--
			switch {
			case done.err == nil:
				l.answered(done)
				if best == nil {
					best = &done
					cancel() // the others; what they have heard already they forget by themselves
				}
			case best == nil:
				last = l.refused(ctx, done)
				overtake.Reset(overtakeAfter)
				ask()
			}
		}
	}
	if best == nil {
		return reply{}, last
	}
	return best.r, nil
}

// question is what one tracker is told.
func (l *List) question(t *tracker, p transfer.Progress) question {
	q := question{infoHash: l.infoHash, peerID: p.PeerID, port: p.Port, uploaded: p.Uploaded, downloaded: p.Downloaded, left: p.Left,
		event: transfer.None, want: wantPeers, key: l.key, trackerID: t.id}
	switch {
	case p.Event == transfer.Stopped:
		q.event, q.want = transfer.Stopped, 0
	case !t.knows:
		q.event = transfer.Started
	case q.left == 0 && t.left > 0:
		q.event = transfer.Completed
	}
	return q
}

func (l *List) answered(done try) {
	if done.t.failures > 0 {
		l.c.log.Info("a tracker answers again", "tracker", done.t.host())
	}
	done.t.worked(done.r, done.q.left)
	l.promote(done.t)
	if w := done.r.warning; w != "" && w != done.t.warned {
		l.c.log.Warn("a tracker warns", "tracker", done.t.host(), "info_hash", fmt.Sprintf("%x", l.infoHash), "warning", w)
	}
	done.t.warned = done.r.warning
}

// refused notes that a tracker did not answer as it should, and says so where nobody has
// ended it.
func (l *List) refused(ctx context.Context, done try) error {
	err := done.err
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = errSilent
	case ctx.Err() != nil:
		return ctx.Err()
	}
	done.t.failed(err, time.Now())
	if _, ok := errors.AsType[*Refusal](err); ok && err.Error() != done.t.warned {
		l.c.log.Warn("a tracker refuses", "tracker", done.t.host(), "info_hash", fmt.Sprintf("%x", l.infoHash), "err", err)
		done.t.warned = err.Error()
	} else {
		l.c.log.Info("a tracker fails", "tracker", done.t.host(), "info_hash", fmt.Sprintf("%x", l.infoHash), "err", err)
	}
	return fmt.Errorf("tracker %s: %w", done.t.host(), err)
}
