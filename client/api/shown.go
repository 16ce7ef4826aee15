package api

import (
	"encoding/hex"
	"time"

	"chordtorrent/client"
	"chordtorrent/communicator"
)

// Shown is all that the ring knows about a name: GET /files/NAME, and show --json.
type Shown struct {
	Event    string    `json:"event"` // "show"
	Name     string    `json:"name"`
	Size     int64     `json:"size"`
	InfoHash string    `json:"info_hash"`
	Pieces   int       `json:"pieces"`
	Seeders  int       `json:"seeders"`
	Leechers int       `json:"leechers"`
	Versions []Version `json:"versions"` // the current one first
	Peers    []Holder  `json:"peers"`
}

// Version is one thing that was published under a name.
type Version struct {
	InfoHash  string `json:"info_hash"`
	Size      int64  `json:"size"`
	Pieces    int    `json:"pieces"`
	Published string `json:"published"`           // RFC 3339, UTC
	Publisher uint64 `json:"publisher,omitempty"` // client id
}

// Holder is a peer of the swarm, as the ring knows it.
type Holder struct {
	Addr     string  `json:"addr"`
	PeerID   string  `json:"peer_id"` // hex
	ClientID uint64  `json:"client_id,omitempty"`
	Percent  float64 `json:"percent"`
	Rate     int64   `json:"rate_bytes_per_sec"` // as it said; 0: none, or it does not say
	ETA      float64 `json:"eta_sec,omitempty"`  // until it has all, at that rate
	LastSeen string  `json:"last_seen"`          // when it said so; RFC 3339, UTC
	// Have is how much it has of each of up to 256 equal parts, 0 to 255; base64.
	Have []byte `json:"have,omitempty"`
}

// ShownOf puts it into these words.
func ShownOf(name string, shown client.Shown) Shown {
	current := shown.Versions[0]
	s := Shown{Event: "show", Name: name, Size: current.Size, InfoHash: hex.EncodeToString(current.InfoHash[:]),
		Pieces: current.Pieces, Seeders: shown.Swarm.Seeders, Leechers: shown.Swarm.Leechers, Peers: []Holder{}}
	for _, v := range shown.Versions {
		s.Versions = append(s.Versions, Version{InfoHash: hex.EncodeToString(v.InfoHash[:]), Size: v.Size, Pieces: v.Pieces,
			Published: v.Published.UTC().Format(time.RFC3339), Publisher: v.Publisher})
	}
	for _, p := range shown.Swarm.Peers {
		percent := 100.0
		if current.Size > 0 {
			percent = 100 * float64(current.Size-max(p.Left, 0)) / float64(current.Size)
		}
		h := Holder{Addr: p.Addr.String(), PeerID: hex.EncodeToString(p.PeerID[:]), ClientID: p.ClientID, Percent: percent,
			Rate: p.Rate, LastSeen: p.Seen.UTC().Format(time.RFC3339), Have: p.Have}
		if p.Rate > 0 && p.Left > 0 {
			h.ETA = float64(p.Left) / float64(p.Rate)
		}
		s.Peers = append(s.Peers, h)
	}
	return s
}

// Ring is what one ring member knows of itself and the ring: GET /ring.
type Ring struct {
	ID               string   `json:"id"` // 40 hex digits
	Addr             string   `json:"address"`
	State            string   `json:"state"`
	Version          string   `json:"version"`
	Cluster          string   `json:"cluster"`
	HTTP             string   `json:"http,omitempty"` // of its status page
	Keys             int      `json:"keys"`
	UnderReplicated  int      `json:"under_replicated"`
	IncompleteRanges int      `json:"incomplete_ranges"`
	LastRepair       Time     `json:"last_repair"`
	Trouble          string   `json:"trouble,omitempty"`
	Members          []Member `json:"members"` // in ring order
}

// Member is a place on the ring.
type Member struct {
	ID   string `json:"id"`
	Addr string `json:"address"`
}

// RingOf puts it into these words.
func RingOf(r communicator.Ring) Ring {
	out := Ring{ID: hex.EncodeToString(r.Self.ID[:]), Addr: r.Self.Addr, State: r.State, Version: r.Version, Cluster: r.Cluster,
		HTTP: r.HTTP, Keys: r.Keys, UnderReplicated: r.UnderReplicated, IncompleteRanges: r.IncompleteRanges,
		LastRepair: Time{r.LastRepair}, Trouble: r.Trouble, Members: []Member{}}
	for _, m := range r.Members {
		out.Members = append(out.Members, Member{ID: hex.EncodeToString(m.ID[:]), Addr: m.Addr})
	}
	return out
}
