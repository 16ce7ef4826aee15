package transfer

import "fmt"

// Profile says what the network between the peers is like.
type Profile uint8

const (
	// LAN: what a machine can send is plenty. Everybody is served who wants to be.
	LAN Profile = iota
	// WAN: it is scarce. A few are served at a time, first those that give most
	// themselves.
	WAN
)

var profileNames = [...]string{LAN: "lan", WAN: "wan"}

// slots is how many peers per torrent are served at a time, unless Config says so.
func (p Profile) slots() int {
	if p == WAN {
		return 8
	}
	return 64
}

// neighbours is how many others a download calls. On a LAN a few connections fill a
// link, and many on one link mean small packets, as each gets little at a time: five
// instead of ten, with an earlier form of behind, saved up to a tenth of the CPU of 24
// and 40 hosts on two cores (bench/swarm/few-neighbours.json). On a WAN most
// peers choke, and any may be slow.
func (p Profile) neighbours() int {
	if p == WAN {
		return 10
	}
	return 5
}

// String is lan or wan.
func (p Profile) String() string { return profileNames[p] }

// MarshalText gives String, for flags.
func (p Profile) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText takes lan or wan.
func (p *Profile) UnmarshalText(text []byte) error {
	for i, name := range profileNames {
		if name == string(text) {
			*p = Profile(i)
			return nil
		}
	}
	return fmt.Errorf("there is no profile %q: use lan or wan", text)
}
