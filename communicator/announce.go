package communicator

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"

	"chordtorrent/chord"
)

// Event is what happened to a peer since its last announce, as in BEP 3.
type Event uint8

const (
	// None: it is time to announce again.
	None Event = iota
	// Started: the first announce of a run; the interval begins short.
	Started
	// Completed: the last piece arrived.
	Completed
	// Stopped: the peer leaves the swarm and is forgotten at once.
	Stopped
)

func (e Event) String() string {
	switch e {
	case Started:
		return "started"
	case Completed:
		return "completed"
	case Stopped:
		return "stopped"
	}
	return "none"
}

// Announce is what a peer tells the ring about itself.
type Announce struct {
	// Name the torrent has in the ring; "" for one that is known by its info
	// hash only.
	Name     string
	InfoHash [20]byte
	PeerID   [20]byte
	Addr     netip.AddrPort // where it accepts peer connections
	ClientID uint64         // 0: it has none
	Left     int64          // bytes; 0: it has everything; < 0: unknown
	Size     int64          // bytes of the whole content; 0: unknown
	Rate     int64          // bytes per second that it receives; 0: none, or unknown
	// Have tells for each of at most 256 equal parts of the content how much
	// of it there is, 0..255.
	Have  []byte
	Event Event
	// Want is how many peers to answer with; 0 means 50, which is also the
	// most, and < 0 none.
	Want int
}

// Peer is a member of a swarm as the ring knows it; the fields are as in
// Announce.
type Peer struct {
	PeerID   [20]byte
	Addr     netip.AddrPort
	ClientID uint64
	Left     int64
	Size     int64
	Rate     int64
	Have     []byte
	Seen     time.Time // of its last announce, ring time
	// Doubters tells who could not reach it since, if anybody; see Doubt.
	Doubters [][4]byte
}

// Swarm is the answer to an Announce, or a look at a swarm.
type Swarm struct {
	Peers []Peer // chosen at random, in no order
	// Unreachable are in the ring still, and counted nowhere, as too many could not reach
	// them. It is filled by Peers.
	Unreachable []Peer
	// Seeders and Leechers count everybody known, the asker included; in a
	// swarm larger than the sample they are estimated from the sample.
	Seeders, Leechers int
	// Interval is the time to the next Announce; 0 from Peers.
	Interval time.Duration
}

const (
	announceSample = 50
	// registerGrace is how long an announce whose peers are known already
	// waits for its own registration.
	registerGrace = 3 * time.Second
)

// Announce registers a peer (or, with Stopped, removes it) and gives others
// of its swarm, never itself; a peer with nothing left to fetch is not told
// others like it. The entry expires 2.2 intervals later, after 15 s at least.
//
// If the registration alone fails, the others are given and Interval is
// short; an error means that the ring told nothing.
func (c *Communicator) Announce(ctx context.Context, a Announce) (Swarm, error) {
	if err := a.check(); err != nil {
		return Swarm{}, err
	}
	key, field := peersKey(a.Name, a.InfoHash), peerField(a.InfoHash, a.PeerID)
	seat := swarmSeat{a.InfoHash, a.PeerID}
	if a.Event == Stopped {
		c.forgetRound(seat)
		if _, err := c.put(ctx, key, chord.Update{Name: field, Delete: true}); err != nil && !isDegraded(err) {
			return Swarm{}, fmt.Errorf("announcing the end of %s to the ring: %w", a.shown(), err)
		}
		return Swarm{Interval: maxLeecherInterval}, nil
	}

	p := c.pace(seat, a)
	interval := p.Interval(rand.Float64())
	registered := c.register(ctx, key, chord.Update{Name: field, Value: encodePeer(a), TTL: Lifetime(interval)})
	r, err := c.get(ctx, chord.Get{Key: key, Prefix: string(a.InfoHash[:]), Sample: announceSample})
	if err != nil {
		// It ends with ctx or the operation's budget, as the read did.
		if err := <-registered; err != nil {
			c.log.Debug("registering a peer in the ring failed too", "name", a.Name, "err", err)
		}
		return Swarm{}, fmt.Errorf("asking the ring for peers of %s: %w", a.shown(), err)
	}
	s := c.swarm(r, &a)
	c.remember(seat, s)
	if p.Needs, p.Known = a.Left != 0, len(s.Peers); p.Needs {
		interval = min(interval, p.Interval(rand.Float64()))
	}
	s.Interval = interval
	if err := c.await(ctx, registered); err != nil {
		level := slog.LevelWarn
		if ctx.Err() != nil {
			level = slog.LevelDebug // whoever asked for it has ended it: nobody's fault
		}
		c.log.Log(context.WithoutCancel(ctx), level, "registering a peer in the ring failed", "name", a.Name, "info_hash", fmt.Sprintf("%x", a.InfoHash), "err", err)
		s.Interval = min(interval, youngInterval)
	}
	return s, nil
}

