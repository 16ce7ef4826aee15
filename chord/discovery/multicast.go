package discovery

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-reuseport"
	"golang.org/x/net/ipv4"

	"chordtorrent/chord"
	"chordtorrent/chord/secret"
)

// DefaultGroup is where ring members and clients meet.
const DefaultGroup = "239.255.4.3:1234"

const (
	refreshEvery = 5 * time.Second   // look for changed interfaces
	rejoinEvery  = 120 * time.Second // snooping switches forget members
	hintRoom     = 256
)

// Config says where to listen and for whom.
type Config struct {
	Group netip.AddrPort // zero: DefaultGroup
	// TTL is how many networks a packet to the group may pass. 0 keeps it on
	// this machine, and then packets of other machines are not heard either.
	TTL     int
	Cluster string
	// Bind restricts to the interface that has this address. Zero or
	// unspecified: all that are up and can multicast, and loopback.
	Bind   netip.Addr
	Secret *secret.Keeper // nil: none
	Log    *slog.Logger   // nil: silence
}

// Self is what a ring member says of itself.
type Self struct {
	ID       chord.ID
	Epoch    uint64         // of this start of it; never lower than at the one before
	Ring     netip.AddrPort // as advertised
	RingBind netip.Addr     // where the ring port listens; zero or unspecified: everywhere
	HTTPPort uint16         // 0: none
}

// Hint is what a member was heard to say of itself. It may be wrong.
type Hint struct {
	ID      chord.ID
	Epoch   uint64
	Addrs   []string // ring host:port, best first; none when it leaves
	HTTP    string   // host:port, or ""
	Leaving bool
}

// Multicast is this program's ear and mouth on the group. Its methods may be
// called from any goroutine.
type Multicast struct {
	cfg     Config
	log     *slog.Logger
	group   *ipv4.PacketConn
	groupTo net.Addr
	cluster [8]byte
	nonce   chord.ID // the sender of our queries
	hints   chan Hint
	ask     chan bool     // true: begin to ask, false: stop
	changed chan struct{} // an interface came or changed: announce there

	seq   atomic.Uint64
	epoch uint64
	self  atomic.Pointer[announcer] // the last Announce, running or not

	ctx       context.Context
	cancel    context.CancelFunc
	readers   sync.WaitGroup
	announces sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	outlets  map[int]*outlet // by interface index
	local    map[netip.Addr]bool
	guard    *guard
	counters map[string]uint64
}

// outlet is an interface in use: joined, with a socket to send from, on which
// answers to our queries arrive.
type outlet struct {
	nic
	conn *ipv4.PacketConn
}

// Open joins the group on the interfaces that cfg names and begins to listen;
// nothing is sent yet. The error says what is missing when no interface could
// join; one that fails among several is logged.
func Open(cfg Config) (*Multicast, error) {
	if !cfg.Group.IsValid() {
		cfg.Group = netip.MustParseAddrPort(DefaultGroup)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Bind = cfg.Bind.Unmap()
	if !cfg.Group.Addr().Is4() || !cfg.Group.Addr().IsMulticast() || cfg.Group.Port() == 0 {
		return nil, fmt.Errorf("multicast group %s: it must be an IPv4 address of 224.0.0.0 to 239.255.255.255 and a port, such as %s", cfg.Group, DefaultGroup)
	}
	if cfg.TTL < 0 || cfg.TTL > 255 {
		return nil, fmt.Errorf("multicast TTL %d: 0 to 255 are possible", cfg.TTL)
	}
	raw, err := reuseport.ListenPacket("udp4", fmt.Sprintf("0.0.0.0:%d", cfg.Group.Port()))
	if err != nil {
		return nil, fmt.Errorf("listening to multicast group %s: %w (another program may own the port: try another group or none)", cfg.Group, err)
	}
	m := &Multicast{
		cfg:      cfg,
		log:      cfg.Log,
		group:    ipv4.NewPacketConn(raw),
		groupTo:  net.UDPAddrFromAddrPort(cfg.Group),
		cluster:  clusterHash(cfg.Cluster),
		hints:    make(chan Hint, hintRoom),
		ask:      make(chan bool, 1),
		changed:  make(chan struct{}, 1),
		epoch:    uint64(time.Now().UnixNano()),
		outlets:  make(map[int]*outlet),
		guard:    newGuard(),
		counters: make(map[string]uint64),
	}
	// A program that starts again within one epoch goes on above where it was.
	m.seq.Store(uint64(time.Now().UnixMicro()))
	if _, err := rand.Read(m.nonce[:]); err != nil {
		panic(err) // crypto/rand never fails
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	err = m.group.SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true)
	if err == nil {
		err = m.refresh()
	}
	if err == nil && len(m.outlets) == 0 {
		err = errors.New("no network interface that is up has an IPv4 address and multicast")
		if certain(cfg.Bind) {
			err = fmt.Errorf("no network interface that could join has the address %s", cfg.Bind)
		}
	}
	if err != nil {
		_ = m.Close()
		return nil, fmt.Errorf("joining multicast group %s: %w", cfg.Group, err)
	}
	m.readers.Go(func() { m.read(m.group, 0) })
	m.readers.Go(m.maintain)
	m.readers.Go(m.asking)
	return m, nil
}

// Hints gives what members say of themselves. A reader that is slow loses
// some. The channel is never closed.
func (m *Multicast) Hints() <-chan Hint { return m.hints }

// Counters tells what was dropped or failed, by reason.
func (m *Multicast) Counters() map[string]uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.counters)
}

