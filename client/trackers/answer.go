package trackers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/anacrolix/torrent/bencode"

	"chordtorrent/transfer/storage"
)

// answer is what a tracker sends by HTTP. What strangers write in more than one way is
// taken as it stands and looked at below.
type answer struct {
	Failure   bencode.Bytes `bencode:"failure reason"`
	RetryIn   bencode.Bytes `bencode:"retry in"` // BEP 31: minutes, or "never"
	Warning   bencode.Bytes `bencode:"warning message"`
	Interval  bencode.Bytes `bencode:"interval"`
	Least     bencode.Bytes `bencode:"min interval"`
	TrackerID bencode.Bytes `bencode:"tracker id"`
	Peers     bencode.Bytes `bencode:"peers"`
	Peers6    bencode.Bytes `bencode:"peers6"` // BEP 7
}

// maxTrackerID bounds what is sent back to a tracker each time.
const maxTrackerID = 1024

// parseAnswer reads the answer to an announce. A *Refusal when the tracker refuses.
func parseAnswer(b []byte) (reply, error) {
	b, err := storage.Dict(b)
	if err != nil {
		return reply{}, fmt.Errorf("its answer is not one of a tracker: %w", err)
	}
	var a answer
	if err := bencode.Unmarshal(b, &a); err != nil {
		return reply{}, fmt.Errorf("its answer is not one of a tracker: %w", err)
	}
	if a.Failure != nil {
		return reply{}, refusal(text(a.Failure), a.RetryIn)
	}
	if a.Interval == nil && a.Peers == nil && a.Peers6 == nil {
		return reply{}, errors.New("its answer holds neither an interval nor peers")
	}
	r := reply{warning: printable(text(a.Warning))}
	if id := text(a.TrackerID); len(id) <= maxTrackerID {
		r.trackerID = id
	}
	r.settle(number(a.Interval), number(a.Least))
	if len(a.Peers) > 0 && a.Peers[0] == 'l' {
		r.peers, err = listed(a.Peers)
	} else {
		r.peers, err = compact(nil, text(a.Peers), 4)
	}
	if err == nil {
		r.peers, err = compact(r.peers, text(a.Peers6), 16)
	}
	if err != nil {
		return reply{}, err
	}
	return r, nil
}

func refusal(reason string, retry bencode.Bytes) *Refusal {
	r := &Refusal{Reason: printable(reason)}
	if text(retry) == "never" {
		r.Never = true
	}
	minutes := number(retry)
	if n, err := strconv.ParseInt(text(retry), 10, 64); err == nil {
		minutes = n
	}
	if minutes > 0 {
		r.Again = min(time.Duration(min(minutes, int64(mostInterval/time.Minute)))*time.Minute, mostInterval)
	}
	return r
}

// text is a bencoded string, "" when it is none.
func text(b bencode.Bytes) string {
	var s string
	if len(b) == 0 || bencode.Unmarshal(b, &s) != nil {
		return ""
	}
	return s
}

// number is a bencoded number, 0 when it is none. One that is too large for us is the
// largest.
func number(b bencode.Bytes) int64 {
	if len(b) < 2 || b[0] != 'i' {
		return 0
	}
	n, err := strconv.ParseInt(string(b[1:len(b)-1]), 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return n
}

// compact appends peers that stand one after the other as addresses of so many bytes and
// ports (BEP 23, 7).
func compact(peers []netip.AddrPort, s string, addrLen int) ([]netip.AddrPort, error) {
	n := addrLen + 2
	if len(s)%n != 0 {
		return nil, fmt.Errorf("its list of peers has %d bytes, which is not so many times %d", len(s), n)
	}
	for ; len(s) > 0 && len(peers) < maxPeers; s = s[n:] {
		addr, _ := netip.AddrFromSlice([]byte(s[:addrLen]))
		if at := netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16([]byte(s[addrLen:n]))); usable(at) {
			peers = append(peers, at)
		}
	}
	return peers, nil
}

// listed reads peers as dictionaries (BEP 3). Those that it cannot use are left out, as
// are those that are named by a host: whom to look up is not for a stranger to say.
func listed(b bencode.Bytes) ([]netip.AddrPort, error) {
	var list []struct {
		IP   bencode.Bytes `bencode:"ip"`
		Port bencode.Bytes `bencode:"port"`
	}
	if err := bencode.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("its list of peers: %w", err)
	}
	var peers []netip.AddrPort
	for _, p := range list {
		addr, err := netip.ParseAddr(text(p.IP))
		port := number(p.Port)
		if err != nil || port < 1 || port > 65535 {
			continue
		}
		if at := netip.AddrPortFrom(addr.Unmap().WithZone(""), uint16(port)); usable(at) {
			peers = append(peers, at)
		}
		if len(peers) == maxPeers {
			break
		}
	}
	return peers, nil
}
