package node

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"chordtorrent/chord"
	"chordtorrent/chord/discovery"
	"chordtorrent/chord/rpc"
	"chordtorrent/node/store"
	"chordtorrent/node/tracker"
)

// Node is a running ring member. Its methods may be called from any
// goroutine.
type Node struct {
	cfg   settled
	log   *slog.Logger
	self  presence
	bound netip.Addr // of the ring port

	dir       *store.Dir
	db        *store.DB
	split     *rpc.Splitter
	transport *rpc.Transport
	gossip    *gossip
	joiner    *joiner
	multicast *discovery.Multicast // nil: off
	http      *httpServer          // nil: off
	udp       *udpServer           // nil: off
	clients   *tracker.Tracker
	loop      *loop
	metrics   *metrics

	background context.Context // ends when the node stops
	cancel     context.CancelFunc
	workers    sync.WaitGroup
	leaving    atomic.Bool
	moved      chan struct{} // closed when its address is gone
	stopOnce   sync.Once
	stopErr    error
}

// Start runs a node in the background. It returns when the node is part of a
// ring, be it a ring of one, or when ctx ends, and then nothing is left of
// it. Errors that a person can mend say how; a *ConfigError is about cfg.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	settled, err := cfg.settle()
	if err != nil {
		return nil, err
	}
	n := &Node{cfg: settled, log: settled.Log, moved: make(chan struct{})}
	n.background, n.cancel = context.WithCancel(context.Background())
	if err := n.start(ctx); err != nil {
		n.kill()
		return nil, err
	}
	select {
	case <-n.loop.ready:
		return n, nil
	case <-ctx.Done():
		n.kill()
		return nil, fmt.Errorf("the node was not part of a ring yet: %w", ctx.Err())
	}
}

// start opens what the node is made of, in order of dependence.
func (n *Node) start(ctx context.Context) (err error) {
	if n.cfg.DataPool != "" {
		n.dir, err = store.LockFree(n.cfg.DataPool)
	} else {
		n.dir, err = store.LockDir(n.cfg.DataDir)
	}
	if err != nil {
		return err
	}
	ident, err := loadIdentity(n.dir, n.cfg.Cluster, time.Now())
	if err != nil {
		return err
	}
	n.dir.Used = ident.returned
	if n.db, err = n.dir.Open(n.log); err != nil {
		return err
	}
	port, err := listenRing(n.cfg.bind, ident.Port)
	if err != nil {
		return err
	}
	addr, err := advertised(ctx, n.cfg.Advertise, port)
	if err != nil {
		port.close()
		return err
	}
	ident.Port = port.port
	n.bound = port.host
	n.openDiscovery()
	began := time.Now()
	var heard []discovery.Hint
	if !ident.returned {
		var taken []chord.ID
		taken, heard = n.lookAround(ctx)
		ident.settle(choosePlace(taken, anyPlace))
	}
	if err := ident.save(n.dir); err != nil {
		port.close()
		return err
	}
	n.self = presence{ID: ident.id, Epoch: ident.Epoch, Addr: addr.String()}
	if !n.cfg.httpOff {
		if n.http, err = openHTTP(n.cfg.httpBind, addr.Addr()); err != nil {
			port.close()
			return err
		}
		n.self.HTTP = n.http.addr
	}
	if !n.cfg.udpOff {
		if n.udp, err = openUDP(n.cfg.udpBind, addr.Addr()); err != nil {
			port.close()
			return err
		}
		n.self.UDP = n.udp.addr
	}
	n.clients = n.newTracker()
	if err := n.startRing(port, addr, joinWindow-time.Since(began)); err != nil {
		return err
	}
	n.workers.Go(func() { n.clients.Run(n.background) })
	for _, h := range heard {
		n.joiner.hint(h)
	}
	n.startDiscovery(addr)
	n.saySecret()
	n.workers.Go(func() { n.tellRefused(n.background) })
	n.workers.Go(func() { n.keepSecret(n.background) })
	if n.cfg.Advertise == "" && n.bound.IsUnspecified() {
		primary, routed := primaryAddress()
		routed = routed && primary == addr.Addr()
		n.workers.Go(func() {
			ticker := time.NewTicker(lookAtAddresses)
			defer ticker.Stop()
			n.watchAddress(n.background, addr.Addr(), routed, ticker.C, addressesNow)
		})
	}
	if n.udp != nil {
		n.udp.serve(n, n.clients)
	}
	if n.http != nil {
		n.http.serve(n, n.clients) // last: it shows all of the above
	}
	return nil
}

// joinWindow is the silence after which a node is alone.
const joinWindow = time.Second

