package node

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"chordtorrent/chord"
)

// gossip knows who is alive. memberlist finds out; its handlers, which run
// under its locks, only note what they are told.
type gossip struct {
	log       *slog.Logger
	self      presence
	changed   func() // called after every note; never blocks, never calls memberlist
	ml        *memberlist.Memberlist
	transport *gossipTransport
	keys      *memberlist.Keyring // nil: not encrypted
	lines     gossipLog

	mu    sync.Mutex
	alive map[string]presence // by name in gossip
	twin  uint64              // epoch of another process with our identity, once it was told
}

// gossipLabel is the short form of a cluster's name that every packet and
// stream of its gossip begins with.
func gossipLabel(cluster string) string {
	sum := sha256.Sum256([]byte("chordtorrent gossip\n" + cluster))
	return hex.EncodeToString(sum[:6])
}

// gossipConfig is memberlist's, tuned so that a member killed on a LAN is
// declared dead in 2 to 3 seconds: half a second to notice that it does not
// answer, then 1.5 s in which it may object, or 3 s if nobody else has
// noticed.
func gossipConfig(self presence, cluster string, t *gossipTransport, lines *gossipLog) *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name = self.name()
	c.Transport = t
	c.Label = gossipLabel(cluster)
	c.Logger = lines.logger()
	c.ProbeInterval = 500 * time.Millisecond
	c.ProbeTimeout = 200 * time.Millisecond
	c.SuspicionMult = 3
	c.SuspicionMaxTimeoutMult = 2
	c.AwarenessMaxMultiplier = 4
	c.GossipInterval = 100 * time.Millisecond
	c.PushPullInterval = 15 * time.Second
	c.TCPTimeout = 3 * time.Second
	// A view of a few hundred members is a few packets: not worth the work.
	c.EnableCompression = false
	return c
}

func startGossip(self presence, cluster string, keys [][]byte, t *gossipTransport, log *slog.Logger, changed func()) (*gossip, error) {
	g := &gossip{
		log: log, self: self, changed: changed, transport: t, lines: gossipLog{to: log},
		alive: map[string]presence{},
	}
	c := gossipConfig(self, cluster, t, &g.lines)
	ring, err := keyring(keys)
	if err != nil {
		return nil, fmt.Errorf("start gossip: %w", err)
	}
	g.keys, c.Keyring = ring, ring
	c.Delegate, c.Events, c.Alive = metadata(self.encode()), g, g
	ml, err := memberlist.Create(c)
	if err != nil {
		return nil, fmt.Errorf("start gossip: %w", err)
	}
	g.ml = ml
	return g, nil
}

// members gives who is alive, self included, one presence per identity: the
// newest epoch's.
func (g *gossip) members() []presence {
	g.mu.Lock()
	defer g.mu.Unlock()
	newest := map[chord.ID]presence{g.self.ID: g.self}
	for _, p := range g.alive {
		if held, ok := newest[p.ID]; p.ID != g.self.ID && (!ok || held.Epoch < p.Epoch) {
			newest[p.ID] = p
		}
	}
	out := make([]presence, 0, len(newest))
	for _, p := range newest {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b presence) int { return a.ID.Compare(b.ID) })
	return out
}

// refused counts what was no gossip, or not that of this ring, by reason.
func (g *gossip) refused() map[string]uint64 {
	counts := map[string]uint64{"not_gossip": g.transport.foreign.Load()}
	maps.Copy(counts, g.lines.snapshot())
	return counts
}

// join exchanges views with whoever listens at addr.
func (g *gossip) join(addr string) error {
	_, err := g.ml.Join([]string{addr})
	return err
}

// leave tells the others that this member goes on purpose.
func (g *gossip) leave(timeout time.Duration) error { return g.ml.Leave(timeout) }

// stop ends gossip and closes its sockets, saying nothing to anybody.
func (g *gossip) stop() error { return g.ml.Shutdown() }

// NotifyAlive implements memberlist.AliveDelegate: whoever cannot be
// understood is not taken for a member.
func (g *gossip) NotifyAlive(n *memberlist.Node) error {
	p, err := decodePresence(n.Meta)
	if err != nil {
		return err
	}
	if p.name() != n.Name {
		return fmt.Errorf("%w: name %q belongs to somebody else", errBadPresence, n.Name)
	}
	return nil
}

// NotifyJoin implements memberlist.EventDelegate.
func (g *gossip) NotifyJoin(n *memberlist.Node) { g.note(n) }

// NotifyUpdate implements memberlist.EventDelegate.
func (g *gossip) NotifyUpdate(n *memberlist.Node) { g.note(n) }

// NotifyLeave implements memberlist.EventDelegate.
func (g *gossip) NotifyLeave(n *memberlist.Node) {
	g.mu.Lock()
	delete(g.alive, n.Name)
	g.mu.Unlock()
	g.changed()
}

func (g *gossip) note(n *memberlist.Node) {
	p, err := decodePresence(n.Meta)
	if err != nil {
		return // NotifyAlive has refused it
	}
	g.mu.Lock()
	g.alive[n.Name] = p
	twin := p.ID == g.self.ID && p.Epoch > g.self.Epoch && p.Epoch != g.twin
	if twin {
		g.twin = p.Epoch
	}
	g.mu.Unlock()
	if twin {
		g.log.Error("another process runs with this node's identity, as if its data directory had been copied: stop one of them", "node", p.ID.String(), "addr", p.Addr)
	}
	g.changed()
}

// metadata is what memberlist tells others about this node.
type metadata []byte

func (m metadata) NodeMeta(int) []byte             { return m } // far below the limit
func (metadata) NotifyMsg([]byte)                  {}
func (metadata) GetBroadcasts(int, int) [][]byte   { return nil }
func (metadata) LocalState(bool) []byte            { return nil }
func (metadata) MergeRemoteState(_ []byte, _ bool) {}
