package transfer

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/anacrolix/torrent/bencode"

	"chordtorrent/transfer/wire"
)

// Peer exchange (BEP 11): now and then each side tells whom else it is connected to,
// so that a swarm holds together when no tracker answers. Told is who can be called:
// those that we have called, and those that said where they listen.

const (
	pexName = "ut_pex"
	// pexID is what peers call ut_pex when they speak to us.
	pexID    = 1
	pexFirst = 2 * time.Second // after the handshake, then
	pexEvery = time.Minute
	// pexMost is how many addresses are told at a time, in each direction (BEP 11);
	// pexTaken how many of a message are looked at.
	pexMost  = 50
	pexTaken = 100
	// Flags of an address.
	pexSeed      = 0x02 // it fetches nothing
	pexReachable = 0x10 // it was called, and answered
)

// pexMessage is the payload. Addresses are compact: 6 bytes each, or 18.
type pexMessage struct {
	Added    []byte `bencode:"added"`
	AddedF   []byte `bencode:"added.f"`
	Added6   []byte `bencode:"added6,omitempty"`
	Added6F  []byte `bencode:"added6.f,omitempty"`
	Dropped  []byte `bencode:"dropped"`
	Dropped6 []byte `bencode:"dropped6,omitempty"`
}

// exchange is what a connection knows of peer exchange.
type exchange struct {
	id    byte // what the peer calls it; 0: it does not know it
	told  map[netip.AddrPort]bool
	next  time.Time // when to tell again
	heard time.Time // when it has told last
}

// pexStart notes how the peer calls the extension; 0 ends it (BEP 10).
func (c *conn) pexStart(id int) {
	if c.s.t.spec.Private || id < 0 || id > 255 {
		return
	}
	if c.pex.id == 0 {
		c.pex.told = make(map[netip.AddrPort]bool)
		c.pex.next = c.l.now.Add(pexFirst)
	}
	c.pex.id = byte(id)
}

// pexTick tells the peer who has come and gone, when it is time.
func (c *conn) pexTick() {
	x := &c.pex
	if x.id == 0 || c.l.now.Before(x.next) {
		return
	}
	x.next = c.l.now.Add(pexEvery)
	var m pexMessage
	here := make(map[netip.AddrPort]bool)
	added := 0
	for _, o := range c.s.conns {
		if o == c || o.state != open || o.known == nil || !meansTheSame(o.known.addr.Addr(), c.addr.Addr()) {
			continue
		}
		a := o.known.addr
		here[a] = true
		if x.told[a] || added == pexMost {
			continue
		}
		added++
		x.told[a] = true
		flags := byte(0)
		if !o.fetches() {
			flags |= pexSeed
		}
		if o.outgoing {
			flags |= pexReachable
		}
		if a.Addr().Is4() {
			m.Added, m.AddedF = appendCompact(m.Added, a), append(m.AddedF, flags)
		} else {
			m.Added6, m.Added6F = appendCompact(m.Added6, a), append(m.Added6F, flags)
		}
	}
	dropped := 0
	for a := range x.told {
		if here[a] || dropped == pexMost {
			continue
		}
		dropped++
		delete(x.told, a)
		if a.Addr().Is4() {
			m.Dropped = appendCompact(m.Dropped, a)
		} else {
			m.Dropped6 = appendCompact(m.Dropped6, a)
		}
	}
	if added+dropped == 0 {
		return
	}
	payload, err := bencode.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("transfer: peer exchange: %v", err))
	}
	c.tell(wire.Message{ID: wire.ExtendedMsg, Payload: append([]byte{x.id}, payload...)})
}

// onPex takes the addresses that a peer tells of.
func (c *conn) onPex(payload []byte) {
	if c.s.t.spec.Private {
		c.idle()
		return
	}
	added, err := parsePex(payload)
	if err != nil {
		c.drop(malformed, err)
		return
	}
	if c.l.now.Sub(c.pex.heard) < pexEvery/6 {
		c.idle() // it tells far more often than once in a minute
	}
	c.pex.heard = c.l.now
	if c.s.complete() || c.s.halted() {
		return
	}
	added = slices.DeleteFunc(added, func(a netip.AddrPort) bool { return !meansTheSame(a.Addr(), c.addr.Addr()) })
	c.s.book.add(added)
	c.s.dialMore()
}

// meansTheSame tells whether an address leads to the same host here and at a peer: one
// of loopback does so on one machine, a link-local one lacks its interface.
func meansTheSame(a, peer netip.Addr) bool {
	return !a.IsLinkLocalUnicast() && (!a.IsLoopback() || peer.IsLoopback())
}

// parsePex reads the addresses that have come; who has gone is of no concern to us.
func parsePex(payload []byte) (added []netip.AddrPort, err error) {
	var m pexMessage
	if _, err := decode(payload, &m); err != nil {
		return nil, fmt.Errorf("peer exchange: %w", err)
	}
	if len(m.Added)%6 != 0 || len(m.Added6)%18 != 0 {
		return nil, fmt.Errorf("peer exchange: %d bytes are no list of addresses, or %d", len(m.Added), len(m.Added6))
	}
	take := func(list []byte, size int) {
		for ; len(list) > 0 && len(added) < pexTaken; list = list[size:] {
			ip, _ := netip.AddrFromSlice(list[:size-2])
			added = append(added, netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(list[size-2:])))
		}
	}
	take(m.Added, 6)
	take(m.Added6, 18)
	return added, nil
}

func appendCompact(b []byte, a netip.AddrPort) []byte {
	return binary.BigEndian.AppendUint16(append(b, a.Addr().AsSlice()...), a.Port())
}