// startRing brings up the Member and what it talks through; window is what is
// left of the silence after which it is alone. It owns port.
func (n *Node) startRing(port *ringPort, addr netip.AddrPort, window time.Duration) error {
	var seed [32]byte
	_, _ = crand.Read(seed[:]) // never fails
	state := n.db.State()
	known := loadKnown(n.dir, n.self.ID, n.log)
	state.Known = known.with(state.Known)
	member, err := chord.New(chord.Config{Self: n.Ref(), Rand: rand.New(rand.NewChaCha8(seed)), Store: n.db, State: state, JoinWindow: window})
	if err != nil {
		port.close()
		return err
	}
	n.loop = &loop{
		log: n.log, member: member, queue: newQueue(), db: n.db, view: n.viewRefs, clock: newClock(), self: n.Ref(),
		pending: map[uint64]asked{},
		ready:   make(chan struct{}), left: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{}),
	}
	n.loop.members.Store(1)
	n.metrics = newMetrics()
	n.transport = rpc.NewTransport(rpc.TransportConfig{
		Self: n.Ref(), Cluster: n.cfg.Cluster, Secret: n.cfg.keeper, Log: n.log,
		OnEnvelope: func(env chord.Envelope, done func()) {
			if !n.loop.queue.post(received{env, done}) {
				done()
			}
		},
		OnUnreachable: func(to chord.Ref, seq uint64, sent bool) { n.loop.queue.post(unreachable{to, seq, sent}) },
		OnRequest:     n.onRequest,
	})
	n.loop.send = n.transport.Send
	n.split = rpc.Split(port.tcp, n.cfg.keeper, n.log)
	gt := newGossipTransport(port.udp, n.split.Gossip(), addr, n.log)
	n.gossip, err = startGossip(n.self, n.cfg.Cluster, n.cfg.keeper.GossipKeys(), gt, n.log, n.viewChanged)
	if err != nil {
		return errors.Join(err, gt.Shutdown())
	}
	n.joiner = newJoiner(n.Ref(), n.cfg.join, known, n.gossip.join, n.gossip.members, n.log)
	n.joiner.ask = func(ctx context.Context, addr string) error {
		c, err := rpc.Dial(ctx, addr, n.cfg.Cluster, n.cfg.keeper)
		if err != nil {
			return err
		}
		return c.Close()
	}
	n.workers.Go(func() {
		if err := n.transport.Serve(n.split.RPC()); err != nil {
			n.log.Error("the ring port no longer accepts connections", "err", err)
		}
	})
	n.loop.queue.viewChanged()
	go n.loop.run()
	n.workers.Go(func() { n.joiner.run(n.background) })
	n.workers.Go(func() { n.keepDerived(n.background) })
	return nil
}

// openDiscovery begins to listen and to ask who is there. A machine on which
// multicast does not work can still be a member, by --join.
func (n *Node) openDiscovery() {
	if !n.cfg.group.IsValid() {
		return
	}
	m, err := discovery.Open(discovery.Config{
		Group: n.cfg.group, TTL: n.cfg.MulticastTTL, Cluster: n.cfg.Cluster, Bind: n.bound, Secret: n.cfg.keeper, Log: n.log,
	})
	if err != nil {
		n.log.Warn("multicast discovery does not work here, others are found by --join only", "err", err)
		return
	}
	n.multicast = m
	m.Query()
}

// startDiscovery begins to announce, and to hand on what is heard.
func (n *Node) startDiscovery(addr netip.AddrPort) {
	m := n.multicast
	if m == nil {
		return
	}
	self := discovery.Self{ID: n.self.ID, Epoch: n.self.Epoch, Ring: addr, RingBind: n.bound}
	if n.http != nil {
		self.HTTPPort = n.http.port
	}
	n.workers.Go(func() { m.Announce(n.background, self) })
	n.workers.Go(func() {
		for {
			select {
			case <-n.background.Done():
				return
			case h, ok := <-m.Hints():
				if !ok {
					return
				}
				n.joiner.hint(h)
			}
		}
	})
}

// viewChanged is called by gossip's handlers, under memberlist's locks.
func (n *Node) viewChanged() { n.loop.queue.viewChanged() }

// viewRefs gives the members by gossip, and keeps their addresses for the
// time when they are lost.
func (n *Node) viewRefs() []chord.Ref {
	members := n.gossip.members()
	refs := make([]chord.Ref, len(members))
	for i, p := range members {
		refs[i] = p.ref()
		n.joiner.remember(refs[i])
	}
	return refs
}

// Ref says who the node is and where it can be reached.
func (n *Node) Ref() chord.Ref { return n.self.ref() }

// addr is the host of its address.
func (n *Node) addr() netip.Addr {
	at, _ := netip.ParseAddrPort(n.self.Addr) // which was made of one
	return at.Addr()
}

func (n *Node) isReady() bool {
	select {
	case <-n.loop.ready:
		return true
	default:
		return false
	}
}

// DataDir is where what it must not forget lies; of a pool, the directory that it took.
func (n *Node) DataDir() string { return n.dir.Path }

// Members is how many members gossip believes alive, this one included.
func (n *Node) Members() int { return int(n.loop.members.Load()) }

// HTTPAddr is host:port of the status listener, "" when it is off.
func (n *Node) HTTPAddr() string { return n.self.HTTP }

// UDPAddr is where the UDP tracker is; "" if it is off.
func (n *Node) UDPAddr() string { return n.self.UDP }
