package node

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/discovery"
	"chordtorrent/chord/rpc"
)

const (
	// lookAroundFor is how long a new node waits for somebody to tell it of the
	// ring before it takes any place. Where nobody is, it is part of the silence
	// after which a node is alone.
	lookAroundFor = 250 * time.Millisecond
	// placesTried is how many places a new node draws to choose from. More would
	// be more even, but of several that come at once all would choose one arc.
	placesTried = 8
)

// lookAround asks a member of the ring, whoever is heard of first, where the
// members stand. It is empty when nobody answers in time. The hints that it has
// heard meanwhile are the caller's to use.
func (n *Node) lookAround(ctx context.Context) (places []chord.ID, heard []discovery.Hint) {
	ctx, cancel := context.WithTimeout(ctx, lookAroundFor)
	defer cancel()
	answers := make(chan []chord.ID)
	asking := 0
	ask := func(addrs ...string) {
		asking++
		go func() { answers <- n.askPlaces(ctx, addrs) }()
	}
	defer func() {
		for cancel(); asking > 0; asking-- {
			<-answers
		}
	}()
	listed, _ := n.cfg.join.Resolve(ctx) // the joiner will say what does not resolve
	for _, addr := range listed {
		ask(addr)
	}
	var hints <-chan discovery.Hint
	if n.multicast != nil {
		hints = n.multicast.Hints()
	}
	for hints != nil || asking > 0 {
		select {
		case h, ok := <-hints:
			if !ok {
				hints = nil
				continue
			}
			heard = append(heard, h)
			if asking < joinAtOnce && len(h.Addrs) > 0 {
				ask(h.Addrs...)
			}
		case places = <-answers:
			if asking--; len(places) > 0 {
				return places, heard
			}
		case <-ctx.Done():
			return nil, heard
		}
	}
	return nil, heard
}

// askPlaces asks the member at the first address that answers.
func (n *Node) askPlaces(ctx context.Context, addrs []string) (places []chord.ID) {
	for _, addr := range addrs {
		c, err := rpc.Dial(ctx, addr, n.cfg.Cluster, n.cfg.keeper)
		if err != nil {
			continue
		}
		reply, _ := c.Call(ctx, chord.GetStatus{})
		_ = c.Close()
		if s, ok := reply.(chord.Status); ok {
			for _, r := range slices.Concat(s.Members, s.Successors, []chord.Ref{s.Self, s.Predecessor}) {
				if !r.IsZero() {
					places = append(places, r.ID)
				}
			}
			return places
		}
	}
	return nil
}

// choosePlace draws some places and takes the one in the widest of the arcs
// between those where members stand, so that ranges come out more even than by
// chance alone. It does not take the middle of the arc: others that come at the
// same time see the same arcs.
func choosePlace(taken []chord.ID, draw func() chord.ID) chord.ID {
	slices.SortFunc(taken, chord.ID.Compare)
	taken = slices.Compact(taken)
	best := draw()
	if len(taken) < 2 {
		return best
	}
	arc := func(id chord.ID) chord.ID {
		i, _ := slices.BinarySearchFunc(taken, id, chord.ID.Compare)
		return chord.Distance(taken[(i+len(taken)-1)%len(taken)], taken[i%len(taken)])
	}
	for range placesTried - 1 {
		if id := draw(); arc(id).Compare(arc(best)) > 0 {
			best = id
		}
	}
	return best
}

// anyPlace draws from all places alike.
func anyPlace() (id chord.ID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}
