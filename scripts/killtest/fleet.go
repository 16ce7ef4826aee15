package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"chordtorrent/chord/secret"
	"chordtorrent/scripts/lab"
)

// fleet is the ring under test.
type fleet struct {
	o       *options
	lab     *lab.Lab // nil: all on this host
	members []*member
	keeper  *secret.Keeper // of this program's own questions; nil: a ring without a secret
}

// newFleet prepares n members and starts them all at once.
func newFleet(o *options, l *lab.Lab, n int) (*fleet, error) {
	f := &fleet{o: o, lab: l}
	if o.closed {
		if err := f.firstSecret(n); err != nil {
			return f, err
		}
	}
	var list []string
	for i := range n {
		m := &member{host: -1, dir: filepath.Join(o.work, fmt.Sprint("node-", i+1)), logPath: filepath.Join(o.work, fmt.Sprintf("node-%d.log", i+1))}
		bind := "127.0.0.1:0"
		if l != nil {
			m.host = i + 1
			bind = l.Addr(i+1) + ":8000"
			list = append(list, bind)
		}
		m.args = []string{"--bind", bind, "--cluster", o.cluster, "--log-level", "info"}
		m.program = o.program
		m.witness = i < o.witnesses
		f.members = append(f.members, m)
	}
	for _, m := range f.members {
		m.args = append(m.args, "--multicast", o.nodeCast(), "--multicast-ttl", fmt.Sprint(o.ttl()))
		if l == nil {
			m.args = append(m.args, "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0")
		}
		if o.closed {
			m.secret = o.secretOf(m.host)
			m.args = append(m.args, "--secret-file", m.secret)
		}
		if o.join {
			m.args = append(m.args, "--join", strings.Join(list, ","))
		}
	}
	var waits []<-chan error
	for _, m := range f.members {
		ready, err := m.start(l)
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

// look asks every process that runs. one: they are one ring, each of them sees
// all that run and is followed by the next. whole: nothing is under-replicated or
// incomplete anywhere either. why says what is missing.
func (f *fleet) look(ctx context.Context) (one, whole bool, why string) {
	up := f.inRingOrder()
	one, whole = true, true
	for i, m := range up {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		st, err := m.status(ctx, f)
		cancel()
		next := up[(i+1)%len(up)]
		switch {
		case err != nil:
			return false, false, fmt.Sprintf("%s: %v", m.addr, err)
		case st.State != "member":
			return false, false, fmt.Sprintf("%s is %s", m.addr, st.State)
		case len(st.Members) != len(up):
			return false, false, fmt.Sprintf("%s sees %d members of %d", m.addr, len(st.Members), len(up))
		case len(up) > 1 && (len(st.Successors) == 0 || st.Successors[0].ID.String() != next.id):
			return false, false, fmt.Sprintf("%s is not followed by %s", m.addr, next.addr)
		case st.UnderReplicated > 0 || st.IncompleteRanges > 0:
			whole, why = false, fmt.Sprintf("%s: %d under-replicated, %d incomplete", m.addr, st.UnderReplicated, st.IncompleteRanges)
		}
	}
	return one, whole, why
}

// settle waits until the ring is whole, and gives how long it took until it was
// one, and until it was whole.
func (f *fleet) settle(limit time.Duration) (one, whole time.Duration, err error) {
	began := time.Now()
	t := time.NewTicker(150 * time.Millisecond)
	defer t.Stop()
	for {
		isOne, isWhole, why := f.look(context.Background())
		took := time.Since(began)
		if isOne && one == 0 {
			one = took
		} else if !isOne {
			one = 0
		}
		switch {
		case isWhole:
			return one, took, nil
		case took > limit:
			return one, took, fmt.Errorf("not whole after %v: %s", limit, why)
		}
		<-t.C
	}
}

// witnesses are the members that a run of rounds never kills, and measures.
func (f *fleet) witnesses() (list []*member) {
	for _, m := range f.members {
		if m.witness {
			list = append(list, m)
		}
	}
	return list
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
