package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"chordtorrent/client"
	"chordtorrent/client/api"
)

// watchAll shows all jobs that are not done, a bar each, until ctx ends; those that end
// leave a line. Without a terminal it prints a line per change.
func (a *app) watchAll(ctx context.Context, r *api.Remote) error {
	if a.out.json || a.progressMode != progressBar {
		return a.watchLines(ctx, r)
	}
	bars := mpb.NewWithContext(ctx, mpb.WithOutput(a.console.terminal), mpb.WithAutoRefresh(), mpb.WithWidth(30))
	a.console.divert(bars)
	defer a.console.divert(nil)
	shown := map[string]*jobBar{}
	began := time.Now()
	err := r.Follow(ctx, func(e api.Event) error {
		if e.Job == nil {
			if b := shown[e.Removed]; b != nil {
				b.bar.Abort(true)
				delete(shown, e.Removed)
			}
			return nil
		}
		b := shown[e.Job.ID]
		switch {
		case e.Job.State.Ended() && b == nil:
			if e.Job.Finished.After(began) {
				fmt.Fprintln(bars, jobLine(*e.Job))
			}
		case e.Job.State.Ended():
			b.bar.Abort(true)
			delete(shown, e.Job.ID)
			fmt.Fprintln(bars, jobLine(*e.Job))
		case b == nil:
			shown[e.Job.ID] = newJobBar(bars, *e.Job)
		default:
			b.see(*e.Job)
		}
		return nil
	})
	for _, b := range shown {
		b.bar.Abort(false)
	}
	bars.Wait()
	return watched(ctx, err)
}

// watched is how the watching ended: asked to, it is well.
func watched(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// watchLines prints each job when its state has changed.
func (a *app) watchLines(ctx context.Context, r *api.Remote) error {
	last := map[string]string{}
	err := r.Follow(ctx, func(e api.Event) error {
		if e.Job == nil {
			delete(last, e.Removed)
			return nil
		}
		if now := string(e.Job.State) + e.Job.Stage + e.Job.Error; last[e.Job.ID] != now {
			last[e.Job.ID] = now
			a.printJob(*e.Job)
		}
		if a.out.silenced() {
			return io.EOF
		}
		return nil
	})
	if errors.Is(err, io.EOF) && a.out.silenced() {
		return nil
	}
	return watched(ctx, err)
}

// jobBar is a job on a terminal.
type jobBar struct {
	bar *mpb.Bar
	mu  sync.Mutex
	job api.Job
}

func newJobBar(bars *mpb.Progress, j api.Job) *jobBar {
	b := &jobBar{job: j}
	text := func(f func(j api.Job) string) decor.Decorator {
		return decor.Any(func(decor.Statistics) string {
			b.mu.Lock()
			defer b.mu.Unlock()
			return f(b.job)
		}, decor.WCSyncSpaceR)
	}
	b.bar = bars.New(max(j.Bytes, 1), mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]"),
		mpb.PrependDecorators(text(func(j api.Job) string { return shorten(j.Name, 30) })),
		mpb.AppendDecorators(text(jobText)))
	b.see(j)
	return b
}

func (b *jobBar) see(j api.Job) {
	b.mu.Lock()
	b.job = j
	b.mu.Unlock()
	b.bar.SetTotal(max(j.Bytes, 1), false)
	b.bar.SetCurrent(min(j.Done, max(j.Bytes, 1)))
}

func jobText(j api.Job) string {
	text := ""
	if j.Bytes > 0 {
		text = fmt.Sprintf(" %5.1f %% of %s", client.Percent(j.Done, j.Bytes), client.FormatBytes(j.Bytes))
	}
	switch {
	case j.State != api.Running:
		text += "  " + string(j.State)
	case j.Stage == downloading:
		text += "  " + client.FormatBytes(j.RateDown) + "/s  " + peers(j.Peers)
	default:
		text += "  " + j.Stage
	}
	if j.ETA != nil {
		text += "  " + (time.Duration(*j.ETA) * time.Second).String() + " left"
	}
	if j.Reason != "" {
		text += "  (" + j.Reason + ")"
	}
	return text
}
