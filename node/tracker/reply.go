package tracker

import (
	"net/netip"
	"time"

	"github.com/anacrolix/torrent/bencode"

	"chordtorrent/communicator"
)

// failure is the answer to what cannot be answered (BEP 3).
type failure struct {
	Reason string `bencode:"failure reason"`
}

// answer is the answer to an announce; Peers is a string of 6 bytes each (BEP 23) or a
// list of dictionaries, Peers6 a string of 18 bytes each (BEP 7).
type answer struct {
	Complete    int    `bencode:"complete"`
	ExternalIP  string `bencode:"external ip"` // BEP 24: 4 or 16 bytes
	Incomplete  int    `bencode:"incomplete"`
	Interval    int64  `bencode:"interval"`     // seconds
	MinInterval int64  `bencode:"min interval"` // seconds
	Peers       any    `bencode:"peers"`
	Peers6      string `bencode:"peers6,omitempty"`
}

// peer is one of a list that is not compact.
type peer struct {
	IP     string `bencode:"ip"`
	PeerID string `bencode:"peer id,omitempty"`
	Port   uint16 `bencode:"port"`
}

// answerTo puts a swarm into the form that was asked for.
func answerTo(r request, s communicator.Swarm) ([]byte, error) {
	a := answer{Complete: s.Seeders, Incomplete: s.Leechers, ExternalIP: string(r.Addr.Addr().AsSlice()),
		Interval: seconds(s.Interval), MinInterval: max(seconds(s.Interval)/2, 1)}
	if !r.compact {
		list := []peer{}
		for _, p := range s.Peers {
			one := peer{IP: p.Addr.Addr().String(), Port: p.Addr.Port(), PeerID: string(p.PeerID[:])}
			if r.noPeerID {
				one.PeerID = ""
			}
			list = append(list, one)
		}
		a.Peers = list
		return bencode.Marshal(a)
	}
	var four, six []byte
	for _, p := range s.Peers {
		if p.Addr.Addr().Is4() {
			four = appendAddr(four, p.Addr)
		} else {
			six = appendAddr(six, p.Addr)
		}
	}
	a.Peers, a.Peers6 = string(four), string(six)
	return bencode.Marshal(a)
}

func appendAddr(b []byte, a netip.AddrPort) []byte {
	b = append(b, a.Addr().AsSlice()...)
	return append(b, byte(a.Port()>>8), byte(a.Port()))
}

// seconds rounds up, so that nobody comes before it is due.
func seconds(d time.Duration) int64 { return max(int64((d+time.Second-1)/time.Second), 1) }

// scraped is what a scrape tells of one torrent (BEP 48).
type scraped struct {
	Complete   int    `bencode:"complete"`
	Downloaded int    `bencode:"downloaded"`
	Incomplete int    `bencode:"incomplete"`
	Name       string `bencode:"name,omitempty"`
}
