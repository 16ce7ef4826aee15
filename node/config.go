package node

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"

	"chordtorrent/chord/discovery"
	"chordtorrent/chord/secret"
)

// DefaultCluster is the name of a ring that nobody gave a name.
const DefaultCluster = "chordtorrent"

// Off turns Config.Multicast, Config.HTTP or Config.UDP off.
const Off = "off"

// Config says what a node is to be. Only DataDir or DataPool has to be set.
type Config struct {
	DataDir string // where everything it must not forget lies; made if need be
	// DataPool is a directory of data directories, of which the node takes the first that
	// no other process has; then DataDir does not count.
	DataPool string
	// Bind is host:port of the ring port, TCP and UDP. "" means all
	// interfaces and the port of last time, else the first free one of
	// 8000-8999; a port of 0 any free one.
	Bind string
	// Advertise is the host or host:port that others reach it at; "" means
	// the host of Bind if it is one, else the primary interface's address.
	Advertise string
	Cluster   string // the ring's name; "" means DefaultCluster
	// SecretFile names the file of the ring's secret; "" means that it has none.
	SecretFile string
	Join       string // members to look for, "host:port,dns+srv:name"; may be ""
	// Multicast is the discovery group, "group:port", or Off; "" means
	// discovery.DefaultGroup.
	Multicast    string
	MulticastTTL int // routers an announcement may pass; 0 keeps it on this machine
	// HTTP is host:port of the listener for ordinary clients (tracker), people and
	// monitoring, or Off; "" means port 6969 or the next free one.
	HTTP string
	// RegisteredOnly has the tracker refuse what was not published in the ring.
	RegisteredOnly bool
	// SourceRate is how many announces and scrapes a second the tracker takes from one
	// address, SourcePeers how many peers in all swarms; 0: 1,000 and 50,000, and if both
	// are, more where nobody else is kept waiting.
	SourceRate, SourcePeers int
	// AnnounceIP lets clients in private networks say by the parameter ip at which private
	// address they are.
	AnnounceIP bool
	// UDP is host:port of the UDP tracker, or Off; "" means port 6969 or the next free one.
	UDP     string
	Log     *slog.Logger // nil: silence
	Version string       // of the program, for people
}

// ConfigError is a Config that cannot be carried out as it stands.
type ConfigError struct {
	Setting string // the flag's name: "join"
	Err     error
}

func (e *ConfigError) Error() string { return fmt.Sprintf("--%s: %v", e.Setting, e.Err) }

func (e *ConfigError) Unwrap() error { return e.Err }

// settled is a Config with everything checked and resolved that can be before
// anything is opened.
type settled struct {
	Config
	bind     endpoint
	keeper   *secret.Keeper // nil: no secret
	join     discovery.JoinList
	group    netip.AddrPort // zero: off
	httpBind endpoint
	httpOff  bool
	udpBind  endpoint
	udpOff   bool
}

// endpoint is a host:port whose parts may be missing.
type endpoint struct {
	host    string // "" means all interfaces
	port    uint16
	hasPort bool
}

func (e endpoint) at(port uint16) string {
	return net.JoinHostPort(e.host, strconv.Itoa(int(port)))
}

func (c Config) settle() (settled, error) {
	s := settled{Config: c}
	if c.DataDir == "" && c.DataPool == "" {
		return s, &ConfigError{"data-dir", errors.New("is missing")}
	}
	if c.Cluster == "" {
		s.Cluster = DefaultCluster
	}
	if len(s.Cluster) > 255 {
		return s, &ConfigError{"cluster", errors.New("a cluster's name has at most 255 bytes")}
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	var err error
	if c.SecretFile != "" {
		if s.keeper, err = secret.Open(c.SecretFile); err != nil {
			return s, &ConfigError{"secret-file", err}
		}
	}
	if s.bind, err = parseEndpoint(c.Bind); err != nil {
		return s, &ConfigError{"bind", err}
	}
	if s.join, err = discovery.ParseJoin(c.Join); err != nil {
		return s, &ConfigError{"join", err}
	}
	if c.Multicast != Off {
		group := c.Multicast
		if group == "" {
			group = discovery.DefaultGroup
		}
		s.group, err = netip.ParseAddrPort(group)
		if err != nil || !s.group.Addr().Is4() || !s.group.Addr().IsMulticast() || s.group.Port() == 0 {
			return s, &ConfigError{"multicast", fmt.Errorf("%q is no IPv4 multicast group with a port, like %s, nor %q", group, discovery.DefaultGroup, Off)}
		}
	}
	if c.MulticastTTL < 0 || c.MulticastTTL > 255 {
		return s, &ConfigError{"multicast-ttl", fmt.Errorf("%d is not between 0 and 255", c.MulticastTTL)}
	}
	if c.SourceRate < 0 {
		return s, &ConfigError{"source-rate", fmt.Errorf("%d is not positive", c.SourceRate)}
	}
	if c.SourcePeers < 0 {
		return s, &ConfigError{"source-peers", fmt.Errorf("%d is not positive", c.SourcePeers)}
	}
	if c.HTTP == Off {
		s.httpOff = true
	} else if s.httpBind, err = parseEndpoint(c.HTTP); err != nil {
		return s, &ConfigError{"http", err}
	}
	if c.HTTP == "" {
		s.httpBind.host = s.bind.host
	}
	if c.UDP == Off {
		s.udpOff = true
	} else if s.udpBind, err = parseEndpoint(c.UDP); err != nil {
		return s, &ConfigError{"udp", err}
	}
	if c.UDP == "" {
		s.udpBind.host = s.bind.host
	}
	return s, nil
}

// parseEndpoint reads "", "host", ":port" and "host:port".
func parseEndpoint(s string) (endpoint, error) {
	if s == "" {
		return endpoint{}, nil
	}
	if addr, err := netip.ParseAddr(s); err == nil { // "::1" would not split
		return endpoint{host: addr.String()}, nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		var addrErr *net.AddrError
		if errors.As(err, &addrErr) && addrErr.Err == "missing port in address" {
			return endpoint{host: s}, nil
		}
		return endpoint{}, fmt.Errorf("%q is not host:port: %w", s, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return endpoint{}, fmt.Errorf("%q: the port is a number from 0 to 65535", s)
	}
	return endpoint{host: host, port: uint16(n), hasPort: true}, nil
}
