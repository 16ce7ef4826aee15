package client

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"chordtorrent/transfer"
)

const (
	// sourcePatience is how long an announce waits for those that do not answer at once.
	// What they say later is given with the next one: when the engine wishes for peers, or
	// after sourceLook.
	sourcePatience = 2 * time.Second
	sourceLook     = 10 * time.Second
	// A source that failed is asked again after 1 s, 2 s … 30 s.
	firstSourceRetry = time.Second
	lastSourceRetry  = 30 * time.Second
	// usualSource is the time to the next announce where a source names none.
	usualSource = 30 * time.Second
)

// sources are several places where the peers of one torrent are known, such as the ring
// and its trackers. Each is asked at its own pace, and none waits for another. The engine
// calls it as it calls any announcer.
type sources struct {
	c       *Client
	mu      sync.Mutex // of what follows: Stop and end may come before an announce under way has ended
	each    []*source
	answers chan sourced
	ctx     context.Context // of what is under way; it outlives an announce
	cancel  context.CancelFunc
	planned time.Time // of the next announce; one that comes before is made for a wish
}

// source is one of them; what is not busy belongs to whoever announces.
type source struct {
	transfer.Announcer
	event transfer.Event // to be told next: Started until it was heard
	due   time.Time
	retry time.Duration
	busy  bool
}

type sourced struct {
	from   *source
	answer transfer.Answer
	err    error
}

func (c *Client) sourcesOf(announcers ...transfer.Announcer) *sources {
	s := &sources{c: c, answers: make(chan sourced, len(announcers))}
	s.ctx, s.cancel = context.WithCancel(c.ctx)
	for _, a := range announcers {
		s.each = append(s.each, &source{Announcer: a, event: transfer.Started, retry: firstSourceRetry})
	}
	return s
}

// Announce implements transfer.Announcer. It gives what is known within two seconds, and
// fails only with ctx.
func (s *sources) Announce(ctx context.Context, p transfer.Progress) (transfer.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Event == transfer.Stopped {
		return transfer.Answer{}, s.stop(ctx, p)
	}
	s.ask(p)
	var answer transfer.Answer
	patience := time.NewTimer(sourcePatience)
	defer patience.Stop()
	for waiting := true; waiting && s.busy() > 0 && len(answer.Peers) == 0; {
		select {
		case a := <-s.answers:
			answer.Peers = append(answer.Peers, s.heard(a)...)
		case <-patience.C:
			waiting = false
		case <-ctx.Done():
			return transfer.Answer{}, ctx.Err()
		}
	}
	answer.Interval = s.next(time.Now())
	s.planned = time.Now().Add(answer.Interval)
	return answer, nil
}

// ask begins an announce to each source whose time has come, or to all when the engine
// has run out of peers.
func (s *sources) ask(p transfer.Progress) {
	now := time.Now()
	wished := now.Before(s.planned)
	for _, from := range s.each {
		if p.Event == transfer.Completed && !from.busy && from.event == transfer.None {
			from.event, from.due = transfer.Completed, now
		}
		if from.busy || from.due.After(now) && !wished {
			continue
		}
		told := p
		told.Event = from.event
		err := s.c.goRun(func() {
			answer, err := from.Announce(s.ctx, told)
			s.answers <- sourced{from, answer, err}
		})
		from.busy = err == nil // else the client closes
	}
}

// heard notes what a source has answered and gives the peers.
func (s *sources) heard(a sourced) (peers []netip.AddrPort) {
	a.from.busy = false
	if a.err != nil {
		if s.ctx.Err() == nil {
			s.c.log.Info("announce failed", "err", a.err)
		}
		a.from.due = time.Now().Add(a.from.retry)
		a.from.retry = min(2*a.from.retry, lastSourceRetry)
		return nil
	}
	a.from.event, a.from.retry = transfer.None, firstSourceRetry
	wait := a.answer.Interval
	if wait <= 0 {
		wait = usualSource
	}
	a.from.due = time.Now().Add(wait)
	return a.answer.Peers
}

func (s *sources) busy() (n int) {
	for _, from := range s.each {
		if from.busy {
			n++
		}
	}
	return n
}

// next is the time until the next source is due, or what is under way may have ended.
func (s *sources) next(now time.Time) time.Duration {
	wait := usualSource
	for i, from := range s.each {
		until := from.due.Sub(now)
		if from.busy {
			until = sourceLook
		}
		if i == 0 || until < wait {
			wait = until
		}
	}
	return max(wait, firstSourceRetry)
}

// end ends what is under way, an announce too. What comes after it finds nobody.
func (s *sources) end() {
	s.cancel() // first: an announce that waits for the sources has the lock
	s.mu.Lock()
	defer s.mu.Unlock()
	s.empty()
}

// empty waits for the sources that are being asked, which have to be told to end.
func (s *sources) empty() {
	for s.busy() > 0 {
		s.heard(<-s.answers)
	}
}

// stop tells the sources that have heard of this peer that it leaves. Afterwards nothing
// is under way.
func (s *sources) stop(ctx context.Context, p transfer.Progress) error {
	s.cancel()
	s.empty()
	left := make(chan error)
	told := 0
	for _, from := range s.each {
		if from.event == transfer.Started {
			continue
		}
		told++
		go func() {
			_, err := from.Announce(ctx, p)
			left <- err
		}()
	}
	var errs []error
	for range told {
		errs = append(errs, <-left)
	}
	return errors.Join(errs...)
}
