package node

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"

	"chordtorrent/chord"
)

// presence is what a member says of itself through gossip: node metadata of
// at most 512 bytes, written as version (1), id (20), epoch (8, big-endian),
// then ring address, HTTP address and UDP address, each as length (1) and host:port. The last
// is not there in what earlier versions wrote.
type presence struct {
	ID    chord.ID
	Epoch uint64
	Addr  string // ring host:port
	HTTP  string // "" when it has none
	UDP   string // of its tracker; "" when it has none
}

const presenceVersion = 1

var errBadPresence = errors.New("node metadata is malformed")

// name is the member's name in gossip. It holds the epoch, because memberlist
// refuses a name that comes back at another address.
func (p presence) name() string {
	return p.ID.String() + "-" + strconv.FormatUint(p.Epoch, 16)
}

func (p presence) ref() chord.Ref { return chord.Ref{ID: p.ID, Addr: p.Addr} }

func (p presence) encode() []byte {
	b := []byte{presenceVersion}
	b = append(b, p.ID[:]...)
	b = binary.BigEndian.AppendUint64(b, p.Epoch)
	for _, s := range []string{p.Addr, p.HTTP, p.UDP} {
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	return b
}

// decodePresence reads what encode wrote. Bytes behind it are ignored, so
// that a later version may add to it.
func decodePresence(b []byte) (p presence, err error) {
	const fixed = 1 + chord.IDBytes + 8
	if len(b) < fixed || b[0] != presenceVersion {
		return p, errBadPresence
	}
	copy(p.ID[:], b[1:])
	p.Epoch = binary.BigEndian.Uint64(b[1+chord.IDBytes:])
	b = b[fixed:]
	for i, s := range []*string{&p.Addr, &p.HTTP, &p.UDP} {
		if i == 2 && len(b) == 0 {
			break
		}
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return presence{}, errBadPresence
		}
		*s = string(b[1 : 1+b[0]])
		b = b[1+b[0]:]
	}
	if !isAddrPort(p.Addr) || (p.HTTP != "" && !isAddrPort(p.HTTP)) || (p.UDP != "" && !isAddrPort(p.UDP)) {
		return presence{}, errBadPresence
	}
	return p, nil
}

func isAddrPort(s string) bool {
	ap, err := netip.ParseAddrPort(s)
	return err == nil && ap.Port() != 0 && ap.Addr().Zone() == "" && !ap.Addr().IsUnspecified() && !ap.Addr().IsMulticast()
}
