package discovery

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/net/ipv4"
)

// read takes packets from the group's socket (outlet 0), or the answers from
// an outlet's, until it closes.
func (m *Multicast) read(conn *ipv4.PacketConn, outlet int) {
	buf := make([]byte, MaxPacket+1) // one more: longer ones show
	for {
		n, cm, src, err := conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) || m.ctx.Err() != nil {
			return
		}
		if err != nil {
			m.count("receive_failed") // an ICMP error to something sent, say
			select {
			case <-m.ctx.Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		udp, ok := src.(*net.UDPAddr)
		if !ok {
			continue
		}
		from := netip.AddrPortFrom(udp.AddrPort().Addr().Unmap(), udp.AddrPort().Port())
		via := outlet
		if outlet == 0 {
			// The port is shared with every other group that any program of
			// this machine has joined.
			if cm == nil || !cm.Dst.Equal(m.cfg.Group.Addr().AsSlice()) {
				m.count("other_group")
				continue
			}
			via = cm.IfIndex
		}
		m.receive(buf[:n], from, via, outlet == 0)
	}
}

// receive decides what a packet is worth, and acts on it. via is the index of
// the interface, toGroup says that it was sent to the group.
func (m *Multicast) receive(b []byte, from netip.AddrPort, via int, toGroup bool) {
	p, n, reason := m.judge(b, from, via, toGroup)
	switch {
	case reason != "":
		m.count(reason)
		if p.Kind == query && isStranger(reason) {
			m.asked(from, via)
		}
	case p.Kind == query:
		m.asked(from, via)
	default:
		m.tell(p, n)
	}
}

// judge parses a packet and says why it is not believed, if so.
func (m *Multicast) judge(b []byte, from netip.AddrPort, via int, toGroup bool) (p packet, n nic, reason string) {
	now := time.Now()
	if m.cfg.TTL == 0 && !m.isLocal(from.Addr()) {
		return p, n, "other_machine"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.outlets[via]
	if o == nil {
		return p, n, "other_interface"
	}
	n = o.nic
	if !m.guard.admit(now, from) {
		return p, n, "flood"
	}
	p, err := parsePacket(b)
	switch {
	case errors.Is(err, errForeign):
		return p, n, "garbage"
	case errors.Is(err, errVersion):
		return p, n, "other_version"
	case err != nil:
		return p, n, "malformed"
	case p.Cluster != m.cluster:
		return p, n, "other_cluster"
	case toGroup == (p.Kind == answer):
		return p, n, "misplaced"
	case p.Sender == m.nonce:
		return p, n, "own"
	}
	if reason := m.stranger(b, p); reason != "" {
		return p, n, reason
	}
	if a := m.self.Load(); a != nil && a.self.ID == p.Sender {
		return p, n, "own"
	}
	if !m.guard.fresh(now, p) {
		return p, n, "replay"
	}
	return p, n, ""
}

// tell makes a hint of what a member said through an interface.
func (m *Multicast) tell(p packet, n nic) {
	h := Hint{ID: p.Sender, Epoch: p.Epoch, Leaving: p.Kind == bye}
	for _, a := range p.Addrs {
		if a.Addr().IsLoopback() && !n.loopback() {
			continue // that would be ourselves
		}
		h.Addrs = append(h.Addrs, a.String())
		if h.HTTP == "" && p.HTTP != 0 {
			h.HTTP = net.JoinHostPort(a.Addr().String(), strconv.Itoa(int(p.HTTP)))
		}
	}
	if len(h.Addrs) == 0 && !h.Leaving {
		m.count("unreachable")
		return
	}
	select {
	case m.hints <- h:
	default:
		m.count("hint_lost")
	}
}

// asked lets a running Announce answer a query.
func (m *Multicast) asked(from netip.AddrPort, via int) {
	a := m.self.Load()
	if a == nil || a.ended.Load() {
		return
	}
	m.mu.Lock()
	may := m.guard.mayAnswer(time.Now(), from)
	m.mu.Unlock()
	if !may {
		m.count("answer_flood")
		return
	}
	select {
	case a.queries <- asker{from, via}:
	default:
		m.count("answer_flood")
	}
}