func (m *Multicast) count(reason string) {
	m.mu.Lock()
	m.counters[reason]++
	m.mu.Unlock()
}

// Close says goodbye where something was announced, leaves the group and
// returns when no goroutine is left. It is safe to call twice.
func (m *Multicast) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	m.announces.Wait()
	m.mu.Lock()
	for i, o := range m.outlets {
		_ = o.conn.Close()
		delete(m.outlets, i)
	}
	m.mu.Unlock()
	err := m.group.Close() // leaves the group
	m.readers.Wait()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

// maintain follows the interfaces as they come and go.
func (m *Multicast) maintain() {
	refresh, rejoin := time.NewTicker(refreshEvery), time.NewTicker(rejoinEvery)
	defer refresh.Stop()
	defer rejoin.Stop()
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-refresh.C:
			if err := m.refresh(); err != nil {
				m.log.Warn("network interfaces unknown", "err", err)
			}
		case <-rejoin.C:
			m.rejoin()
		}
	}
}

// refresh opens and closes outlets so that they are the interfaces of now.
func (m *Multicast) refresh() error {
	use, err := nics(m.cfg.Bind)
	if err != nil {
		return err
	}
	local, err := localAddrs()
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.local = local
	now := make(map[int]nic, len(use))
	for _, n := range use {
		now[n.Index] = n
	}
	for i, o := range m.outlets {
		if n, ok := now[i]; ok && n.same(o.nic) {
			continue
		}
		_ = m.group.LeaveGroup(&o.Interface, m.groupTo) // it may be gone
		_ = o.conn.Close()                              // ends its reader
		delete(m.outlets, i)
		m.log.Info("multicast interface left", "name", o.Name)
	}
	for i, n := range now {
		if m.outlets[i] != nil {
			continue
		}
		o, err := m.open(n)
		if err != nil {
			m.counters["join_failed"]++
			m.log.Debug("multicast interface not usable", "name", n.Name, "err", err)
			continue
		}
		m.outlets[i] = o
		m.readers.Go(func() { m.read(o.conn, i) })
		m.log.Info("multicast interface joined", "name", n.Name, "addr", n.v4)
		select {
		case m.changed <- struct{}{}:
		default:
		}
	}
	return nil
}

// open joins the group on an interface and makes its sending socket.
func (m *Multicast) open(n nic) (*outlet, error) {
	if err := m.group.JoinGroup(&n.Interface, m.groupTo); err != nil {
		return nil, fmt.Errorf("joining: %w", err)
	}
	raw, err := net.ListenUDP("udp4", &net.UDPAddr{IP: n.v4.AsSlice()})
	if err != nil {
		_ = m.group.LeaveGroup(&n.Interface, m.groupTo)
		return nil, fmt.Errorf("opening a socket: %w", err)
	}
	ttl := m.cfg.TTL
	if n.loopback() {
		ttl = 0
	}
	conn := ipv4.NewPacketConn(raw)
	err = errors.Join(
		conn.SetMulticastInterface(&n.Interface),
		conn.SetMulticastTTL(ttl),
		conn.SetMulticastLoopback(true), // others on this machine listen too
		conn.SetTTL(max(1, ttl)),        // of answers
	)
	if err != nil {
		_ = m.group.LeaveGroup(&n.Interface, m.groupTo)
		_ = conn.Close()
		return nil, fmt.Errorf("setting up its socket: %w", err)
	}
	return &outlet{nic: n, conn: conn}, nil
}

// rejoin makes the system report its memberships again.
func (m *Multicast) rejoin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range m.outlets {
		_ = m.group.LeaveGroup(&o.Interface, m.groupTo)
		if err := m.group.JoinGroup(&o.Interface, m.groupTo); err != nil {
			m.counters["join_failed"]++
			m.log.Warn("multicast interface not joined again", "name", o.Name, "err", err)
		}
	}
}

// localAddrs is every address of this machine.
func localAddrs() (map[netip.Addr]bool, error) {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("listing this machine's addresses: %w", err)
	}
	set := make(map[netip.Addr]bool)
	for _, a := range own {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			set[p.Addr().Unmap().WithZone("")] = true
		}
	}
	return set, nil
}

// isLocal reports whether an address belongs to this machine.
func (m *Multicast) isLocal(a netip.Addr) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return a.IsLoopback() || m.local[a]
}
