package node

import (
	"net"
	"net/netip"
	"sync"

	"chordtorrent/communicator"
	"chordtorrent/node/tracker"
)

// newTracker makes the tracker for ordinary clients, for HTTP and UDP.
func (n *Node) newTracker() *tracker.Tracker {
	local := n.addr()
	cfg := tracker.Config{Ring: communicator.New(n, local), RegisteredOnly: n.cfg.RegisteredOnly, Local: beyondLoopback(local),
		SourceRate: n.cfg.SourceRate, SourcePeers: n.cfg.SourcePeers, OwnIP: n.cfg.AnnounceIP, ID: n.self.ID.String()[:8],
		Own: tracker.Place{HTTP: n.self.HTTP, UDP: n.self.UDP}, Others: n.otherTrackers}
	if n.cfg.keeper.Closed() {
		cfg.Passkeys = n.cfg.keeper
	}
	return tracker.New(cfg)
}

// otherTrackers is where the trackers of the other members are, by gossip.
func (n *Node) otherTrackers() []tracker.Place {
	var others []tracker.Place
	for _, p := range n.gossip.members() {
		if p.ID != n.self.ID && (p.HTTP != "" || p.UDP != "") {
			others = append(others, tracker.Place{HTTP: p.HTTP, UDP: p.UDP})
		}
	}
	return others
}

// beyondLoopback is an address unless it is a loopback one, which tells nobody anything.
func beyondLoopback(a netip.Addr) netip.Addr {
	if a.IsLoopback() {
		return netip.Addr{}
	}
	return a
}

// udpServer is the UDP tracker's socket.
type udpServer struct {
	conn *net.UDPConn
	addr string // host:port to reach it at
	wg   sync.WaitGroup
}

// openUDP takes the port that was asked for, or the first free one from 6969.
func openUDP(bind endpoint, ring netip.Addr) (*udpServer, error) {
	pc, err := listenUDP(bind)
	if err != nil {
		return nil, err
	}
	conn := pc.(*net.UDPConn) // what "udp" gives
	return &udpServer{conn: conn, addr: reachedAt(conn.LocalAddr().(*net.UDPAddr).AddrPort(), ring).String()}, nil
}

func (u *udpServer) serve(n *Node, clients *tracker.Tracker) {
	u.wg.Go(func() {
		if err := clients.ServeUDP(n.background, u.conn); err != nil {
			n.log.Error("the UDP tracker no longer answers", "addr", u.addr, "err", err)
		}
	})
}

func (u *udpServer) close() error {
	err := u.conn.Close()
	u.wg.Wait()
	return err
}
