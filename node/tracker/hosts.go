package tracker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"sync"
	"time"

	"chordtorrent/communicator"
)

// host is one peer on the page of a swarm.
type host struct {
	Addr     string    `json:"addr"`
	PeerID   string    `json:"peer_id"` // hexadecimal
	ClientID uint64    `json:"client_id,omitempty"`
	Seeds    bool      `json:"seeds"`
	Share    *float64  `json:"share"`                 // 0..1; null: it does not say
	Left     *int64    `json:"left"`                  // bytes; null: it does not say
	Rate     *float64  `json:"rate_bytes_per_second"` // since it was looked at before, else as it says; null: not known
	ETA      *float64  `json:"eta_seconds"`           // null: not known
	Seen     time.Time `json:"seen"`                  // its last announce
	Have     []byte    `json:"have,omitempty"`        // of at most 256 equal parts each how much, 0..255; base64
}

// hosts is what the page of a swarm shows.
type hosts struct {
	Name     string   `json:"name"`
	InfoHash string   `json:"info_hash"`
	Size     int64    `json:"size"`
	Seeders  int      `json:"seeders"`
	Leechers int      `json:"leechers"`
	LastETA  *float64 `json:"last_eta_seconds"` // of the last to be done; null: not known of all
	Hosts    []host   `json:"hosts"`            // who has least comes first
}

// mostHosts is how many peers the page of a swarm shows.
const mostHosts = 1000

// swarmOf asks the ring who has how much of a name's current version.
func (t *Tracker) swarmOf(ctx context.Context, name string) (h hosts, err error) {
	version, _, err := t.cfg.Ring.Torrent(ctx, name)
	if err != nil {
		return h, fmt.Errorf("%q: %w", name, err)
	}
	s, err := t.cfg.Ring.Peers(ctx, name, version.InfoHash, mostHosts)
	if err != nil {
		return h, fmt.Errorf("%q: %w", name, err)
	}
	h = hosts{Name: name, InfoHash: hex.EncodeToString(version.InfoHash[:]), Size: version.Size, Seeders: s.Seeders, Leechers: s.Leechers, Hosts: []host{}}
	known := true
	last := 0.0
	for i := range s.Peers {
		one := hostOf(&s.Peers[i], version.Size)
		if rate, ok := t.speeds.Of(version.InfoHash, &s.Peers[i]); ok {
			one.Rate = &rate
		}
		if one.Rate != nil && *one.Rate > 0 && one.Left != nil && *one.Left > 0 {
			eta := float64(*one.Left) / *one.Rate
			one.ETA = &eta
			last = max(last, eta)
		}
		known = known && (one.Seeds || one.ETA != nil)
		h.Hosts = append(h.Hosts, one)
	}
	if known && h.Leechers > 0 && len(s.Peers) == h.Seeders+h.Leechers {
		h.LastETA = &last
	}
	share := func(o host) float64 {
		if o.Share == nil {
			return -1
		}
		return *o.Share
	}
	slices.SortFunc(h.Hosts, func(a, b host) int { return cmp.Or(cmp.Compare(share(a), share(b)), cmp.Compare(a.Addr, b.Addr)) })
	return h, nil
}

// hostOf says how much of a content a peer has, by what it has left or by its parts.
func hostOf(p *communicator.Peer, size int64) host {
	h := host{Addr: p.Addr.String(), PeerID: hex.EncodeToString(p.PeerID[:]), ClientID: p.ClientID, Seeds: p.Left == 0, Seen: p.Seen, Have: p.Have}
	switch {
	case p.Left >= 0 && size > 0:
		share := 1 - float64(min(p.Left, size))/float64(size)
		left := p.Left
		h.Share, h.Left = &share, &left
	case len(p.Have) > 0:
		sum := 0
		for _, b := range p.Have {
			sum += int(b)
		}
		share := float64(sum) / float64(255*len(p.Have))
		h.Share = &share
	}
	return h
}

func (t *Tracker) swarmJSON(w http.ResponseWriter, r *http.Request) {
	h, err := t.swarmOf(r.Context(), r.URL.Query().Get("name"))
	if err != nil {
		t.refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(h)
}

// swarm is the same for people.
func (t *Tracker) swarm(w http.ResponseWriter, r *http.Request) {
	h, err := t.swarmOf(r.Context(), r.URL.Query().Get("name"))
	if err != nil {
		t.refuse(w, err)
		return
	}
	var out bytes.Buffer
	if err := swarmPage().Execute(&out, h); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writePage(w, out.Bytes())
}

// How the page's figures read.
func sharePercent(share *float64) string {
	if share == nil {
		return "?"
	}
	return fmt.Sprintf("%.1f %%", 100**share)
}

func rateWords(rate *float64) string {
	if rate == nil {
		return ""
	}
	return fmt.Sprintf("%.1f MB/s", *rate/1e6)
}

func etaWords(eta *float64) string {
	if eta == nil {
		return ""
	}
	return (time.Duration(*eta) * time.Second).String()
}

var swarmPage = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("swarm").Funcs(template.FuncMap{"share": sharePercent, "rate": rateWords, "eta": etaWords,
		"ago": func(t time.Time) string { return max(time.Since(t).Round(time.Second), 0).String() }}).Parse(swarmText))
})

const swarmText = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="refresh" content="5"><title>{{.Name}}</title><link rel="stylesheet" href="/style.css"></head><body>
<h1>{{.Name}}</h1>
<p>{{.Size}} byte{{if ne .Size 1}}s{{end}}, {{.Seeders}} seeder{{if ne .Seeders 1}}s{{end}}, {{.Leechers}} leecher{{if ne .Leechers 1}}s{{end}}{{if .LastETA}}; the last is done in {{eta .LastETA}}{{end}}. Info hash {{.InfoHash}}. <a href="files">All names</a></p>
{{if .Hosts}}<table><thead><tr><th scope="col">Host</th><th scope="col">Has</th><th scope="col">Rate</th><th scope="col">Done in</th><th scope="col">Heard of, ago</th></tr></thead><tbody>
{{range .Hosts}}<tr><td>{{.Addr}}</td><td>{{share .Share}}</td><td>{{rate .Rate}}</td><td>{{if .Seeds}}done{{else}}{{eta .ETA}}{{end}}</td><td>{{ago .Seen}}</td></tr>{{end}}
</tbody></table>{{else}}<p>Nobody has it at the moment.</p>{{end}}
</body></html>
`
