package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"chordtorrent/chord"
)

// fleet is the ring under test.
type fleet struct {
	o       *options
	lab     *lab // nil: all on this host
	members []*member
}

// newFleet prepares n members and starts them all at once.
func newFleet(o *options, l *lab, n int) (*fleet, error) {
	f := &fleet{o: o, lab: l}
	var list []string
	for i := range n {
		m := &member{host: -1, dir: filepath.Join(o.work, fmt.Sprint("node-", i+1)), logPath: filepath.Join(o.work, fmt.Sprintf("node-%d.log", i+1))}
		bind := "127.0.0.1:0"
		if l != nil {
			m.host = i + 1
			bind = l.addr(i+1) + ":8000"
			list = append(list, bind)
		}
		m.args = []string{"--bind", bind, "--cluster", o.cluster, "--log-level", "info"}
		f.members = append(f.members, m)
	}
	for _, m := range f.members {
		m.args = append(m.args, "--multicast", o.nodeCast(), "--multicast-ttl", fmt.Sprint(o.ttl()))
		if l == nil {
			m.args = append(m.args, "--http", "127.0.0.1:0")
		}
		if o.join {
			m.args = append(m.args, "--join", strings.Join(list, ","))
		}
	}
	var waits []<-chan error
	for _, m := range f.members {
		ready, err := m.start(l, o.program)
		if err != nil {
			return f, err
		}
		waits = append(waits, ready)
	}
	for _, w := range waits {
		if err := <-w; err != nil {
			return f, err
		}
	}
	return f, nil
}

func (f *fleet) stop() {
	for _, m := range f.members {
		m.kill()
	}
}

// addrs lists where members can be reached.
func (f *fleet) addrs() string {
	var list []string
	for _, m := range f.members {
		list = append(list, m.addr)
	}
	return strings.Join(list, ",")
}

// whole reports whether every process that runs is part of one ring of all that
// run, with nothing under-replicated or incomplete; why not, if not.
func (f *fleet) whole(ctx context.Context) (bool, string) {
	up := 0
	for _, m := range f.members {
		if m.cmd != nil {
			up++
		}
	}
	next := map[chord.ID]chord.ID{}
	for i, m := range f.members {
		if m.cmd == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		st, err := m.status(ctx, f.o.cluster)
		cancel()
		switch {
		case err != nil:
			return false, fmt.Sprintf("node %d: %v", i+1, err)
		case st.State != "member":
			return false, fmt.Sprintf("node %d is %s", i+1, st.State)
		case len(st.Members) != up:
			return false, fmt.Sprintf("node %d sees %d members of %d", i+1, len(st.Members), up)
		case st.UnderReplicated > 0 || st.IncompleteRanges > 0:
			return false, fmt.Sprintf("node %d: %d under-replicated, %d incomplete", i+1, st.UnderReplicated, st.IncompleteRanges)
		case up > 1 && len(st.Successors) == 0:
			return false, fmt.Sprintf("node %d has no successor", i+1)
		case up > 1:
			next[st.Self.ID] = st.Successors[0].ID
		}
	}
	if up < 2 {
		return true, ""
	}
	ids := make([]chord.ID, 0, up)
	for id := range next {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, chord.ID.Compare)
	for i, id := range ids {
		if next[id] != ids[(i+1)%len(ids)] {
			return false, fmt.Sprintf("%s does not follow %s", next[id].Short(), id.Short())
		}
	}
	return true, ""
}

// settle waits until the ring is whole, and gives how long that took.
func (f *fleet) settle(limit time.Duration) (time.Duration, error) {
	began := time.Now()
	t := time.NewTicker(150 * time.Millisecond)
	defer t.Stop()
	for {
		ok, why := f.whole(context.Background())
		switch took := time.Since(began); {
		case ok:
			return took, nil
		case took > limit:
			return took, fmt.Errorf("not whole after %v: %s", limit, why)
		}
		<-t.C
	}
}

// inRingOrder lists the members that run by their places.
func (f *fleet) inRingOrder() []*member {
	var up []*member
	for _, m := range f.members {
		if m.cmd != nil {
			up = append(up, m)
		}
	}
	slices.SortFunc(up, func(a, b *member) int { return strings.Compare(a.id, b.id) })
	return up
}

// save writes a result where the options say, and shows it.
func save(o *options, result any) error {
	js, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	if o.out == "" {
		fmt.Println(string(js))
		return nil
	}
	return os.WriteFile(o.out, append(js, '\n'), 0o644)
}
