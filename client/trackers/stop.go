package trackers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"chordtorrent/transfer"
)

// stopPatience is how long a tracker may take to hear that we leave: it forgets us anyway.
const stopPatience = 2 * time.Second

// stop tells all that know of us that we leave, at the same time. Afterwards the List may
// be used again, from the beginning.
func (l *List) stop(ctx context.Context, p transfer.Progress) error {
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	ended := make(chan error)
	told := 0
	for _, tier := range l.tiers {
		for _, t := range tier {
			if !t.knows {
				continue
			}
			told++
			q := l.question(t, p)
			go func() {
				_, err := l.c.ask(ctx, t.url, q)
				if err != nil {
					err = fmt.Errorf("tracker %s: %w", t.host(), err)
				}
				ended <- err
			}()
			t.knows = false
		}
	}
	var errs []error
	for range told {
		errs = append(errs, <-ended)
	}
	l.next, l.least = time.Time{}, time.Time{}
	return errors.Join(errs...)
}
