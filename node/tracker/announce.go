package tracker

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"chordtorrent/communicator"
)

// announce is what a client tells and asks (BEP 3, 15).
type announce struct {
	infoHash, peerID [20]byte
	ip               [16]byte // where it is, IPv4 as in RFC 4291, 2.5.5.2
	port             uint16
	left             int64 // bytes; < 0: unknown
	event            communicator.Event
	paused           bool // it stays without fetching (BEP 21)
	want             int  // peers
	family           int  // 4 or 6: peers of that kind only; 0: of both
	compact          bool // BEP 23; what is not asked for otherwise
	noPeerID         bool
}

// errRequest wraps every error that the client is to blame for.
var errRequest = errors.New("bad announce")

// mostWanted is how many peers an answer has at most.
const mostWanted = 50

// parseAnnounce reads the query of an announce that comes from an address; with ownIP a
// client of a private network may say by ip that it is at another private address.
func parseAnnounce(a *announce, query string, from netip.Addr, ownIP bool) error {
	*a = announce{ip: from.As16(), left: -1, want: mostWanted, compact: true}
	var hash, id, port, left, event, numwant, compact, noPeerID, ip string
	for len(query) > 0 {
		var key, value string
		key, query, _ = strings.Cut(query, "&")
		key, value, _ = strings.Cut(key, "=")
		switch key {
		case "info_hash":
			set(&hash, value)
		case "peer_id":
			set(&id, value)
		case "port":
			set(&port, value)
		case "left":
			set(&left, value)
		case "event":
			set(&event, value)
		case "numwant":
			set(&numwant, value)
		case "compact":
			set(&compact, value)
		case "no_peer_id":
			set(&noPeerID, value)
		case "ip":
			set(&ip, value)
		}
	}
	if n := unescape(a.infoHash[:], hash); n != len(a.infoHash) {
		return fmt.Errorf("%w: info_hash has %d bytes instead of 20", errRequest, n)
	}
	if n := unescape(a.peerID[:], id); n != len(a.peerID) {
		return fmt.Errorf("%w: peer_id has %d bytes instead of 20", errRequest, n)
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil || p == 0 {
		return fmt.Errorf("%w: the port is %q", errRequest, shorten(port))
	}
	a.port = uint16(p)
	if left != "" {
		n, err := strconv.ParseUint(left, 10, 64)
		if err != nil {
			return fmt.Errorf("%w: left is %q", errRequest, shorten(left))
		}
		if a.left = int64(n); n > 1<<62 {
			a.left = -1 // as some say who have a magnet link only, and do not know
		}
	}
	switch event {
	case "started":
		a.event = communicator.Started
	case "completed":
		a.event = communicator.Completed
	case "stopped":
		a.event = communicator.Stopped
	case "paused": // BEP 21
		a.paused = true
	case "", "empty", "none":
	default:
		return fmt.Errorf("%w: the event is %q", errRequest, shorten(event))
	}
	if n, err := strconv.Atoi(numwant); err == nil && n >= 0 { // some say -1 for "as you like"
		a.want = min(n, mostWanted)
	}
	a.compact, a.noPeerID = compact != "0", noPeerID == "1"
	if ownIP && ip != "" {
		if at, err := netip.ParseAddr(ip); err == nil && at.Zone() == "" && near(at) && near(from) {
			a.ip = at.As16()
		}
	}
	return nil
}

// near reports whether an address is of a private network.
func near(a netip.Addr) bool { return a.Unmap().IsPrivate() || a.IsLinkLocalUnicast() }

// set keeps the first value that a parameter is given.
func set(to *string, value string) {
	if *to == "" {
		*to = value
	}
}

// unescape undoes the %-escapes of a value and gives its length; what does not fit into dst
// is only counted. A value with a bad escape counts as none.
func unescape(dst []byte, s string) (n int) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case '%':
			if i+2 >= len(s) {
				return 0
			}
			high, low := unhex(s[i+1]), unhex(s[i+2])
			if high > 15 || low > 15 {
				return 0
			}
			c = high<<4 | low
			i += 2
		case '+':
			c = ' '
		}
		if n < len(dst) {
			dst[n] = c
		}
		n++
	}
	return n
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

func shorten(s string) string {
	if len(s) > 32 {
		return s[:32] + "…"
	}
	return s
}
