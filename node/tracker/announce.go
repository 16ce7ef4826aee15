package tracker

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"

	"chordtorrent/communicator"
)

// request is an announce (BEP 3).
type request struct {
	communicator.Announce
	compact  bool // BEP 23; what is not asked for otherwise
	noPeerID bool
}

// errRequest wraps every error that the client is to blame for.
var errRequest = errors.New("bad announce")

// mostWanted is how many peers an answer has at most.
const mostWanted = 50

// parseAnnounce reads the query of an announce that comes from an address.
func parseAnnounce(query string, from netip.Addr) (request, error) {
	r := request{compact: true}
	// What is wrong with one parameter that nobody needs is no reason to refuse.
	q, _ := url.ParseQuery(query)
	hash, id := q.Get("info_hash"), q.Get("peer_id")
	if len(hash) != len(r.InfoHash) {
		return r, fmt.Errorf("%w: info_hash has %d bytes instead of 20", errRequest, len(hash))
	}
	if len(id) != len(r.PeerID) {
		return r, fmt.Errorf("%w: peer_id has %d bytes instead of 20", errRequest, len(id))
	}
	copy(r.InfoHash[:], hash)
	copy(r.PeerID[:], id)
	port, err := strconv.ParseUint(q.Get("port"), 10, 16)
	if err != nil || port == 0 {
		return r, fmt.Errorf("%w: the port is %q", errRequest, shorten(q.Get("port")))
	}
	r.Addr = netip.AddrPortFrom(from, uint16(port))
	r.Left = -1
	if v := q.Get("left"); v != "" {
		left, err := strconv.ParseUint(v, 10, 63)
		if err != nil {
			return r, fmt.Errorf("%w: left is %q", errRequest, shorten(v))
		}
		r.Left = int64(left)
	}
	switch event := q.Get("event"); event {
	case "started":
		r.Event = communicator.Started
	case "completed":
		r.Event = communicator.Completed
	case "stopped":
		r.Event = communicator.Stopped
	case "", "empty", "none", "paused": // BEP 21: one that pauses stays where it is
	default:
		return r, fmt.Errorf("%w: the event is %q", errRequest, shorten(event))
	}
	if v := q.Get("numwant"); v != "" {
		switch n, err := strconv.Atoi(v); {
		case err != nil || n < 0: // some say -1 for "as you like"
		case n == 0:
			r.Want = -1
		default:
			r.Want = min(n, mostWanted)
		}
	}
	r.compact = q.Get("compact") != "0"
	r.noPeerID = q.Get("no_peer_id") == "1"
	return r, nil
}

func shorten(s string) string {
	if len(s) > 32 {
		return s[:32] + "…"
	}
	return s
}
