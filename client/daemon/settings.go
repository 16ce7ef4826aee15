package daemon

import (
	"context"
	"fmt"

	"chordtorrent/client"
	"chordtorrent/client/api"
)

// Change sets what may be set of a job at any time.
func (d *Daemon) Change(ctx context.Context, id string, c api.Change) (api.Job, error) {
	var priority int
	var down, up int64
	set(&priority, c.Priority)
	set(&down, c.LimitDown)
	set(&up, c.LimitUp)
	if err := check(priority, down, up); err != nil {
		return api.Job{}, err
	}
	return d.with(ctx, id, nil, func(j *job) error {
		set(&j.Priority, c.Priority)
		set(&j.Down, c.LimitDown)
		set(&j.Up, c.LimitUp)
		set(&j.Follow, c.Follow)
		j.limit()
		d.unwait(j)
		d.wait(j)
		d.save(j)
		return nil
	})
}

// MaxPriority bounds priorities, in both directions.
const MaxPriority = 1000

func check(priority int, down, up int64) error {
	switch {
	case priority < -MaxPriority || priority > MaxPriority:
		return fmt.Errorf("%w: the priority %d: use -%d to %d", client.ErrUsage, priority, MaxPriority, MaxPriority)
	case down < 0 || up < 0:
		return fmt.Errorf("%w: a limit cannot be negative", client.ErrUsage)
	}
	return nil
}

func set[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}

// Settings gives what holds for all jobs.
func (d *Daemon) Settings(ctx context.Context) (s api.Settings, err error) {
	err = d.do(ctx, func() { s = d.settings })
	return s, err
}

// SetSettings changes all of it.
func (d *Daemon) SetSettings(ctx context.Context, s api.Settings) error {
	_, err := d.ChangeSettings(ctx, api.SettingsChange{LimitDown: &s.LimitDown, LimitUp: &s.LimitUp, MaxDownloads: &s.MaxDownloads})
	return err
}

// ChangeSettings changes what c names and gives what holds then. A client.ErrUsage when
// that is not possible.
func (d *Daemon) ChangeSettings(ctx context.Context, c api.SettingsChange) (s api.Settings, err error) {
	err = d.try(ctx, func() error {
		s = d.settings
		set(&s.LimitDown, c.LimitDown)
		set(&s.LimitUp, c.LimitUp)
		set(&s.MaxDownloads, c.MaxDownloads)
		if s.LimitDown < 0 || s.LimitUp < 0 || s.MaxDownloads < 1 {
			return fmt.Errorf("%w: limits cannot be negative, and one download at least has to run at a time", client.ErrUsage)
		}
		d.settings, d.chosen = s, true
		d.c.SetLimits(s.LimitDown, s.LimitUp)
		d.write(entry{Settings: &s})
		return nil
	})
	return s, err
}
