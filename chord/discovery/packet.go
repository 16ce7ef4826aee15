package discovery

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"chordtorrent/chord"
	"chordtorrent/chord/secret"
)

// Limits of a packet.
const (
	MaxPacket = 220 // bytes, with room for an HMAC
	MaxAddrs  = 7
)

const (
	packetMagic   = "ctr"
	packetVersion = 1
	headerBytes   = 53
	macBytes      = secret.MACBytes
	flagSigned    = 1
)

// MaxAddrs addresses of IPv6 and the HMAC fit.
var _ [MaxPacket - macBytes - headerBytes - MaxAddrs*(1+16+2)]struct{}

type packetKind uint8

const (
	announce packetKind = iota + 1
	query
	answer
	bye
)

// packet is an announcement or a query taken apart.
type packet struct {
	Kind    packetKind
	Cluster [8]byte
	Sender  chord.ID
	Epoch   uint64
	Seq     uint64
	HTTP    uint16
	Addrs   []netip.AddrPort
	Signed  bool // a signature follows, not yet looked at
}

// Why a packet is not one of ours.
var (
	errForeign   = errors.New("not an announcement")
	errVersion   = errors.New("announcement of another version")
	errMalformed = errors.New("malformed announcement")
)

// clusterHash is how packets name a cluster.
func clusterHash(name string) (h [8]byte) {
	sum := sha256.Sum256([]byte("chordtorrent cluster " + name))
	copy(h[:], sum[:])
	return h
}

// appendTo appends the packet's bytes, without the signature; p must hold to
// the limits.
func (p packet) appendTo(b []byte) []byte {
	b = append(b, packetMagic...)
	flags := byte(0)
	if p.Signed {
		flags = flagSigned
	}
	b = append(b, packetVersion, byte(p.Kind), flags)
	b = append(b, p.Cluster[:]...)
	b = append(b, p.Sender[:]...)
	b = binary.BigEndian.AppendUint64(b, p.Epoch)
	b = binary.BigEndian.AppendUint64(b, p.Seq)
	b = binary.BigEndian.AppendUint16(b, p.HTTP)
	b = append(b, byte(len(p.Addrs)))
	for _, a := range p.Addrs {
		family := byte(4)
		if a.Addr().Is6() {
			family = 6
		}
		b = append(b, family)
		b = append(b, a.Addr().AsSlice()...)
		b = binary.BigEndian.AppendUint16(b, a.Port())
	}
	return b
}

// parsePacket reads a packet, of whose signature it only sees that it is there,
// or says errForeign, errVersion or errMalformed.
func parsePacket(b []byte) (p packet, err error) {
	if len(b) < len(packetMagic)+1 || !bytes.HasPrefix(b, []byte(packetMagic)) {
		return p, errForeign
	}
	if b[3] != packetVersion {
		return p, errVersion
	}
	if len(b) < headerBytes || len(b) > MaxPacket {
		return p, fmt.Errorf("%w: %d bytes", errMalformed, len(b))
	}
	p.Kind = packetKind(b[4])
	if p.Kind < announce || p.Kind > bye {
		return p, fmt.Errorf("%w: kind %d", errMalformed, b[4])
	}
	switch b[5] {
	case 0:
	case flagSigned:
		p.Signed = true
		if len(b) < headerBytes+macBytes {
			return p, fmt.Errorf("%w: %d bytes", errMalformed, len(b))
		}
		b = b[:len(b)-macBytes]
	default:
		return p, fmt.Errorf("%w: flags %#x", errMalformed, b[5])
	}
	copy(p.Cluster[:], b[6:])
	copy(p.Sender[:], b[14:])
	p.Epoch = binary.BigEndian.Uint64(b[34:])
	p.Seq = binary.BigEndian.Uint64(b[42:])
	p.HTTP = binary.BigEndian.Uint16(b[50:])
	n := int(b[52])
	silent := p.Kind == query || p.Kind == bye
	if n > MaxAddrs || silent != (n == 0) {
		return p, fmt.Errorf("%w: %d addresses", errMalformed, n)
	}
	p.Addrs, err = parseAddrs(b[headerBytes:], n)
	return p, err
}

// parseAddrs reads n addresses that fill b.
func parseAddrs(b []byte, n int) ([]netip.AddrPort, error) {
	var addrs []netip.AddrPort
	for range n {
		if len(b) == 0 {
			return nil, fmt.Errorf("%w: ends too early", errMalformed)
		}
		size := 4
		switch b[0] {
		case 4:
		case 6:
			size = 16
		default:
			return nil, fmt.Errorf("%w: address family %d", errMalformed, b[0])
		}
		if len(b) < 1+size+2 {
			return nil, fmt.Errorf("%w: ends too early", errMalformed)
		}
		addr, _ := netip.AddrFromSlice(b[1 : 1+size])
		port := binary.BigEndian.Uint16(b[1+size:])
		b = b[1+size+2:]
		if port == 0 || addr.Is4In6() || addr.IsUnspecified() || addr.IsMulticast() || addr.IsLinkLocalUnicast() {
			return nil, fmt.Errorf("%w: nobody can be at %v port %d", errMalformed, addr, port)
		}
		addrs = append(addrs, netip.AddrPortFrom(addr, port))
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", errMalformed, len(b))
	}
	return addrs, nil
}