func (a *Announce) check() error {
	switch {
	case a.Name != "" && CheckName(a.Name) != nil:
		return fmt.Errorf("announce: %w", CheckName(a.Name))
	case !a.Addr.IsValid() || a.Addr.Port() == 0 || a.Addr.Addr().IsUnspecified():
		return fmt.Errorf("announce of %s: %w: %v is no address that peers could connect to", a.shown(), ErrBadArgument, a.Addr)
	case len(a.Have) > maxBuckets:
		return fmt.Errorf("announce of %s: %w: %d buckets of what it has, at most %d are possible", a.shown(), ErrBadArgument, len(a.Have), maxBuckets)
	}
	return nil
}

func (a *Announce) shown() string {
	if a.Name != "" {
		return fmt.Sprintf("%q", a.Name)
	}
	return fmt.Sprintf("info hash %x", a.InfoHash)
}

// register writes the peer's entry while its Announce goes on reading. The
// entry is soft, so fewer copies than wanted are good enough.
func (c *Communicator) register(ctx context.Context, key chord.Key, u chord.Update) <-chan error {
	done := make(chan error, 1)
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.wg.Add(1)
	}
	c.mu.Unlock()
	if closed {
		done <- ErrClosed
		return done
	}
	go func() {
		defer c.wg.Done()
		_, err := c.put(ctx, key, u)
		if isDegraded(err) {
			err = nil
		}
		done <- err
	}()
	return done
}

func (c *Communicator) await(ctx context.Context, registered <-chan error) error {
	t := time.NewTimer(registerGrace)
	defer t.Stop()
	select {
	case err := <-registered:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return fmt.Errorf("no answer in %v: %w", registerGrace, ErrUnavailable)
	}
}

// Peers looks at a swarm without joining it: n peers at random (0 means 50)
// of the info hash under the name, or under no name. The zero info hash means
// all versions of the name.
func (c *Communicator) Peers(ctx context.Context, name string, infoHash [20]byte, n int) (Swarm, error) {
	a := Announce{Name: name, InfoHash: infoHash}
	if name != "" {
		if err := CheckName(name); err != nil {
			return Swarm{}, err
		}
	}
	if n <= 0 {
		n = announceSample
	}
	// However few are wanted, seeders and leechers are counted from a sample that tells.
	op := chord.Get{Key: peersKey(name, infoHash), Sample: max(n, announceSample)}
	if infoHash != [20]byte{} {
		op.Prefix = string(infoHash[:])
	}
	r, err := c.get(ctx, op)
	if err != nil {
		return Swarm{}, fmt.Errorf("asking the ring for peers of %s: %w", a.shown(), err)
	}
	s := c.swarm(r, nil)
	s.Peers = s.Peers[:min(n, len(s.Peers))] // in no order
	return s, nil
}

// swarm makes the answer from a sample of a peer map. asker, unless nil, is
// counted but not given.
func (c *Communicator) swarm(r chord.GetReply, asker *Announce) Swarm {
	var s Swarm
	var seeders, leechers, unreachable int
	met := false
	for _, f := range r.Fields {
		if len(f.Name) != 2*hashBytes {
			continue
		}
		p, err := decodePeer(f.Value)
		if err != nil {
			c.log.Warn("peer entry does not decode", "peer", fmt.Sprintf("%x", f.Name[hashBytes:]), "err", err)
			continue
		}
		copy(p.PeerID[:], f.Name[hashBytes:])
		p.Seen = time.UnixMilli(f.Stamp.Millis()).UTC()
		if asker != nil && p.PeerID == asker.PeerID {
			met = true
			continue
		}
		if len(p.Doubters) == enoughDoubters {
			unreachable++
			if asker == nil {
				s.Unreachable = append(s.Unreachable, p)
			}
			continue
		}
		if p.Left == 0 {
			seeders++
		} else {
			leechers++
		}
		// Seeds have nothing for each other. But aria2 says that nothing is left when it
		// begins with a magnet link, and does not know yet how much there is.
		if asker != nil && asker.Left == 0 && p.Left == 0 && asker.Event != Started {
			continue
		}
		s.Peers = append(s.Peers, p)
	}
	// Who is not in the sample is like those who are.
	others := r.Total
	if met {
		others--
	} else if asker != nil && r.Total > len(r.Fields) {
		others-- // not drawn, but surely counted from its second announce on
	}
	if sampled := seeders + leechers + unreachable; sampled > 0 && others > sampled {
		seeders = (seeders*others + sampled/2) / sampled
		leechers = max(others-seeders-unreachable*others/sampled, 0)
	}
	if asker != nil {
		if asker.Left == 0 {
			seeders++
		} else {
			leechers++
		}
	}
	s.Seeders, s.Leechers = seeders, leechers
	rand.Shuffle(len(s.Peers), func(i, j int) { s.Peers[i], s.Peers[j] = s.Peers[j], s.Peers[i] })
	if asker != nil {
		want := asker.Want
		if want == 0 {
			want = announceSample
		}
		s.Peers = s.Peers[:min(max(want, 0), len(s.Peers))]
	}
	return s
}
