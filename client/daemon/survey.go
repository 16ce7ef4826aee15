package daemon

import (
	"context"
	"slices"

	"chordtorrent/client/api"
)

// Group is a kind of jobs in one state.
type Group struct {
	Kind  api.Kind
	State api.State
}

// Survey is all jobs at a glance.
type Survey struct {
	Jobs     map[Group]int
	Serving  int
	Open     []api.Job // downloads that are not done, in the order of Jobs
	NotShown int       // open downloads that there was no room for
	Settings api.Settings
}

// Survey counts all jobs, and tells more about at most so many downloads that are not done.
func (d *Daemon) Survey(ctx context.Context, most int) (Survey, error) {
	s := Survey{Jobs: make(map[Group]int)}
	var looks []look
	err := d.do(ctx, func() {
		s.Settings = d.settings
		for _, j := range d.jobs {
			s.Jobs[Group{j.Kind, j.state()}]++
			if j.serving() {
				s.Serving++
			}
			if j.Kind == api.Download && j.State != api.Done && j.State != api.Cancelled {
				looks = append(looks, d.look(j))
			}
		}
	})
	if err != nil {
		return s, err
	}
	slices.SortFunc(looks, func(a, b look) int { return inOrder(a.job, b.job) })
	if len(looks) > most {
		s.NotShown = len(looks) - most
		looks = looks[:most]
	}
	for _, l := range looks {
		s.Open = append(s.Open, l.view(false))
	}
	return s, nil
}
